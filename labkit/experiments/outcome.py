# SPDX-License-Identifier: MIT
"""What came of requests before one of a contest: in the same words from kernel and simulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.native import serving
from labkit.records import Record
from labkit.workload.drawn import Jobs

#: Quantiles of latencies, by what is added to a series' name.
QUANTILES = {"": 0.5, " p99": 0.99, " p99.9": 0.999}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of work: requests, or work without end.

    Attributes:
        name: as its class in the workload is called.
        threads: that do it.
        endless: it never ends.
        most_waiting: requests that may wait; what comes beyond them is refused (not in the
            simulator); 0: none is.
        priority: what policies may decide by, as the tenant.
        tenant: see `priority`.
        nice: how the baseline of that name tells the kernel, as the next two.
        weight: of its cgroup.
        fifo: SCHED_FIFO priority; 0: stays under CFS.
    """

    name: str
    threads: int
    endless: bool = False
    most_waiting: int = 0
    priority: int = 0
    tenant: int = 0
    nice: int = 0
    weight: int = 100
    fifo: int = 0


@dataclass
class Count:
    """How many requests of a kind came to what end; `late`: answered after their deadline."""

    asked: int
    answered: int
    late: int = 0
    refused: int = 0
    dropped: int = 0

    @property
    def missed(self) -> float:
        """The share of them that was not answered in time."""
        return (self.late + self.refused + self.dropped) / self.asked


@dataclass
class Result:
    """What came of the jobs.

    Attributes:
        quantiles: ns from arrival to answer, by kind and suffix of `QUANTILES`; only those that
            there are enough requests for.
        counts: by kind.
        elapsed_ns: from the first possible arrival to the last answer.
        busy: CPUs kept busy, by work and scheduler together.
        answering_ns: kernel: CPU time of answering, per answer.
        work_ns: kernel: CPU time of everything but endless work.
        endless_ops: operations a second of endless work; None: there is none.
        endless_share: the share of the CPU time that answering left which endless work got.
        latency_ns: kernel: of the answered, by kind.
        late_ns: kernel: how late the client sent each request.
        served: kernel: the whole outcome.
        record: simulator: the record.
    """

    quantiles: dict[str, dict[str, float]]
    counts: dict[str, Count]
    elapsed_ns: int
    busy: float
    answering_ns: float = 0.0
    work_ns: int = 0
    endless_ops: float | None = None
    endless_share: float = 0.0
    latency_ns: dict[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    late_ns: npt.NDArray[np.uint64] | None = None
    served: serving.Served | None = None
    record: Record | None = None


def enough(q: float, n: int) -> bool:
    """Are so many values enough for this quantile?"""
    return n >= round(1 / (1 - q))


def served_result(
    jobs: Jobs, groups: Sequence[serving.Group], served: serving.Served, servers: int
) -> Result:
    """What came of the jobs on the kernel."""
    names = [each.name for each in jobs.workload.classes]
    deadlines = jobs.of("deadline")
    result = Result({}, {}, served.elapsed_ns, served.cpu_ns / served.elapsed_ns, served=served)
    for number, name in enumerate(names):
        mine = jobs.klass == number
        latency = served.latency_ns[mine]
        done = latency >= 0
        late = done & (deadlines[mine] > 0) & (latency > deadlines[mine])
        result.latency_ns[name] = latency[done]
        result.counts[name] = Count(
            asked=int(mine.sum()),
            answered=int(done.sum()),
            late=int(late.sum()),
            refused=int((latency == serving.REFUSED).sum()),
            dropped=int((latency == serving.DROPPED).sum()),
        )
        result.quantiles[name] = {
            suffix: float(np.quantile(latency[done], q))
            for suffix, q in QUANTILES.items()
            if enough(q, int(done.sum()))
        }
    result.late_ns = served.late_ns
    endless = [index for index, group in enumerate(groups) if group.endless]
    answering = sum(served.group_cpu_ns) - sum(served.group_cpu_ns[i] for i in endless)
    answers = sum(count.answered for count in result.counts.values())
    result.answering_ns = answering / max(answers, 1)
    result.work_ns = served.cpu_ns - sum(served.group_cpu_ns[i] for i in endless)
    if endless:
        left = max(served.elapsed_ns * servers - answering, 1)
        result.endless_share = sum(served.group_cpu_ns[i] for i in endless) / left
        ops = sum(served.group_ops[i] for i in endless)
        result.endless_ops = ops * 1e9 / served.elapsed_ns
    return result


def simulated_result(kinds: Sequence[Kind], record: Record, servers: int) -> Result:
    """What came of the jobs in the simulator."""
    text, counters = record.spec["policy"], record.counters
    now = int(counters["virtual_ns"])
    busy = (counters["utilisation"] + counters["overhead"]) * servers
    result = Result({}, {}, now, busy, record=record)
    suffixes = {"": "", " p99": "/p99", " p99.9": "/p99.9"}
    served = 0
    for kind in kinds:
        found = {
            name: int(counters[f"{text}/{kind.name}:{name}"])
            for name in ("come", "done", "late", "dropped", "service_ns")
        }
        if kind.endless:
            result.endless_ops = (result.endless_ops or 0) + found["done"] * 1e9 / now
            result.endless_share += found["service_ns"]
            continue
        served += found["service_ns"]
        # Who is told that nobody wants its request any more still does it in the simulator.
        result.counts[kind.name] = Count(
            asked=found["come"],
            answered=found["done"] - found["dropped"],
            late=found["late"],
            dropped=found["dropped"],
        )
        result.quantiles[kind.name] = {
            suffix: float(
                record.samples.filter(
                    (pl.col("series") == f"{text}/{kind.name}{suffixes[suffix]}")
                    & (pl.col("unit") == "ns")
                )["value"][0]
            )
            for suffix, q in QUANTILES.items()
            if enough(q, found["done"])
        }
    result.endless_share /= max(now * servers - served, 1)
    return result
