# SPDX-License-Identifier: MIT
"""A master notebook: tasks, solutions and hidden tests in one file, marked as nbgrader marks them.

A cell that a student fills in has `metadata.nbgrader.solution`, one that gives points has
`metadata.nbgrader.grade` and `points`. Lines between `### BEGIN SOLUTION` and `### END SOLUTION`,
and between `### BEGIN HIDDEN TESTS` and `### END HIDDEN TESTS`, are not in a student's version; nor
is a cell with the id `instructor`. A cell with the tag `graded-setup` runs before every exercise.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from labkit.repository import FOLDER as REPOSITORY

#: Where the masters are.
NOTEBOOKS = REPOSITORY / "notebooks"

_SOLUTION = re.compile(
    r"^([ \t]*)[^\n]*### BEGIN SOLUTION[^\n]*\n.*?### END SOLUTION[^\n]*(?:\n|\Z)", re.M | re.S
)
_HIDDEN = re.compile(
    r"^[^\n]*### BEGIN HIDDEN TESTS[^\n]*\n.*?### END HIDDEN TESTS[^\n]*(?:\n|\Z)", re.M | re.S
)
_MARK = re.compile(r"^[^\n]*### (?:BEGIN|END) (?:SOLUTION|HIDDEN TESTS)[^\n]*(?:\n|\Z)", re.M)
_BEGIN = re.compile(r"course\.begin\(\s*[\"']([\w-]+)[\"']")


class MasterError(Exception):
    """A master cannot be used; `str()` says why and what to do."""


@dataclass(frozen=True)
class Test:
    """A cell that gives points: its `grade_id`, the points, and its code with hidden tests."""

    name: str
    points: float
    code: str


@dataclass(frozen=True)
class Exercise:
    """What is filled in, and what gives points for it.

    Attributes:
        solutions: the `grade_id` of the cells to fill in, with the master's own code.
        tests: the cells after them that give points.
    """

    solutions: dict[str, str]
    tests: tuple[Test, ...]


@dataclass(frozen=True)
class Master:
    """A master's exercises, and what runs before each of them."""

    name: str
    setup: tuple[str, ...]
    exercises: tuple[Exercise, ...]

    @property
    def points(self) -> float:
        """The most that can be had."""
        return sum(test.points for one in self.exercises for test in one.tests)


def _marks(cell: Any) -> dict[str, Any]:
    found = cell.metadata.get("nbgrader", {})
    return dict(found) if cell.cell_type == "code" and isinstance(found, dict) else {}


def solution_cells(book: Any) -> dict[str, str]:
    """The code of the cells that are filled in, by `grade_id`; of doubles the one first made."""
    found: dict[str, str] = {}
    own: set[str] = set()
    for cell in book.cells:
        name = _marks(cell).get("grade_id")
        if not _marks(cell).get("solution") or not isinstance(name, str):
            continue
        if name not in found or (cell.get("id") == name and name not in own):
            found[name] = cell.source
        if cell.get("id") == name:
            own.add(name)
    return found


def load(path: Path) -> Any:
    """A notebook's content, in format 4."""
    text = path.read_text(encoding="utf-8")
    return nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]


def names(folder: Path = NOTEBOOKS) -> list[str]:
    """The notebooks that there are."""
    return [path.stem for path in sorted(folder.glob("*.ipynb"))]


def name_in(book: Any) -> str | None:
    """Which notebook this is a version of, as its first cell says."""
    for cell in book.cells:
        if cell.cell_type == "code" and (found := _BEGIN.search(cell.source)):
            return found[1]
    return None


def read(name: str, folder: Path = NOTEBOOKS) -> Master:
    """The exercises of a master.

    Raises:
        MasterError: there is no such master, or nothing in it gives points.
    """
    path = folder / f"{name}.ipynb"
    if not path.is_file():
        raise MasterError(f"there is no notebook {name}; there are {', '.join(names(folder))}")
    book = load(path)
    setup: list[str] = []
    exercises: list[Exercise] = []
    solutions: dict[str, str] = {}
    tests: list[Test] = []

    def close() -> None:
        if solutions and tests:
            exercises.append(Exercise(dict(solutions), tuple(tests)))
        solutions.clear()
        tests.clear()

    for cell in book.cells:
        marks = _marks(cell)
        if "graded-setup" in cell.metadata.get("tags", ()):
            setup.append(cell.source)
        if marks.get("solution"):
            if tests:
                close()
            solutions[marks["grade_id"]] = _MARK.sub("", cell.source)
        elif marks.get("grade"):
            code = _MARK.sub("", cell.source)
            tests.append(Test(marks["grade_id"], float(marks["points"]), code))
    close()
    if not exercises:
        raise MasterError(f"nothing in notebook {name} gives points")
    return Master(name, tuple(setup), tuple(exercises))


def student(book: Any) -> Any:
    """What a student gets: tasks without solutions, hidden tests and notes for the teacher."""
    made = copy.deepcopy(book)
    made.cells = [cell for cell in made.cells if cell.get("id") != "instructor"]
    for cell in made.cells:
        if cell.cell_type != "code":
            continue
        here = "/* your code here */" if cell.source.startswith("%%policy") else "# your code here"
        cell.source = _SOLUTION.sub(rf"\g<1>{here}\n", cell.source)
        cell.source = _HIDDEN.sub("", cell.source).rstrip("\n")
        cell.outputs, cell.execution_count = [], None
        if _marks(cell):
            # Run All goes on behind what is not solved yet: the predictions' review comes last.
            cell.metadata.tags = [*cell.metadata.get("tags", ()), "raises-exception"]
    return made
