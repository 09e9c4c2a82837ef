# SPDX-License-Identifier: MIT
"""The jobs of a workload, drawn once, so that kernel and simulator get the same ones."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.workload.arrivals import Periodic, Poisson, Trace
from labkit.workload.distributions import Bimodal, Empirical, Exponential, Uniform
from labkit.workload.model import Class, Workload
from labkit.workload.phases import Compute
from labkit.workload.times import WorkloadError


@dataclass(frozen=True)
class Jobs:
    """The jobs of a workload, drawn: of each, in order of arrival, and as a workload again."""

    workload: Workload
    arrival_ns: npt.NDArray[np.uint64]
    service_ns: npt.NDArray[np.int64]
    klass: npt.NDArray[np.int64]

    def of(self, field: str) -> npt.NDArray[np.int64]:
        """A number of each job's class, 0 where it has none."""
        values = [int(getattr(each, field) or 0) for each in self.workload.classes]
        return np.asarray(values, np.int64)[self.klass]


def _times(of: object, count: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    if isinstance(of, Exponential):
        return np.rint(random.exponential(float(of.mean), count)).astype(np.int64)
    if isinstance(of, Uniform):
        return random.integers(int(of.low), int(of.high) + 1, count)
    if isinstance(of, Bimodal):
        long = random.random(count) < of.share
        return np.where(long, int(of.long), int(of.short)).astype(np.int64)
    if isinstance(of, Empirical):
        values = np.asarray(of.values, np.int64)
        return np.resize(values, count) if of.in_order else random.choice(values, count)
    value = getattr(of, "value", None)
    if value is None:
        raise WorkloadError(f"{type(of).__name__} times cannot be drawn yet; give another")
    return np.full(count, int(value), np.int64)


def _arrivals(each: Class, random: np.random.Generator) -> npt.NDArray[np.int64]:
    if isinstance(each.arrivals, Trace):
        return np.asarray(each.arrivals.times, np.int64)[: each.jobs]
    if each.jobs is None:
        raise WorkloadError(f"class {each.name!r} has no number of jobs; give jobs")
    if isinstance(each.arrivals, Poisson):
        gaps = random.exponential(1e9 / each.arrivals.rate_per_s, each.jobs)
        return np.rint(np.cumsum(gaps)).astype(np.int64)
    if isinstance(each.arrivals, Periodic):
        return int(each.arrivals.offset) + np.arange(each.jobs) * int(each.arrivals.period)
    raise WorkloadError(
        f"class {each.name!r} is a closed loop; jobs are drawn that come by themselves"
    )


def draw(workload: Workload, threads: int) -> Jobs:
    """The jobs of a workload whose classes compute once a job, in an open loop.

    As a workload again each class has so many threads.

    Raises:
        WorkloadError: it has another class.
    """
    random = np.random.default_rng(workload.seed)
    classes, arrivals, services = [], [], []
    for each in workload.classes:
        phase = each.phases[0]
        if len(each.phases) > 1 or each.repeat > 1 or not isinstance(phase, Compute):
            raise WorkloadError(
                f"class {each.name!r} does more than compute once; that cannot be drawn"
            )
        came = _arrivals(each, random)
        needs = np.maximum(1, _times(phase.time, len(came), random))
        arrivals.append(came)
        services.append(needs)
        classes.append(
            dataclasses.replace(
                each,
                arrivals=Trace(tuple(came.tolist())),
                phases=(Compute(Empirical(tuple(needs.tolist()), in_order=True)),),
                jobs=None,
                threads=threads,
            )
        )
    arrival = np.concatenate(arrivals)
    order = np.argsort(arrival, kind="stable")
    number = np.concatenate([np.full(len(came), i) for i, came in enumerate(arrivals)])
    drawn = dataclasses.replace(workload, classes=tuple(classes), duration=None)
    service = np.concatenate(services)[order]
    return Jobs(drawn, arrival[order].astype(np.uint64), service, number[order])
