# SPDX-License-Identifier: MIT
"""Times of a workload: whole nanoseconds, written as `"10us"`, `"1.5ms"`, `"2s"` or a number."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

#: Nanoseconds in each unit that a time may be written in.
UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9}

#: The longest time that a workload may name, in ns (some three years).
LONGEST = 10**17

_TIME = re.compile(r"([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-zµ]+)", re.IGNORECASE)


class WorkloadError(ValueError):
    """A workload cannot be used; `str()` says where, which value, why, and what is allowed."""


def ns(value: Any, what: str) -> int:
    """A time in whole ns: a whole number is ns already, a text has a unit (`UNITS`).

    Raises:
        WorkloadError: it is no time, negative, no whole number of ns, or over `LONGEST`; `what`
            names it in the message.
    """
    if isinstance(value, str):
        match = _TIME.fullmatch(value.strip())
        if not match or match[2] not in UNITS:
            units = ", ".join(UNITS)
            raise WorkloadError(f"{what} is {value!r}; write a time with its unit ({units})")
        exact = Decimal(match[1]) * UNITS[match[2]]
        if exact != int(exact):
            raise WorkloadError(f"{what} is {value!r}; the finest time is 1 ns")
        found = int(exact)
    elif isinstance(value, int) and not isinstance(value, bool):
        found = value
    else:
        raise WorkloadError(f"{what} is {value!r}; give whole nanoseconds or a text such as '10us'")
    if found < 0:
        raise WorkloadError(f"{what} is {value!r}; a time cannot be negative")
    if found > LONGEST:
        raise WorkloadError(f"{what} is {value!r}; the longest time allowed is {text(LONGEST)}")
    return found


def text(time: int) -> str:
    """A time in its largest unit that keeps it exact with at most three decimals: `"1.5ms"`."""
    for unit in ("s", "ms", "us"):
        if time >= UNITS[unit] and time * 1000 % UNITS[unit] == 0:
            return f"{(Decimal(time) / UNITS[unit]).normalize():f}{unit}"
    return f"{time}ns"
