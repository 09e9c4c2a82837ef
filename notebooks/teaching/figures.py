# SPDX-License-Identifier: MIT
"""Measure what the table of guide.md expects, on this machine, and print it with one column more.

    python notebooks/teaching/figures.py

What is measured stands in the notebooks' own cells. On a kernel without UMCG it starts a microVM.
"""

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import nbformat

from labkit import course, vm
from labkit.native import engine
from labkit.run import Run

HERE = Path(__file__).resolve().parent

#: The cells that make a notebook's run.
CELLS = ("where", "panel", "result")

_ROW = re.compile(r"^\| (\d\d) \| (\S+) \| (\S+) \| (\S+) \| ([\d.]+) \|$", re.M)


class Row(NamedTuple):
    """A row of the guide's table."""

    notebook: str
    series: str
    baseline: str
    unit: str
    recorded: str


def rows() -> list[Row]:
    """What the guide expects."""
    return [Row(*found) for found in _ROW.findall((HERE / "guide.md").read_text(encoding="utf-8"))]


def run_of(notebook: str) -> Run:
    """The run of the notebook with this number, made now; the recorded one where there is no UMCG.

    Raises:
        Exception: what a cell raised.
    """
    (path,) = HERE.parent.glob(f"{notebook}-*.ipynb")
    book = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    space: dict[str, Any] = {}
    for cell in book.cells:
        if cell.id in CELLS:
            exec(compile(cell.source, f"{path.name}: {cell.id}", "exec"), space)
    run: Run = space["run"]
    return run


def told(row: Row, run: Run) -> str:
    """The row, with what was measured here."""
    here = course.say(run, row.series, row.baseline, unit=row.unit)
    return (
        f"| {' | '.join(row)} | {here.ratio:.2f} ({here.low:.2f} to {here.high:.2f}), {here.word} |"
    )


def main() -> int:
    """Measure and print, in a microVM where this kernel has no UMCG; the exit code."""
    if not engine.enabled():
        options = vm.VmOptions(frozen=vm.this_python())
        try:
            return vm.execute([sys.executable, __file__], options)
        except vm.VmError as error:
            sys.exit(f"{error}")
    expected, found = rows(), []
    for notebook in dict.fromkeys(row.notebook for row in expected):
        print(f"notebook {notebook}:", flush=True)
        run = run_of(notebook)
        found += [told(row, run) for row in expected if row.notebook == notebook]
    print("", course.begin("figures"), "", sep="\n")
    print("| notebook | what | over what | unit | recorded | here (95 % interval) |")
    print("|---|---|---|---|---|---|", *found, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
