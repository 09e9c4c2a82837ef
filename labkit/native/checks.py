# SPDX-License-Identifier: MIT
"""What the C engine may be given. C trusts its caller: a wrong value would be a crash there."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Iterable
from pathlib import Path

#: Threads of one run; each has a stack of its own.
MOST_THREADS = 100_000
#: CPUs that a measurement can name (`LAB_MAX_CPUS`), and the highest number of one.
MOST_CPUS, HIGHEST_CPU = 64, 1023
#: Seconds that a measurement may be asked to take: thirty years.
MOST_SECONDS = 1e9


def whole(low: int, high: int, **values: object) -> None:
    """Each value is a whole number from `low` to `high`.

    Raises:
        ValueError: naming the one that is not, and what is allowed.
    """
    for name, value in values.items():
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_whole or not low <= value <= high:  # type: ignore[operator]
            raise ValueError(f"{name} is {value!r}; give a whole number from {low} to {high}")


def times(unit: float = 1.0, **values: object) -> None:
    """Each value is a time from 0 on, in units of `unit` seconds.

    Raises:
        ValueError: naming the one that is not, and what is allowed.
    """
    high = MOST_SECONDS / unit
    for name, value in values.items():
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_number or math.isnan(value) or not 0 <= value <= high:  # type: ignore[arg-type,operator]
            raise ValueError(f"{name} is {value!r}; give a number from 0 to {high:g}")


def cpus(given: Iterable[object], *, needed: bool = False) -> None:
    """A list of CPUs is one that C has room for, and not empty where one is needed.

    Raises:
        ValueError: it is not.
    """
    numbers_given = list(given)
    if needed and not numbers_given:
        raise ValueError("cpus is empty; give one or more")
    if len(numbers_given) > MOST_CPUS:
        raise ValueError(f"{len(numbers_given)} CPUs are given; give {MOST_CPUS} at most")
    for number in numbers_given:
        whole(0, HIGHEST_CPU, cpu=number)


def available_bytes() -> int:
    """Memory that may still be used here without harm to others; see MemAvailable in proc(5).

    Where there is no such file, all that the machine has.
    """
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) << 10
    return 1 << 62
