# SPDX-License-Identifier: MIT
"""`labkit release`: student versions; `labkit grade`: what was handed in."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from labkit.cli import console
from labkit.cli.console import Json
from labkit.grading.grade import Grade, Grader
from labkit.grading.release import KEPT, for_nbgrader, release
from labkit.trace.files import check_output, write_atomically

grade_app, release_app = console.new_app(), console.new_app()


@release_app.command()
def release_command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where the student versions go.")
    ],
    nbgrader: Annotated[
        bool,
        typer.Option("--nbgrader", help="A course for nbgrader: masters in source/, its settings."),
    ] = False,
) -> None:
    """Write the notebooks as students get them: without solutions, hidden tests, teacher's notes.

    What was edited or run in the folder stays as it is; a newer version goes beside it.
    """
    with console.errors():
        for path, became in (for_nbgrader if nbgrader else release)(folder):
            more = f"; the new version is {path.stem}-new.ipynb" if became == KEPT else ""
            console.note(f"{path}: {became}{more}")


@grade_app.command()
def grade_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Notebooks that were handed in.")
    ],
    notebook: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Whose versions they are, such as 08-your-own-scheduler."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        console.output("Write the grades there, as CSV."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Grade notebooks: PASSED, FAILED or UNDECIDED, with points, by what a solution did.

    Each exercise runs in a process of its own, with the master's tests. Its limit is a multiple of
    what the master's solution needs on this machine; waiting for a CPU is not counted, and nothing
    is left running. UNDECIDED: it is not the submission's fault; grade it again.
    """
    for file in files:
        if not file.is_file():
            console.fail(console.FILE, f"{file}: there is no such file")
    with console.errors():
        if output is not None:
            check_output(output, *files)
        grades: list[Grade] = []
        for i, one in enumerate(Grader().grades(files, notebook), 1):
            grades.append(one)
            # What is graded is not lost, whatever ends the rest, a kill, too.
            if output is not None:
                write_atomically(output, _csv(grades).encode())
            console.note(f"{i} of {len(files)}: {_line(one)}")
        if as_json:
            console.print_json([_plain(one) for one in grades])
        else:
            console.out.print(_table(grades))


def _line(one: Grade) -> str:
    return f"{one.file}: {one.verdict}, {one.points:g} of {one.of:g} points"


def _plain(one: Grade) -> dict[str, Any]:
    return asdict(one) | {"verdict": one.verdict, "points": one.points, "of": one.of}


def _rows(grades: list[Grade]) -> list[tuple[str, ...]]:
    return [
        (g.file, g.notebook, r.test, r.verdict, f"{r.points:g}", f"{r.of:g}", r.reason)
        for g in grades
        for r in g.results
    ]


_HEAD = ("file", "notebook", "test", "verdict", "points", "of", "reason")


def _csv(grades: list[Grade]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEAD)
    writer.writerows(_rows(grades))
    return text.getvalue()


def _table(grades: list[Grade]) -> Table:
    table = Table(*_HEAD, title="Grades")
    for *row, reason in _rows(grades):
        # All of it is in the file and in JSON: a report of a wrong policy has many lines.
        table.add_row(*(escape(cell) for cell in (*row, reason.partition("\n")[0])))
    return table
