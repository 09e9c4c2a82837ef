# SPDX-License-Identifier: MIT
"""Student versions in a folder, never over what somebody has worked on there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from labkit.grading.master import NOTEBOOKS, MasterError, load, names, read, student
from labkit.trace.files import write_atomically

_KEY = "labkit"

#: What became of a file.
NEW, SAME, UPDATED, KEPT = "new", "as it was", "updated", "kept"


def digest(book: Any) -> str:
    """Of what stands in the cells, without outputs."""
    text = json.dumps([[cell.cell_type, cell.source] for cell in book.cells])
    return hashlib.sha256(text.encode()).hexdigest()


def untouched(book: Any) -> bool:
    """Is this a student version as it came: not edited, not run?"""
    ran = any(cell.get("outputs") or cell.get("execution_count") for cell in book.cells)
    return not ran and book.metadata.get(_KEY, {}).get("released") == digest(book)


def release(target: Path, source: Path = NOTEBOOKS) -> Iterator[tuple[Path, str]]:
    """Write the student version of every master; each file, and what became of it.

    A notebook that was edited or run stays; a newer version of it is then written beside it, with
    `-new` in its name.

    Raises:
        OSError: the folder cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    for name in names(source):
        made = student(load(source / f"{name}.ipynb"))
        yield _bring(made, target / f"{name}.ipynb")


def _bring(made: Any, path: Path) -> tuple[Path, str]:
    """Write a version, which carries its digest from here on, but never over somebody's work."""
    made.metadata[_KEY] = {"released": digest(made)}
    text = (nbformat.writes(made) + "\n").encode()  # type: ignore[no-untyped-call]
    if not path.exists():
        write_atomically(path, text)
        return path, NEW
    theirs = _theirs(path)
    if theirs is not None and theirs.metadata.get(_KEY) == made.metadata[_KEY]:
        return path, SAME
    if theirs is not None and untouched(theirs):
        write_atomically(path, text)
        return path, UPDATED
    beside = path.with_name(f"{path.stem}-new.ipynb")
    if beside.exists() and beside.read_bytes() == text:
        return path, SAME
    write_atomically(beside, text)
    return path, KEPT


def _theirs(path: Path) -> Any:
    """A notebook as it is there, None: it cannot be read; it stays all the same."""
    try:
        return load(path)
    except Exception:  # whatever a damaged file makes the reader say
        return None


#: What nbgrader needs to know: the grade is the same on every machine, so no guest is started.
_NBGRADER = """# SPDX-License-Identifier: MIT
# Written by `labkit release --nbgrader`; `nbgrader generate_assignment NAME` is the next step.
c = get_config()
c.CourseDirectory.course_id = "umcg-lab"
c.ClearSolutions.code_stub = {"python": "# your code here"}
# Plain Python: tests look at properties of schedules and traces, in the simulator.
c.Execute.kernel_name = "python3"
# Seconds for a cell; a loop without end costs the points of the cells after it.
c.Execute.timeout = 600
"""


def for_nbgrader(target: Path, source: Path = NOTEBOOKS) -> Iterator[tuple[Path, str]]:
    """Make an nbgrader course of the masters that give points; each file, and what became of it.

    A master that was changed in the course stays; the new one is then written beside it, with
    `-new` in its name.

    Raises:
        OSError: the folder cannot be written.
    """
    target.mkdir(parents=True, exist_ok=True)
    settings = target / "nbgrader_config.py"
    if not settings.exists():
        write_atomically(settings, _NBGRADER.encode())
        yield settings, NEW
    for name in names(source):
        try:
            read(name, source)
        except MasterError:  # nothing in it gives points
            continue
        made = load(source / f"{name}.ipynb")
        made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        folder = target / "source" / name
        folder.mkdir(parents=True, exist_ok=True)
        yield _bring(made, folder / f"{name}.ipynb")
