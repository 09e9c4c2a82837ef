# SPDX-License-Identifier: MIT
"""Student versions in a folder, never over what somebody has worked on there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from labkit.grading.master import NOTEBOOKS, load, names, student
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
        made.metadata[_KEY] = {"released": digest(made)}
        path = target / f"{name}.ipynb"
        text = (nbformat.writes(made) + "\n").encode()  # type: ignore[no-untyped-call]
        if not path.exists():
            write_atomically(path, text)
            yield path, NEW
            continue
        theirs = _theirs(path)
        if theirs is not None and theirs.metadata.get(_KEY) == made.metadata[_KEY]:
            yield path, SAME
        elif theirs is not None and untouched(theirs):
            write_atomically(path, text)
            yield path, UPDATED
        else:
            write_atomically(target / f"{name}-new.ipynb", text)
            yield path, KEPT


def _theirs(path: Path) -> Any:
    """A notebook as it is there, None: it cannot be read; it stays all the same."""
    try:
        return load(path)
    except Exception:  # whatever a damaged file makes the reader say
        return None
