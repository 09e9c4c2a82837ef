# SPDX-License-Identifier: MIT
"""Figures that others have published. Other machines, other kernels: for context only."""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """One published figure: of what, how much, and where it was said."""

    what: str
    value: str
    source: str


_PLUMBERS = (
    'P. Turner, "User-level threads ... with threads", Linux Plumbers Conference 2013 (SwitchTo)'
)
_FUTEX_SWAP = 'P. Oskolkov, "FUTEX_SWAP", patches to the Linux kernel mailing list, July 2020'
_UNIKERNEL = "NanoVMs, “User Mode Concurrency Groups - Faster than Futexes” (Nanos)"
_GHOST = (
    'J. T. Humphries and others, "ghOSt: Fast & Flexible User-Space Delegation of Linux '
    'Scheduling", SOSP 2021'
)
_BOOST = (
    "Boost.Context 1.87, performance section of its documentation "
    "(boost.org/doc/libs/1_87_0/libs/context/doc/html/context/performance.html)"
)
_GO = "often quoted for Go; no single source is known to us"

PUBLISHED = (
    Figure("a SwitchTo switch", "< 200 ns", _PLUMBERS),
    Figure("futex-swap, a switch, unpinned", "620 ns", _FUTEX_SWAP),
    Figure("futex wake + wait, a switch, unpinned", "4103 ns", _FUTEX_SWAP),
    Figure("the same two, pinned to one CPU", "“very similar”", _FUTEX_SWAP),
    Figure("event-style UMCG, round trips", "209 995 /s", _UNIKERNEL),
    Figure("futex there, round trips", "154 419 /s", _UNIKERNEL),
    Figure("condition variable there, round trips", "100 965 /s", _UNIKERNEL),
    Figure("minimal switch of pthreads", "410 ns", _GHOST),
    Figure("a switch by CFS", "599 ns", _GHOST),
    Figure("ghOSt, scheduling on the same CPU", "888 ns", _GHOST),
    Figure("Boost.Context, no kernel thread behind it", "9 ns", _BOOST),
    Figure("hand-off through a Go channel", "160 ns", _GO),
    Figure("through an OS pipe, beside that", "2.2 µs", _GO),
)
