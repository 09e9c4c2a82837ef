# SPDX-License-Identifier: MIT
"""How fast this machine's time stamp counter counts, for a guest that reads it as its clock.

A guest under TCG has this machine's counter, and finds out its speed at its boot, by comparison
with a timer of QEMU's. Where others keep the machine busy meanwhile it has been found out of order
by a factor of two, and then every time that the guest measures is. So it is told.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import time
from collections.abc import Callable
from functools import cache

#: rdtsc; shl $32, %rdx; or %rdx, %rax; ret
_CODE = bytes.fromhex("0f31 48c1e220 4809d0 c3")

#: Seconds between the two looks at both clocks, and looks of which the quickest is taken.
_APART_S, _LOOKS = 0.05, 100


@cache
def tsc_khz() -> int | None:
    """Thousands of steps a second; None: it cannot be read here."""
    if platform.machine() != "x86_64":
        return None
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:  # a hardened machine
        return None
    page.write(_CODE)
    # The page stays: it is read through a pointer.
    counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    begin_ns, begin = _both(counter)
    time.sleep(_APART_S)
    end_ns, end = _both(counter)
    return round((end - begin) * 1_000_000 / (end_ns - begin_ns))


def _both(counter: Callable[[], int]) -> tuple[int, int]:
    """Time and counter of one moment: where the process is stopped in between does not count."""
    looks = []
    for _ in range(_LOOKS):
        before = time.monotonic_ns()
        steps = counter()
        after = time.monotonic_ns()
        looks.append((after - before, (before + after) // 2, steps))
    _, ns, steps = min(looks)
    return ns, steps
