# SPDX-License-Identifier: MIT
"""A workload as data on UMCG: every kind of step, under policies in C and in Python."""

import dataclasses

import polars as pl
import pytest
from python_policies import Las

import labkit
from labkit.model.invariants import check
from labkit.sim import simulate
from labkit.sim.trials import BLOCKING
from labkit.workload import Class, Compute, Periodic, Trace, Workload


class SlowLas(Las):
    quantum_ns = 500_000


#: Locks, I/O, sleep, yields, pages; open and closed loops; fewer jobs, as a kernel needs its time.
WORK = dataclasses.replace(BLOCKING, duration="600us")


@pytest.mark.parametrize(
    "policy",
    [
        "fifo",
        *(
            pytest.param(p, marks=pytest.mark.long)
            for p in ("las:quantum_us=500", "steal", SlowLas)
        ),
    ],
)
def test_every_job_is_done_and_the_trace_is_sound(policy):
    run = labkit.perform(policy, WORK, events=4000)
    name = run.spec["policy"]
    for each in WORK.classes:
        # Closed loops think from when a job has ended, so that their number is the machine's.
        assert run.counters[f"{name}/{each.name}:done"] > 0
    come = simulate("fifo", WORK).counters
    for each in ("get", "tick"):
        assert run.counters[f"{name}/{each}:done"] == come[f"fifo/{each}:come"]
    assert run.counters["lost"] == 0
    verdict = check(run.events, run.tasks)
    assert verdict.violations.height == 0, verdict.violations
    kinds = set(run.events["kind"].unique())
    assert {"register", "run", "block", "wake", "op", "unregister"} <= kinds


def test_a_policy_sees_what_the_workload_says_of_a_job():
    seen = {}

    class Sees(Las):
        may_starve = True

        def ready(self, thread, why):
            super().ready(thread, why)
            seen.setdefault(thread.klass, []).append(
                (why, thread.weight, thread.priority, thread.tenant, thread.expected_ns)
            )

    near = Class(
        name="near",
        arrivals=Trace((0, "1ms")),
        phases=(Compute("10us"), Compute("20us")),
        weight=7,
        priority=3,
        tenant=9,
        size_known=True,
    )
    far = Class(name="far", arrivals=Periodic("1ms"), phases=(Compute("5us"),), jobs=4, threads=1)
    labkit.perform(Sees, Workload(classes=(near, far)))
    assert set(seen) == {"near", "far"}
    assert all(one[1:] == (7, 3, 9, 30_000) for one in seen["near"])
    assert [one[0] for one in seen["near"]].count("new") == 2
    assert [one[0] for one in seen["far"]].count("new") == 1


def test_late_jobs_are_dropped_where_the_policy_says_so():
    """Jobs that wait behind a long one are late before they run; edf may give them up."""
    work = Workload(
        classes=(
            Class(name="long", arrivals=Trace((0,)), phases=(Compute("30ms"),), threads=1),
            Class(
                name="short",
                arrivals=Periodic("1ms", "5ms"),
                phases=(Compute("10us"),),
                jobs=10,
                threads=10,
                deadline="1us",
            ),
        )
    )
    run = labkit.perform("edf:late=drop", work)
    done = run.counters["edf:late=drop/short:done"]
    assert run.counters["edf:late=drop/short:dropped"] + done == 10 and done < 10
    assert run.samples.filter(pl.col("series") == "edf:late=drop/long").height
