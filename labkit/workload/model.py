# SPDX-License-Identifier: MIT
"""A workload: classes of jobs, each with its arrivals, its phases and what a policy may know."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.workload.arrivals import ARRIVALS, MOST_THREADS, Arrivals, Closed, Trace
from labkit.workload.check import kind, label, set_time, whole
from labkit.workload.distributions import Time
from labkit.workload.phases import Phase, phases_of
from labkit.workload.times import WorkloadError

#: The farthest that a class's priority may be from 0, the normal one.
MOST_PRIORITY = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Class:
    """Jobs of one kind, and the threads that do them.

    Attributes:
        name: its name in tables and figures.
        arrivals: when its jobs come.
        phases: what a thread does for one job.
        repeat: how often it goes through the phases for one job, from 1.
        jobs: after so many jobs no more come; None: until the workload's `duration`. A trace ends
            by itself.
        threads: threads that do the jobs of an open loop; a job waits while all are busy. None: a
            thread of its own for every job, which ends with it. (A closed loop says it itself.)
        weight: share of the CPU beside others, 1 to 1000000, for policies that look at it; 1024 is
            the usual one, as in CFS.
        priority: -1000000 to 1000000, for policies that look at it; a larger number goes first, 0
            is normal, above it is urgent.
        deadline: a job is late when it ends later than this after its arrival; None: never.
        tenant: on whose behalf, 0 to 255, for policies that look at it.
        size_known: a policy is told how long each job is going to compute (`expected_ns`), as the
            shortest-job-first of textbooks has to know.
    """

    name: str
    arrivals: Arrivals
    phases: tuple[Phase, ...]
    repeat: int = 1
    jobs: int | None = None
    threads: int | None = None
    weight: int = 1024
    priority: int = 0
    deadline: Time | None = None
    tenant: int = 0
    size_known: bool = False

    def __post_init__(self) -> None:
        label("name", self.name)
        kind("arrivals", self.arrivals, tuple(ARRIVALS.values()))
        object.__setattr__(self, "phases", phases_of(self.phases))
        whole("repeat", self.repeat, 1, 10**9)
        if self.jobs is not None:
            whole("jobs", self.jobs, 1, 10**12)
        if self.threads is not None:
            whole("threads", self.threads, 1, MOST_THREADS)
            if isinstance(self.arrivals, Closed):
                raise WorkloadError("threads is given twice; a closed loop has its own threads")
        whole("weight", self.weight, 1, 10**6)
        whole("priority", self.priority, -MOST_PRIORITY, MOST_PRIORITY)
        if self.deadline is not None and not set_time(self, "deadline"):
            raise WorkloadError("deadline is 0; every job would be late")
        whole("tenant", self.tenant, 0, 255)
        if not isinstance(self.size_known, bool):
            raise WorkloadError(f"size_known is {self.size_known!r}; give true or false")

    @property
    def ends(self) -> bool:
        """Do its arrivals end without the workload's `duration`?"""
        return self.jobs is not None or isinstance(self.arrivals, Trace)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Everything there is to do in one run.

    Attributes:
        classes: one or more, with different names.
        duration: no job comes at or after this time from the start; those that have come are done
            to their end. None: every class ends by itself.
        seed: of all random times, 0 to 2^63 - 1. A job draws from a stream of its own, so that it
            is the same under every policy.
        name: for tables and figures.
    """

    classes: tuple[Class, ...]
    duration: Time | None = None
    seed: int = 1
    name: str = "workload"

    def __post_init__(self) -> None:
        label("name", self.name)
        if not isinstance(self.classes, list | tuple) or not self.classes:
            raise WorkloadError("classes is empty; give at least one class of jobs")
        object.__setattr__(self, "classes", tuple(self.classes))
        for each in self.classes:
            kind("classes", each, (Class,))
        names = [each.name for each in self.classes]
        for name in names:
            if names.count(name) > 1:
                raise WorkloadError(f"two classes are named {name!r}; give each a name of its own")
        whole("seed", self.seed, 0, 2**63 - 1)
        if self.duration is not None:
            set_time(self, "duration")
            return
        for each in self.classes:
            if not each.ends:
                raise WorkloadError(
                    f"class {each.name!r} never ends; give its jobs or the workload's duration"
                )
