# SPDX-License-Identifier: MIT
"""What a thread does for a job, step by step. Every `time` is a distribution or a constant time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, Union

from labkit.workload.check import label
from labkit.workload.distributions import Distribution, Time, set_distribution
from labkit.workload.times import WorkloadError


@dataclass(frozen=True)
class Compute:
    """Use a CPU for this long."""

    time: Distribution | Time

    def __post_init__(self) -> None:
        set_distribution(self, "time")


@dataclass(frozen=True)
class Sleep:
    """Sleep for this long: a timer."""

    time: Distribution | Time

    def __post_init__(self) -> None:
        set_distribution(self, "time")


@dataclass(frozen=True)
class Io:
    """Ask a device that takes this long to answer; it answers any number of requests at once."""

    time: Distribution | Time

    def __post_init__(self) -> None:
        set_distribution(self, "time")


@dataclass(frozen=True)
class Fault:
    """Touch a page that is not in memory; the disk takes this long.

    On a kernel the disk takes what it takes.
    """

    time: Distribution | Time

    def __post_init__(self) -> None:
        set_distribution(self, "time")


@dataclass(frozen=True)
class Yield:
    """Give the CPU to the next: `sched_yield`."""


@dataclass(frozen=True)
class Lock:
    """Hold the lock `name` through `phases`. Threads that wait get it in the order of asking."""

    name: str
    phases: tuple[Phase, ...]

    def __post_init__(self) -> None:
        label("name", self.name)
        object.__setattr__(self, "phases", phases_of(self.phases))
        if self.name in inner_locks(self.phases):
            raise WorkloadError(
                f"the lock {self.name!r} is taken while it is held; a thread would wait for itself"
            )


Phase: TypeAlias = Union[Compute, Sleep, Io, Fault, Yield, Lock]  # noqa: UP007

#: Every phase by the name it has in files.
PHASES: dict[str, type] = {
    "compute": Compute,
    "sleep": Sleep,
    "io": Io,
    "fault": Fault,
    "yield": Yield,
    "lock": Lock,
}


def phases_of(given: object) -> tuple[Phase, ...]:
    """A sequence of one or more phases, as a tuple.

    Raises:
        WorkloadError: it is not.
    """
    if not isinstance(given, list | tuple) or not given:
        raise WorkloadError("phases is empty; give at least one, such as compute")
    for phase in given:
        if not isinstance(phase, tuple(PHASES.values())):
            names = ", ".join(PHASES)
            raise WorkloadError(f"phases: {phase!r} is no phase; there are {names}")
    return tuple(given)


def all_phases(phases: tuple[Phase, ...]) -> Iterator[Phase]:
    """These phases, with those inside locks."""
    for phase in phases:
        yield phase
        if isinstance(phase, Lock):
            yield from all_phases(phase.phases)


def inner_locks(phases: tuple[Phase, ...]) -> Iterator[str]:
    """Names of all locks that these phases take, with those inside others."""
    return (phase.name for phase in all_phases(phases) if isinstance(phase, Lock))
