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

_begun = 0.0


def _begin(cell: NotebookNode, cell_index: int) -> None:
    global _begun
    _begun = time.monotonic()


def _end(cell: NotebookNode, cell_index: int) -> None:
    seconds = time.monotonic() - _begun
    if seconds >= SLOW:
        first = cell.source.partition("\n")[0]
        # Not the stream that pytest keeps to itself.
        print(f"\n{seconds:6.0f} s  cell {cell_index}: {first}", file=sys.__stdout__, flush=True)


def pytest_configure() -> None:
    """Every client that nbmake makes calls these."""
    NotebookClient.on_cell_start.default_value = _begin
    NotebookClient.on_cell_complete.default_value = _end


if __name__ == "__main__":
    sys.exit(pytest.main(sys.argv[1:], plugins=[sys.modules[__name__]]))
