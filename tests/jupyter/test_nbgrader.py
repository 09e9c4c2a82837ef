# SPDX-License-Identifier: MIT
"""The masters in nbgrader: its student version, and its grade of a solution and of nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from labkit.cli.commands import app
from labkit.grading.master import names, read, solution_cells

#: Two that take seconds: one has a solution in Python alone, one a policy for the simulator.
NAMES = ("03-servers-and-workers", "06-preemption")


def nbgrader(course: Path, *words: str) -> str:
    """Its output."""
    tool = Path(sys.executable).with_name("nbgrader")
    # It calls jupyter and python by their names.
    env = {**os.environ, "PATH": f"{tool.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [tool, *words], cwd=course, env=env, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.classroom
@pytest.mark.timeout(1800)
def test_a_class_is_released_and_graded_with_nbgrader(tmp_path: Path) -> None:
    course = tmp_path / "course"
    made = CliRunner().invoke(app, ["release", "--nbgrader", str(course)])
    assert made.exit_code == 0, made.output
    assert {path.name for path in (course / "source").iterdir()} == set(names())
    for name in NAMES:
        nbgrader(course, "generate_assignment", name)
        released = course / "release" / name / f"{name}.ipynb"
        text = released.read_text(encoding="utf-8")
        assert "your code here" in text
        assert "BEGIN SOLUTION" not in text and "BEGIN HIDDEN TESTS" not in text
        nothing, done = (course / "submitted" / who / name for who in ("nothing", "done"))
        nothing.mkdir(parents=True)
        done.mkdir(parents=True)
        shutil.copy(released, nothing)
        book = nbformat.read(released, as_version=4)
        solutions = {n: code for one in read(name).exercises for n, code in one.solutions.items()}
        assert solution_cells(book).keys() == solutions.keys()
        for cell in book.cells:
            cell.source = solutions.get(
                cell.metadata.get("nbgrader", {}).get("grade_id"), cell.source
            )
        nbformat.write(book, done / released.name)
        nbgrader(course, "autograde", name)
    nbgrader(course, "export", "--to", "grades.csv")
    rows = [row.split(",") for row in (course / "grades.csv").read_text().splitlines()]
    head = {
        name: rows[0].index(name) for name in ("assignment", "student_id", "score", "max_score")
    }
    got = {
        (row[head["assignment"]], row[head["student_id"]]): (
            float(row[head["score"]]),
            float(row[head["max_score"]]),
        )
        for row in rows[1:]
    }
    for name in NAMES:
        points = read(name).points
        assert got[name, "done"] == (points, points)
        assert got[name, "nothing"] == (0, points)
