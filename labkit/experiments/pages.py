# SPDX-License-Identifier: MIT
"""A file whose pages leave memory and must be read from a disk again: what `fault` works on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.experiments.errors import SpecError
from labkit.native import engine
from labkit.trace.errors import WriteFailed

_PAGE = 4096
#: Pages of the file for each worker; at the most so many for all of them. A worker forgets its own
#: when it has touched all, which is expensive: with one page it would be most of what is measured.
_OWN_PAGES, _MOST_PAGES = 64, 4096


class NothingFaults(SpecError):
    """Pages of files do not leave memory here, so that `fault` would never block."""


def folders() -> list[Path]:
    """Where the file may be, best first: $TMPDIR alone if it is set, else places on a disk."""
    if wish := os.environ.get("TMPDIR"):
        return [Path(wish)]
    # /tmp is in memory on many a Linux.
    return [Path("/var/tmp"), Path("~/.cache").expanduser(), Path(tempfile.gettempdir())]


@contextmanager
def pages(workers: int) -> Iterator[int]:
    """An open file with some pages for each worker, on a disk and where touching them faults.

    Raises:
        NothingFaults: pages stay in memory in each of `folders()`, as on tmpfs.
        WriteFailed: there is no room for it.
    """
    size = workers * min(_OWN_PAGES, _MOST_PAGES // workers) * _PAGE
    refused: WriteFailed | None = None
    tried = []
    for folder in folders():
        if not os.access(folder, os.W_OK | os.X_OK):
            continue
        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                file.write(os.urandom(size))
                file.flush()
                os.fsync(file.fileno())
            except OSError as error:
                refused = WriteFailed(
                    error.errno,
                    f"cannot write {size >> 10} KiB of pages to fault on in {folder}: "
                    f"{error.strerror}; free space or set TMPDIR",
                )
                continue
            if _faults(file.fileno()):
                yield file.fileno()
                return
        tried.append(f"{folder} ({_file_system(folder)})")
    if refused:
        raise refused
    raise NothingFaults(
        f"`fault` would measure nothing: pages of files do not leave memory in "
        f"{', '.join(tried) or 'any folder'}. Set TMPDIR to a folder on a disk, not in memory as "
        "tmpfs is, or leave `fault` out of `works`"
    )


def _faults(file: int) -> bool:
    """Does touching pages of this file read them from a disk?"""
    outcome = engine.load("fault", umcg=False, workers=1, max_ops=_OWN_PAGES, file=file)
    (worker,) = outcome.tasks
    return worker.faults * 2 > worker.ops


def _file_system(folder: Path) -> str:
    """The type of the file system that a folder is on, as the kernel calls it."""
    lies_on = ""
    kind = "unknown file system"
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, place, what = line.split()[:3]
        if folder.resolve().is_relative_to(place) and len(place) >= len(lies_on):
            lies_on, kind = place, what
    return kind
