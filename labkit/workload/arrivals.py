# SPDX-License-Identifier: MIT
"""When jobs come. Times are distances from the start of the run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TypeAlias

from labkit.workload.check import number, set_time, whole
from labkit.workload.distributions import Distribution, Time, set_distribution
from labkit.workload.times import WorkloadError, ns

#: The most threads of one class.
MOST_THREADS = 10_000_000


@dataclass(frozen=True)
class Poisson:
    """An open loop: `rate_per_s` jobs a second on average, each independent of all others."""

    rate_per_s: float

    def __post_init__(self) -> None:
        number("rate_per_s", self.rate_per_s, 1e-6, 1e9)


@dataclass(frozen=True)
class Periodic:
    """A job every `period`, the first at `offset`."""

    period: Time
    offset: Time = 0

    def __post_init__(self) -> None:
        set_time(self, "offset")
        if not set_time(self, "period"):
            raise WorkloadError("period is 0; all jobs would come at once, without end")


@dataclass(frozen=True)
class Closed:
    """A closed loop: `threads` threads, each begins a job `think` after its last one has ended.

    The first begins at `start`, without thinking.
    """

    threads: int
    think: Distribution | Time = 0
    start: Time = 0

    def __post_init__(self) -> None:
        whole("threads", self.threads, 1, MOST_THREADS)
        set_distribution(self, "think")
        set_time(self, "start")


@dataclass(frozen=True)
class Trace:
    """A job at each of `times`, in order; a time may stand there more than once."""

    times: tuple[Time, ...]

    def __post_init__(self) -> None:
        if isinstance(self.times, str) or not self.times:
            raise WorkloadError("times is empty; give at least one arrival")
        found = tuple(ns(time, f"arrival {i}") for i, time in enumerate(self.times))
        for i, (before, time) in enumerate(itertools.pairwise(found), start=1):
            if time < before:
                raise WorkloadError(
                    f"arrival {i} at {time} ns is before the one above it at {before} ns; sort"
                    " the times"
                )
        object.__setattr__(self, "times", found)


Arrivals: TypeAlias = Poisson | Periodic | Closed | Trace

#: Every kind of arrivals by the name it has in files.
ARRIVALS: dict[str, type] = {
    "poisson": Poisson,
    "periodic": Periodic,
    "closed": Closed,
    "trace": Trace,
}
