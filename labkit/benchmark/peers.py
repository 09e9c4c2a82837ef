# SPDX-License-Identifier: MIT
"""The field's own programs on the patched and the unpatched kernel, in boots that alternate.

Two kernels cannot run in one boot. So pairs of boots are made, one of each kernel, and what is
judged is the ratio over the pairs: their spread is what a boot changes by itself.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import vm
from labkit.benchmark import icount, peer
from labkit.vm import VmOptions

Say = Callable[[str], None]


class PeerError(RuntimeError):
    """The peers could not be run; `str()` says why and what to do."""


@dataclass(frozen=True)
class Effort:
    """Pairs of boots, values of each program in a boot, and how long a value is."""

    pairs: int
    repetitions: int
    scale: float


EFFORTS = {
    "smoke": Effort(1, 1, 0.1),
    "virtual": Effort(5, 3, 0.5),
    "quick": Effort(5, 1, 0.25),
    "full": Effort(9, 5, 2.0),
}


def _boot(kernel: Path, effort: Effort, say: Say) -> dict[str, Any]:
    """One boot; what `peer.py` printed in it."""
    with tempfile.TemporaryFile() as out, open(os.devnull, "rb") as nothing:
        files = (nothing.fileno(), out.fileno(), 2)
        code = vm.execute(
            [
                os.path.realpath(sys.executable),
                "-I",
                peer.__file__,
                str(effort.repetitions),
                str(effort.scale),
            ],
            VmOptions(image=kernel),
            files=files,
            say=say,
        )
        if code == 130:
            raise KeyboardInterrupt
        if code:
            raise PeerError(f"the peers' guest on {kernel} ended with {code}")
        out.seek(0)
        found: dict[str, Any] = json.loads(out.read())
        return found


def measure(
    rigor: str, kept: dict[str, Any], saved: Callable[[], object], say: Say = lambda text: None
) -> None:
    """Fill `kept` pair by pair: `boots` ({patched, base} each), `commands`, `kernels` and so on.

    Pairs that it has already are not made again.

    Raises:
        PeerError: there is no unpatched image, or a guest failed.
        VmError: a guest did not come up.
    """
    effort = EFFORTS[rigor]
    base = icount.base_image()
    if not base.is_file():
        raise PeerError(
            "no unpatched image to compare with: `make -C kernel image BASE=1` builds it"
        )
    kernels = {"patched": vm.image.find(), "base": base}
    empty: dict[str, Any] = {
        "boots": [],
        "commands": {},
        "kernels": {},
        "missing": [],
        "failed": {},
    }
    kept.update({**empty, **kept})
    for pair in range(len(kept["boots"]), effort.pairs):
        values = {}
        for name in sorted(kernels, reverse=pair % 2 == 0):
            print(f"peers: pair {pair + 1} of {effort.pairs}, {name} kernel", file=sys.stderr)
            found = _boot(kernels[name], effort, say)
            values[name] = found["values"]
            kept["commands"].update(found["commands"])
            kept["kernels"][name] = found["kernel"]
            kept["failed"].update(found["failed"])
            kept["missing"] = found["missing"]
        kept["boots"].append(values)
        saved()
