# SPDX-License-Identifier: MIT
"""Instruction counts of every hand-off, to the digit, against those of `bench/baseline.json`.

The programs and the way they are counted are `kernel/cost`'s: one CPU under QEMU's `-icount`. Here
each image is counted twice, as a figure that does not repeat is none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labkit.benchmark.suite import FOLDER
from labkit.trace.files import write_atomically
from labkit.vm import image

BASELINE = FOLDER / "baseline.json"

#: A count that differs by more than this has moved; code that is only laid out otherwise moves it
#: by less than 0.5 %.
TOLERANCE = 0.02

PROGRAMS = ("raw", "lib", "lib-untraced")

Counts = dict[str, float]
Say = Callable[[str], None]


class CountError(RuntimeError):
    """The instructions could not be counted; `str()` says why and what to do."""


def _run(command: list[str], **environment: str) -> str:
    # A session of its own: Ctrl-C reaches us alone, and we end the whole group.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        start_new_session=True,
    )
    try:
        out, err = process.communicate()
    except BaseException:
        os.killpg(process.pid, 15)
        process.wait()
        raise
    if process.returncode:
        raise CountError(f"`{' '.join(command[:4])} ...` failed: {err.strip()[-800:]}")
    return out


def _folder() -> Path:
    folder = image.kernel_folder()
    if folder is None:
        raise CountError("labkit is not in its project's folder: there are no programs to count")
    return folder


def _programs(kernel: Path) -> Path:
    """Build the counting programs and return their folder."""
    where = image.where()
    out = Path(where["LIBUMCG"]).parent / "bench-cost"
    command = ["make", "-s", "-C", str(kernel / "cost"), f"O={out}"]
    _run([*command, f"HEADERS={where['HEADERS']}"])
    return out


def base_image() -> Path:
    """The unpatched image of the same source and configuration, built or not."""
    made = _run(["make", "-s", "-C", str(_folder()), "where", "BASE=1"])
    where = dict(line.split("=", 1) for line in made.splitlines() if "=" in line)
    return Path(where["IMAGE"])


def _count(kernel: Path, programs: list[Path], kernel_image: Path) -> dict[str, Counts]:
    command = [sys.executable, str(kernel / "cost" / "counts.py"), *map(str, programs)]
    made = _run([*command, "--image", str(kernel_image)], PYTHONPATH=str(kernel / "boot"))
    found: dict[str, Counts] = json.loads(made)
    return found


def measure(say: Say = lambda text: None) -> dict[str, Any]:
    """Count on the patched image and, where it is built, the unpatched one.

    Returns:
        `patched` and `base`: instructions by `PROGRAM/ROW`; `repeats`: both counts of each image
        agree to the digit; `moved` names the rows that do not; `note`: what was left out.

    Raises:
        CountError: the programs cannot be built or run.
        VmError: there is no patched image.
    """
    kernel = _folder()
    patched_image = image.find()
    say("building the counting programs")
    folder = _programs(kernel)
    found: dict[str, Any] = {"note": "", "repeats": True, "moved": []}
    images: dict[str, tuple[Path, tuple[str, ...]]] = {"patched": (patched_image, PROGRAMS)}
    base = base_image()
    if base.is_file():
        images["base"] = (base, PROGRAMS[:1])
    else:
        found["note"] = "no unpatched image: `make -C kernel image BASE=1` builds it"
    for name, (kernel_image, programs) in images.items():
        files = [folder / program for program in programs]
        runs = []
        for turn in ("first", "second"):
            say(f"counting instructions, {name} kernel, {turn} time")
            counted = _count(kernel, files, kernel_image)
            runs.append({f"{p}/{r}": n for p, rows in counted.items() for r, n in rows.items()})
        found[name] = runs[0]
        unlike = [row for row, count in runs[0].items() if runs[1].get(row) != count]
        found["moved"] += [f"{name} {row}" for row in unlike]
    found["repeats"] = not found["moved"]
    return found


def load_baseline(path: Path = BASELINE) -> dict[str, Counts]:
    """The counts of `bench/baseline.json`: `patched` and, where they were counted, `base`.

    Raises:
        CountError: there is none, or it is damaged; the message says how to make one.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {name: dict(document[name]) for name in ("patched", "base") if name in document}
    except FileNotFoundError:
        raise CountError(f"no {path}: `labkit bench --icount --update` makes it") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CountError(
            f"{path} is damaged ({error}): `labkit bench --icount --update` makes it anew"
        ) from error


def save_baseline(counted: dict[str, Any], path: Path = BASELINE) -> None:
    """Make these counts the baseline.

    Raises:
        CountError: they do not repeat.
        WriteFailed: the file cannot be written.
    """
    if not counted["repeats"]:
        raise CountError(f"these counts do not repeat: {', '.join(counted['moved'])}")
    kept = {name: counted[name] for name in ("patched", "base") if name in counted}
    text = json.dumps({"unit": "guest instructions", **kept}, indent=1)
    write_atomically(path, (text + "\n").encode())


def moved(counted: dict[str, Any], baseline: dict[str, Counts]) -> list[tuple[str, str, Any, Any]]:
    """Rows that moved by more than `TOLERANCE`, or came or went: (kernel, row, was, is).

    `was` or `is` is None for a row that came or went. A kernel that was not counted is left out.
    """
    rows = []
    for name, known in baseline.items():
        if name not in counted:
            continue
        now = counted[name]
        for row in dict.fromkeys((*known, *now)):
            was, new = known.get(row), now.get(row)
            if was is None or new is None or abs(new / was - 1) > TOLERANCE:
                rows.append((name, row, was, new))
    return rows
