# SPDX-License-Identifier: MIT
"""How long something takes: constants and random times, in ns, drawn by `labkit/sim/random.c`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from labkit.workload.check import number, set_time
from labkit.workload.times import WorkloadError, ns

#: A time as it may be given: whole ns, or a text with its unit. Once made, fields hold whole ns.
Time: TypeAlias = int | str


@dataclass(frozen=True)
class Constant:
    """Always `value` (a time)."""

    value: Time

    def __post_init__(self) -> None:
        set_time(self, "value")


@dataclass(frozen=True)
class Exponential:
    """Exponentially distributed with this `mean` (a time)."""

    mean: Time

    def __post_init__(self) -> None:
        set_time(self, "mean")


@dataclass(frozen=True)
class Uniform:
    """Every whole ns from `low` to `high`, both included, is as likely."""

    low: Time
    high: Time

    def __post_init__(self) -> None:
        if set_time(self, "low") > set_time(self, "high"):
            raise WorkloadError(f"low is {self.low} ns and high {self.high} ns; low comes first")


@dataclass(frozen=True)
class Bimodal:
    """`short`, but with probability `share` (0 to 1) `long`: dispersive service times."""

    short: Time
    long: Time
    share: float

    def __post_init__(self) -> None:
        set_time(self, "short")
        set_time(self, "long")
        number("share", self.share, 0, 1)


@dataclass(frozen=True)
class Lognormal:
    """exp(N(ln median, sigma)): `median` is a time, `sigma` 0 to 10, of the logarithm."""

    median: Time
    sigma: float

    def __post_init__(self) -> None:
        set_time(self, "median")
        number("sigma", self.sigma, 0, 10)


@dataclass(frozen=True)
class Empirical:
    """One of `values` (times): each as likely, or `in_order`.

    In order, the first job of the class gets the first value, and so on, from the start again after
    the last: a trace of service times.
    """

    values: tuple[Time, ...]
    in_order: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.values, str) or not self.values:
            raise WorkloadError("values is empty; give at least one time")
        found = tuple(ns(value, f"value {i}") for i, value in enumerate(self.values))
        object.__setattr__(self, "values", found)
        if not isinstance(self.in_order, bool):
            raise WorkloadError(f"in_order is {self.in_order!r}; give true or false")


Distribution: TypeAlias = Constant | Exponential | Uniform | Bimodal | Lognormal | Empirical

#: Every distribution by the name it has in files.
DISTRIBUTIONS: dict[str, type] = {
    "constant": Constant,
    "exponential": Exponential,
    "uniform": Uniform,
    "bimodal": Bimodal,
    "lognormal": Lognormal,
    "empirical": Empirical,
}


def set_distribution(part: object, name: str) -> None:
    """Make the field `name` of a frozen part a distribution; a time is a constant one.

    Raises:
        WorkloadError: it is neither.
    """
    value = getattr(part, name)
    if not isinstance(value, tuple(DISTRIBUTIONS.values())):
        object.__setattr__(part, name, Constant(ns(value, name)))
