# SPDX-License-Identifier: MIT
"""Where the patched kernel is."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

from labkit import repository
from labkit.vm.errors import VmError

#: How to get a kernel with UMCG, in one sentence.
HOW_TO_GET_ONE = (
    "build the patched kernel with `make -C kernel image` in the project's folder "
    "(or `make demo`, which does it all), then run under `labkit vm exec --`"
)


def kernel_folder() -> Path | None:
    """The project's `kernel/` folder, or None where labkit is installed without it."""
    folder = repository.FOLDER / "kernel"
    return folder if (folder / "Makefile").is_file() else None


@cache
def where() -> dict[str, str]:
    """What `make -C kernel where` prints, by name: IMAGE, HEADERS, TREE, LIBUMCG, DEBS.

    Raises:
        VmError: the project's kernel folder is not there or `make` fails.
    """
    folder = kernel_folder()
    if folder is None:
        raise VmError(f"set LABKIT_KERNEL to a bzImage; else {repository.WITHOUT}")
    command = ["make", "-s", "-C", str(folder), "where"]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise VmError("make is not installed: install your system's package make") from None
    if made.returncode:
        raise VmError(f"`make -C {folder} where` failed: {made.stderr.strip()}")
    return dict(line.split("=", 1) for line in made.stdout.splitlines() if "=" in line)


def find(image: str | None = None) -> Path:
    """The kernel image to boot: `image`, else $LABKIT_KERNEL, else the one the project built.

    Raises:
        VmError: there is none; the message says how to get one.
    """
    named = image or os.environ.get("LABKIT_KERNEL")
    path = Path(named) if named else Path(where()["IMAGE"])
    if path.is_file() and os.access(path, os.R_OK):
        return path.resolve()
    if named:
        raise VmError(f"{path}: no such kernel image; give a bzImage, or {HOW_TO_GET_ONE}")
    raise VmError(f"no kernel yet at {path}: {HOW_TO_GET_ONE}")
