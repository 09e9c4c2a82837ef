# SPDX-License-Identifier: MIT
"""Checks of single values, used by every part of a workload when it is made."""

from __future__ import annotations

import math
from typing import Any

from labkit.workload.times import WorkloadError, ns


def set_time(part: Any, name: str) -> int:
    """Make the field `name` of a frozen part whole ns, and return it.

    Raises:
        WorkloadError: it is no time.
    """
    found = ns(getattr(part, name), name)
    object.__setattr__(part, name, found)
    return found


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number within [low, high].

    Raises:
        WorkloadError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise WorkloadError(f"{name} is {value!r}; give a whole number from {low} to {high}")
    if not low <= value <= high:
        raise WorkloadError(f"{name} is {value}; allowed is {low} to {high}")
    return value


def number(name: str, value: Any, low: float, high: float) -> float:
    """A number within [low, high].

    Raises:
        WorkloadError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise WorkloadError(f"{name} is {value!r}; give a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise WorkloadError(f"{name} is {value:g}; allowed is {low:g} to {high:g}")
    return float(value)


def kind(name: str, value: Any, allowed: tuple[type, ...]) -> None:
    """Check that a value is one of these classes.

    Raises:
        WorkloadError: it is not.
    """
    if not isinstance(value, allowed):
        names = ", ".join(sorted(each.__name__ for each in allowed))
        raise WorkloadError(f"{name} is {value!r}; give one of {names}")


def label(name: str, value: Any) -> None:
    """Check that a value is a text that can be a name: printable, at most 100 characters.

    Raises:
        WorkloadError: it is not.
    """
    good = isinstance(value, str) and value.isprintable() and len(value) <= 100
    if not good or not value:
        raise WorkloadError(f"{name} is {value!r}; give a printable text of 1 to 100 characters")
