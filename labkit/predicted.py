# SPDX-License-Identifier: MIT
"""What the simulator predicts beside what the kernel measures, of the same jobs under one policy.

The jobs are drawn once, so that both have the same arrivals and the same computing. On the kernel a
client sends them to as many threads as may be waiting at a time (`labkit.native.bench`), over
one server; in the simulator switching costs what `Costs.counted` says.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from labkit import environment, forked
from labkit.experiments import NoUmcgError, ProgressCallback, Update
from labkit.experiments import policy as policy_field
from labkit.experiments.alone import alone
from labkit.native import bench, engine
from labkit.record import SAMPLE_SCHEMA
from labkit.run import Run
from labkit.sim import simulate
from labkit.sim.costs import SERVER_ROUND_TRIP, Costs
from labkit.workload import (
    Bimodal,
    Class,
    Compute,
    Exponential,
    Periodic,
    Poisson,
    Uniform,
    Workload,
)
from labkit.workload.drawn import Jobs, draw

#: Threads that answer: more than ever wait at a time in the workloads below.
THREADS = 48
#: A series of a prediction: workload, class, policy.
SERIES = "{}: {} under {}"
#: Jobs of a class, both sides the same ones: three are beyond the 99th percentile.
FEWEST = 300

POLICIES = ("fifo", "rr:slice_us=2000", "priority:slice_us=2000", "las:quantum_us=2000", "edf")

Samples = list[tuple[str, int, float, str, int]]


def _class(name: str, rate: float, time: Any, jobs: int, **fields: Any) -> Class:
    return Class(name=name, arrivals=Poisson(rate), phases=(Compute(time),), jobs=jobs, **fields)


def workloads(jobs: int = FEWEST) -> tuple[Workload, ...]:
    """Five workloads for one server, of so many jobs of a class, a fifth of a rare one."""
    near = {"priority": 1, "deadline": "20ms", "tenant": 0}
    far = {"priority": 0, "deadline": "200ms", "tenant": 1}
    return (
        Workload(name="constant", classes=(_class("jobs", 500, "1ms", jobs, deadline="20ms"),)),
        Workload(
            name="exponential",
            classes=(_class("jobs", 600, Exponential("1ms"), jobs, deadline="20ms"),),
        ),
        Workload(
            name="dispersive",
            classes=(_class("jobs", 350, Bimodal("1ms", "20ms", 0.03), jobs, deadline="50ms"),),
        ),
        Workload(
            name="periodic",
            classes=(
                Class(
                    name="jobs",
                    arrivals=Periodic("2ms"),
                    phases=(Compute(Uniform("500us", "2500us")),),
                    jobs=jobs,
                    deadline="10ms",
                ),
            ),
        ),
        Workload(
            name="two classes",
            classes=(
                _class("urgent", 200, "1ms", jobs, **near),
                _class("reports", 40, "10ms", max(jobs // 5, 1), **far),
            ),
        ),
    )


def instructions_per_ns(cpu: int) -> float:
    """How fast this machine goes through a hand-off whose instructions are counted.

    The fastest of some: others only slow it down. Under QEMU's -icount it is 1.
    """
    best = min(
        one.values["elapsed_ns"] / one.values["rounds"]
        for one in (
            engine.swap("umcg-server-worker", cpu=cpu, rounds=2000, warmup=200) for _ in range(5)
        )
    )
    return SERVER_ROUND_TRIP / best


def measured(jobs: Jobs, policy: str, stop: threading.Event | None = None) -> bench.Answers:
    """The jobs on the kernel: workers over one server under this policy, on one CPU."""
    cpus = environment.cpus()
    return bench.requests(
        bench.Crew(umcg=True, workers=THREADS, servers=1, policy=policy),
        arrival_ns=jobs.arrival_ns,
        service_us=jobs.service_ns / 1e3,
        priority=jobs.of("priority").astype(np.int32),
        deadline_ns=jobs.of("deadline").astype(np.uint64),
        cpus=cpus[:1],
        client_cpu=cpus[1] if len(cpus) > 1 else None,
        stop=stop,
    )


def _samples(jobs: Jobs, policy: str, answers: bench.Answers, costs: Costs) -> Samples:
    """Both figures and their ratio, of each class."""
    samples = simulate(policy, jobs.workload, servers=1, costs=costs, events=0).samples
    found: Samples = []
    for index, each in enumerate(jobs.workload.classes):
        late = answers.latency_ns[jobs.klass == index]
        for suffix, q in (("", 50), ("/p99", 99)):
            of = (pl.col("series") == f"{policy}/{each.name}{suffix}") & (pl.col("unit") == "ns")
            simulated = float(samples.filter(of)["value"][0])
            real = float(np.percentile(late, q, method="inverted_cdf"))
            series = SERIES.format(jobs.workload.name, each.name, policy) + suffix
            for value, unit in (
                (simulated, "simulated ns"),
                (real, "measured ns"),
                (simulated / real, "ratio"),
            ):
                found.append((series, 0, value, unit, len(late)))
    return found


def prediction(
    what: Sequence[Workload] | None = None,
    policies: Sequence[str] = POLICIES,
    *,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Latencies that the simulator predicts beside those that this kernel measures.

    Args:
        what: workloads whose classes come in an open loop and compute once a job; None: five.
        policies: by name with options, or the path of a shared object.
        progress: called with an `Update` before each pair of workload and policy.
        stop: an event that ends it early; what is done is returned, `counters["stopped"]` is 1.

    Returns:
        A run whose samples have, of each workload, class and policy (series `SERIES`), the median
        and, as .../p99, the 99th percentile from arrival to end: `simulated ns`, `measured ns`, and
        their `ratio`; `n` jobs. `labkit.plots.plot_prediction` draws it. `spec["costs"]` is what
        switching costs in the simulator, ns; `spec["instructions_per_ns"]` how fast this machine
        goes through what is counted.

    Raises:
        NoUmcgError: this kernel has no UMCG.
        SpecError: there is no such policy or option.
        WorkloadError: a workload does something else.
        PolicyFault: a policy is wrong.
        Busy: another experiment runs on this machine.
    """
    forked.check()
    if not engine.enabled():
        raise NoUmcgError("a prediction is compared with this kernel, which has no UMCG")
    chosen = {text: policy_field.check("policies", text) for text in policies}
    drawn = [draw(each, THREADS) for each in (workloads() if what is None else what)]
    pairs = [(jobs, text) for jobs in drawn for text in chosen]
    samples: Samples = []
    stopped = False
    with alone("prediction"):
        rate = instructions_per_ns(environment.cpus()[0])
        costs = Costs.counted(rate)
        for done, (jobs, text) in enumerate(pairs):
            if progress:
                progress(Update(done, len(pairs), f"{jobs.workload.name} under {text}"))
            try:
                answers = measured(jobs, chosen[text], stop)
            except engine.Stopped:
                stopped = True
                break
            samples += _samples(jobs, text, answers, costs)
    return Run(
        spec={
            "experiment": "prediction",
            "workloads": [jobs.workload.name for jobs in drawn],
            "policies": list(chosen),
            "jobs": [len(jobs.arrival_ns) for jobs in drawn],
            "costs": dataclasses.asdict(costs),
            "instructions_per_ns": rate,
        },
        environment=environment.collect(),
        samples=pl.DataFrame(samples, schema=SAMPLE_SCHEMA, orient="row"),
        counters={"stopped": int(stopped)},
    )
