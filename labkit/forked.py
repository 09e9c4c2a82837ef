# SPDX-License-Identifier: MIT
"""Tables hang in a process that was forked from one that had used them: said instead of waited for.

Polars computes in threads of its own. fork() copies what they share, its locks among it, but none
of the threads: the child waits for them for ever. See "Multiprocessing" in polars' user guide.
"""

from __future__ import annotations

import os
import re
from pathlib import Path


class ForkedProcess(RuntimeError):
    """This process cannot use tables; `str()` says why and what to do."""


def _polars_runs() -> bool:
    """Has polars begun its threads in this process?"""
    for name in Path("/proc/self/task").glob("*/comm"):
        try:
            if re.match(r"polars-\d", name.read_text(encoding="utf-8", errors="replace")):
                return True
        except OSError:  # the thread has ended
            continue
    return False


class _Fork:
    """What is known about the last fork."""

    in_use = False
    hangs = False


def _before() -> None:
    _Fork.in_use = _polars_runs()


def _in_child() -> None:
    _Fork.hangs = _Fork.hangs or _Fork.in_use


os.register_at_fork(before=_before, after_in_child=_in_child)


def check() -> None:
    """To be called before the first table is used.

    Raises:
        ForkedProcess: this one was forked from a process that had used tables.
    """
    if _Fork.hangs:
        raise ForkedProcess(
            "this process was forked from one that had used tables (an experiment, a saved run), "
            'and tables hang here; start it with multiprocessing.get_context("spawn")'
        )
