# SPDX-License-Identifier: MIT
"""A workload on this machine's threads: the same jobs as in the simulator, every kind of step."""

from __future__ import annotations

import threading
from typing import Any

import polars as pl
import pytest

import labkit
from labkit.experiments import SpecError
from labkit.model.invariants import check
from labkit.native import engine, perform
from labkit.sim import simulate
from labkit.sim.compiled import address, compile_workload, spec
from labkit.workload import (
    Class,
    Closed,
    Compute,
    Empirical,
    Exponential,
    Io,
    Lock,
    Lognormal,
    Periodic,
    Poisson,
    Sleep,
    Trace,
    Uniform,
    Workload,
    WorkloadError,
    Yield,
)

#: Open and closed loops, pools and a thread for each job, every step but faults.
WORK = Workload(
    name="every step",
    classes=(
        Class(
            name="get",
            arrivals=Poisson(4000),
            phases=(Compute(Exponential("5us")), Lock("m", (Compute("1us"),)), Io("20us")),
            threads=3,
            jobs=40,
            deadline="10s",
        ),
        Class(
            name="scan",
            arrivals=Closed(4, think=Uniform(0, "30us")),
            phases=(Compute(Empirical(("10us", "1us"), in_order=True)), Yield()),
            repeat=2,
            jobs=42,
        ),
        Class(
            name="tick",
            arrivals=Periodic("500us", "7us"),
            phases=(Sleep(0), Lock("m", (Sleep(Lognormal("2us", 1.0)), Lock("n", (Compute(9),))))),
            size_known=True,
            jobs=20,
        ),
    ),
)


def carry_out(workload: Workload, **given: Any) -> perform.Performance:
    made = compile_workload(workload)
    of = spec(workload, made, seed=workload.seed)
    settings = {"umcg": False, "servers": 0, "cpus": (), "client_cpu": None} | given
    return perform.perform(address(of), len(workload.classes), **settings)


def test_every_job_that_comes_in_the_simulator_is_done_here() -> None:
    run = labkit.perform(None, WORK, events=10_000)
    virtual = simulate("fifo", WORK, servers=1)
    for each in WORK.classes:
        come = virtual.counters[f"fifo/{each.name}:come"]
        assert run.counters[f"pthread/{each.name}:done"] == come > 0
    assert run.counters["lost"] == 0 and run.counters["lost_jobs"] == 0
    assert check(run.events, run.tasks).violations.height == 0
    assert run.spec["experiment"] == "perform" and run.spec["policy"] == "pthread"
    names = set(run.tasks["name"])
    assert {"get 2", "scan 3", "tick 19"} <= names and "tick 20" not in names
    assert set(run.samples["series"]) >= {"pthread/get", "pthread/tick/p99"}


def test_jobs_come_when_they_do_in_the_simulator() -> None:
    found = carry_out(WORK)
    virtual = simulate("fifo", WORK, servers=3)
    done = virtual.events.filter(pl.col("kind") == "op").join(virtual.tasks, on="tid")
    for klass, name in ((0, "get"), (2, "tick")):
        of = done.filter(pl.col("name").str.starts_with(name))
        here = found.jobs["arrived"][found.jobs["klass"] == klass]
        assert sorted((of["t"] - of["arg"]).to_list()) == sorted(here.tolist())
    assert len(found.jobs) == done.height


def test_no_job_ends_before_its_steps_can_be_over() -> None:
    work = Workload(
        classes=(
            Class(name="io", arrivals=Trace((0, 0)), phases=(Io("3ms"), Sleep("2ms")), repeat=2),
            Class(name="held", arrivals=Trace((0,) * 5), phases=(Lock("a", (Sleep("2ms"),)),)),
        )
    )
    jobs = carry_out(work).jobs
    assert len(jobs) == 7
    assert (jobs["began"] >= jobs["arrived"]).all()
    took = jobs["ended"] - jobs["began"]
    assert (took[jobs["klass"] == 0] >= 10_000_000).all()
    # One after the other, whoever asks first. A thread may stand still before it notes its end, so
    # only the time since the first began says that nobody held the lock beside another.
    held = jobs[jobs["klass"] == 1]
    for before, end in enumerate(sorted(held["ended"].tolist())):
        assert end >= held["began"].min() + (before + 1) * 2_000_000


def test_it_can_be_stopped() -> None:
    stop = threading.Event()
    endless = Workload(
        classes=(Class(name="a", arrivals=Closed(3), phases=(Compute("1ms"),), jobs=10**9),)
    )

    def progress(update: Any) -> None:
        if update.live.ops:
            stop.set()

    run = labkit.perform(None, endless, progress=progress, stop=stop)
    assert run.counters["stopped"] == 1


def test_what_cannot_be_is_said() -> None:
    many = Class(name="a", arrivals=Periodic(10), phases=(Compute(1),))
    with pytest.raises(WorkloadError, match=r"more than 100,000 threads; give its classes threads"):
        labkit.perform(None, Workload(classes=(many,), duration="1s"))
    with pytest.raises(SpecError, match="servers is 0; this machine gives 1 to"):
        labkit.perform(None, WORK, servers=0)


@pytest.mark.skipif(engine.enabled(), reason="needs a kernel without UMCG")
def test_a_policy_needs_umcg() -> None:
    with pytest.raises(labkit.experiments.NoUmcgError, match="no UMCG here"):
        labkit.perform("fifo", WORK)
