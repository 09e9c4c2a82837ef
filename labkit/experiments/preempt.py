# SPDX-License-Identifier: MIT
"""preempt: runaway workers, urgent requests among them, a watchdog; beside CFS time slices."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from labkit.experiments.common import (
    Collector,
    ProgressCallback,
    Spec,
    conduct,
    first_cpus,
    latencies,
)
from labkit.native import engine
from labkit.run import Run


@dataclass(frozen=True, kw_only=True)
class PreemptSpec(Spec):
    """What `preempt` measures.

    Attributes:
        runaways: workers that never stop computing, 1 to 256.
        urgent: workers that sleep, then have a short request, 0 to 256. Over UMCG a dispatcher has
            a runaway preempted for a request at once: it does not wait for the end of a slice.
        servers: servers of the UMCG series and CPUs of both, 1 to the machine's CPUs.
        slice_us: the watchdog preempts a worker that runs longer, 200 to 1000000 microseconds.
        urgent_every_us: sleep of an urgent worker between requests, 100 to 1000000 microseconds.
        urgent_us: computing of one request, 1 to 100000 microseconds.
        chunk_us: a runaway's progress is counted in chunks of so much computing, 10 to 100000
            microseconds.
        duration_s: each value, 0.05 to 60 seconds.
        repetitions: values for each series, 1 to 1000; the series alternate.
        events: room for events of each thread, 1000 to 1000000.
    """

    experiment = "preempt"
    limits: ClassVar = {
        "runaways": (1, 256),
        "urgent": (0, 256),
        "servers": (1, 64),
        "slice_us": (200, 1_000_000),
        "urgent_every_us": (100, 1_000_000),
        "urgent_us": (1, 100_000),
        "chunk_us": (10, 100_000),
        "duration_s": (0.05, 60),
        "repetitions": (1, 1000),
        "events": (1000, 1_000_000),
    }

    runaways: int = 4
    urgent: int = 2
    servers: int = 1
    slice_us: float = 2000.0
    urgent_every_us: float = 5000.0
    urgent_us: float = 100.0
    chunk_us: float = 200.0
    duration_s: float = 0.4
    repetitions: int = 3
    events: int = 20_000


def jain(shares: list[int]) -> float:
    """Jain's fairness index of what each got: 1 all the same, 1/n one got everything.

    R. Jain, D. Chiu, W. Hawe: A Quantitative Measure of Fairness, DEC-TR-301, 1984.
    """
    squares = len(shares) * sum(share * share for share in shares)
    return sum(shares) ** 2 / squares if squares else 0.0


def run(
    spec: PreemptSpec,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Measure. Series `umcg` and `pthread`; samples:

    - `umcg/latency` in `ns`: median from the preemption call to the server running; `n` of them
    - `SERIES/urgent` and `SERIES/urgent p99` in `ns`: median and 99th percentile of an urgent
      request's response, from the end of its sleep to its answer; `n` requests
    - `SERIES` in `jain`: fairness of the CPU time among the runaways; `n` runaways
    - `SERIES` in `op/s`: chunks a second of all runaways; `n` chunks

    Counters `SERIES:probe_cost`: chunks a second untraced over traced; `umcg:preempts`.

    Raises:
        EngineError: a system call failed.
    """
    series = {"umcg": True, "pthread": False} if engine.enabled() else {"pthread": False}
    measure = partial(_measure, spec, series)
    return conduct(spec, len(series) * (spec.repetitions + 1), measure, progress, stop)


def _once(spec: PreemptSpec, umcg: bool, collect: Collector, events: int) -> engine.Outcome:
    return engine.load(
        "spin",
        umcg=umcg,
        workers=spec.runaways + spec.urgent,
        urgent=spec.urgent,
        servers=spec.servers if umcg else 0,
        cpus=first_cpus(spec.servers),
        duration_s=spec.duration_s,
        busy_us=spec.chunk_us,
        urgent_us=spec.urgent_us,
        idle_us=spec.urgent_every_us,
        slice_us=spec.slice_us,
        events=events,
        stop=collect.stop,
        watch=collect.watch,
    )


def _runaways(outcome: engine.Outcome) -> list[engine.Task]:
    return [task for task in outcome.tasks if task.role != "server" and not task.urgent]


def _rate(outcome: engine.Outcome) -> float:
    chunks = sum(task.ops for task in _runaways(outcome))
    return chunks * 1e9 / outcome.values["elapsed_ns"]


def _samples(name: str, repetition: int, outcome: engine.Outcome, collect: Collector) -> None:
    runaways = _runaways(outcome)
    chunks = sum(task.ops for task in runaways)
    fair = jain([task.cpu_ns for task in runaways])
    collect.sample(name, repetition, fair, "jain", len(runaways))
    collect.sample(name, repetition, _rate(outcome), "op/s", chunks)
    urgent = latencies(outcome, "op", {task.tid for task in outcome.tasks if task.urgent})
    if len(urgent):
        median, tail = np.percentile(urgent, [50, 99])
        collect.sample(f"{name}/urgent", repetition, median, "ns", len(urgent))
        collect.sample(f"{name}/urgent p99", repetition, tail, "ns", len(urgent))
    late = latencies(outcome, "preempt")
    late = late[late > 0]
    if len(late):
        collect.sample(f"{name}/latency", repetition, float(np.median(late)), "ns", len(late))


def _measure(spec: PreemptSpec, series: dict[str, bool], collect: Collector) -> None:
    rates: dict[str, list[float]] = {name: [] for name in series}
    for repetition in range(spec.repetitions):
        for name, umcg in series.items():
            collect.begin(name)
            outcome = _once(spec, umcg, collect, spec.events)
            _samples(name, repetition, outcome, collect)
            rates[name].append(_rate(outcome))
            if umcg:
                counters = collect.counters
                counters["umcg:preempts"] = (
                    counters.get("umcg:preempts", 0) + outcome.values["preempts"]
                )
            if repetition == 0:
                collect.trace(name, outcome)
            collect.end()
    for name, umcg in series.items():
        collect.begin(f"{name} (untraced)")
        rate = _rate(_once(spec, umcg, collect, 0))
        collect.counters[f"{name}:probe_cost"] = rate / max(float(np.median(rates[name])), 1e-9)
        collect.end()
