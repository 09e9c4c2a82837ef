# SPDX-License-Identifier: MIT
"""What the simulator predicts beside what the kernel measures, of the same jobs under one policy.

Both carry the same description out, with the same arrivals and the same times of each job, over one
server; in the simulator switching costs what `Costs.counted` says.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from typing import Any

import polars as pl

from labkit import environment, forked
from labkit.experiments import NoUmcgError, ProgressCallback, Update
from labkit.experiments import policy as policy_field
from labkit.experiments.alone import alone
from labkit.native import engine
from labkit.performed import measure
from labkit.records import SAMPLE_SCHEMA
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
    to_dict,
)

#: Threads of a class: more than ever wait at a time in the workloads below.
THREADS = 48
#: A series of a prediction: workload, class, policy.
SERIES = "{}: {} under {}"
#: Jobs of a class, both sides the same ones: three are beyond the 99th percentile.
FEWEST = 300

POLICIES = ("fifo", "rr:slice_us=2000", "priority:slice_us=2000", "las:quantum_us=2000", "edf")

Samples = list[tuple[str, int, float, str, int]]


def _class(name: str, rate: float, time: Any, jobs: int, **fields: Any) -> Class:
    return Class(
        name=name,
        arrivals=Poisson(rate),
        phases=(Compute(time),),
        jobs=jobs,
        threads=THREADS,
        **fields,
    )


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
                    threads=THREADS,
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


def _samples(workload: Workload, policy: str, measured: Run, costs: Costs) -> Samples:
    """Both figures and their ratio, of each class."""
    simulated = simulate(policy, workload, servers=1, costs=costs, events=0).samples
    found: Samples = []
    for each in workload.classes:
        for suffix in ("", "/p99"):
            of = (pl.col("series") == f"{policy}/{each.name}{suffix}") & (pl.col("unit") == "ns")
            real, n = measured.samples.filter(of).select("value", "n").row(0)
            virtual = float(simulated.filter(of)["value"][0])
            series = SERIES.format(workload.name, each.name, policy) + suffix
            for value, unit in (
                (virtual, "simulated ns"),
                (real, "measured ns"),
                (virtual / real, "ratio"),
            ):
                found.append((series, 0, value, unit, n))
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
        what: workloads; None: five.
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
        WorkloadError: a workload cannot be.
        PolicyFault: a policy is wrong.
        Busy: another experiment runs on this machine.
    """
    forked.check()
    if not engine.enabled():
        raise NoUmcgError("a prediction is compared with this kernel, which has no UMCG")
    for text in policies:
        policy_field.check("policies", text)
    chosen = workloads() if what is None else tuple(what)
    pairs = [(workload, text) for workload in chosen for text in policies]
    samples: Samples = []
    stopped = False
    with alone("prediction"):
        rate = instructions_per_ns(environment.cpus()[0])
        costs = Costs.counted(rate)
        for done, (workload, text) in enumerate(pairs):
            if progress:
                progress(Update(done, len(pairs), f"{workload.name} under {text}"))
            measured = measure(text, workload, stop=stop)
            if measured.counters.get("stopped"):
                stopped = True
                break
            samples += _samples(workload, text, measured, costs)
    return Run(
        spec={
            "experiment": "prediction",
            "workloads": [to_dict(workload) for workload in chosen],
            "policies": list(policies),
            "costs": dataclasses.asdict(costs),
            "instructions_per_ns": rate,
        },
        environment=environment.collect(),
        samples=pl.DataFrame(samples, schema=SAMPLE_SCHEMA, orient="row"),
        counters={"stopped": int(stopped)},
    )
