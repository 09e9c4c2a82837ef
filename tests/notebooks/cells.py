# SPDX-License-Identifier: MIT
"""`python cells.py ARGUMENT...`: pytest that says of a notebook's slow cells how long they took.

What is slow is seen that way, and who looks for what hangs hears of what only takes long.
"""

from __future__ import annotations

import sys
import time

import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

#: Seconds from which on a cell is worth a line.
SLOW = 20

_before: tuple[float, str] | None = None


def _begin(cell: NotebookNode, cell_index: int) -> None:
    """A cell begins, so the one before has ended; a kernel's start before the first is none."""
    global _before
    now = time.monotonic()
    if cell_index and _before and now - _before[0] >= SLOW:
        # Not the stream that pytest keeps to itself.
        print(f"\n{now - _before[0]:6.0f} s  {_before[1]}", file=sys.__stdout__, flush=True)
    first = cell.source.partition("\n")[0]
    _before = now, f"cell {cell_index}: {first}"


def pytest_configure() -> None:
    """Every client that nbmake makes calls it."""
    NotebookClient.on_cell_start.default_value = _begin


if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:], plugins=[sys.modules[__name__]]))
