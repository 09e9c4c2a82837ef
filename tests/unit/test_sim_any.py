# SPDX-License-Identifier: MIT
"""Any workload under any policy: every job ends, every invariant holds, time is accounted for."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.model.invariants import check
from labkit.sim import core, policies, tables
from labkit.workload import (
    Class,
    Closed,
    Compute,
    Exponential,
    Io,
    Lock,
    Periodic,
    Poisson,
    Sleep,
    Trace,
    Uniform,
    Workload,
    Yield,
)

short = st.integers(0, 20)
times = st.one_of(short, st.builds(Exponential, short), st.just(Uniform(1, 5)))
simple = st.one_of(
    st.builds(Compute, times), st.builds(Sleep, times), st.builds(Io, times), st.just(Yield())
)
# Locks are taken in one order, so that nothing waits for ever.
inner = st.builds(Lock, st.just("n"), st.lists(simple, min_size=1, max_size=2).map(tuple))
phase = st.one_of(
    simple,
    inner,
    st.builds(Lock, st.just("m"), st.lists(st.one_of(simple, inner), min_size=1, max_size=2)),
)
arrivals = st.one_of(
    st.builds(Poisson, st.sampled_from([1e6, 5e7])),
    st.builds(Periodic, st.integers(1, 30), short),
    st.builds(Closed, st.integers(1, 5), times, short),
    st.builds(Trace, st.lists(short, min_size=1, max_size=5).map(sorted)),
)


@st.composite
def classes(draw: Any, name: str) -> Class:
    of = draw(arrivals)
    return Class(
        name=name,
        arrivals=of,
        phases=(Compute(1), *draw(st.lists(phase, max_size=4))),
        repeat=draw(st.integers(1, 3)),
        jobs=draw(st.integers(1, 20)),
        threads=None if isinstance(of, Closed) else draw(st.none() | st.integers(1, 3)),
        weight=draw(st.sampled_from([1, 1024, 3000])),
        priority=draw(st.integers(-2, 2)),
        deadline=draw(st.none() | st.integers(1, 100)),
        tenant=draw(st.integers(0, 2)),
        size_known=draw(st.booleans()),
    )


@st.composite
def workloads(draw: Any) -> Workload:
    names = "abc"[: draw(st.integers(1, 3))]
    return Workload(classes=[draw(classes(name)) for name in names], seed=draw(st.integers(0, 99)))


OPTIONS = {
    "rr": "slice_us=1",
    "las": "quantum_us=1",
    "edf": "late=drop",
    "fair": "slice_us=1",
    "steal": "slice_us=1",
}
costs = st.sampled_from([(0, 0, 0, 0), (2, 3, 5, 7), (4, 0, 0, 0), (0, 6, 0, 1)])


@pytest.mark.long
@given(workloads(), st.sampled_from(policies.shipped()), st.integers(1, 4), costs)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_workload_under_any_policy(
    workload: Workload, policy: str, servers: int, of: tuple[int, int, int, int]
) -> None:
    options = OPTIONS.get(policy, "")
    wanted = core.Settings(
        servers=servers,
        seed=workload.seed,
        rows=10**6,
        until=None,
        watchdog_ns=10**9,
        **dict(zip(("switch_ns", "block_ns", "preempt_ns", "wake_ns"), of, strict=True)),
    )
    choice, _ = core.choose(policy)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events"
        fd = os.open(file, os.O_WRONLY | os.O_CREAT)
        try:
            found = core.run(choice.policy, options, workload, wanted, fd)
        finally:
            os.close(fd)
        events = tables.event_table(file)
    tasks = tables.task_table(events, workload, policy)
    verdict = check(events, tasks)
    assert verdict.result == "PASSED", f"{verdict}\n{verdict.violations}"
    total = found["total"]
    for each in found["classes"]:
        assert each["done"] + each["dropped"] == each["come"] == each["response"]["n"] or (
            each["dropped"] and each["done"] + each["dropped"] == each["come"]
        )
    assert total["left_ready"] == 0 and total["rows"] == events.height == total["events"]
    # What servers were busy for is what threads have run, and no server is busy for too long.
    busy = sum(each["busy_ns"] for each in found["servers"])
    assert busy == sum(each["service_ns"] for each in found["classes"])
    assert all(s["busy_ns"] + s["cost_ns"] <= total["now_ns"] for s in found["servers"])
    ops = events.filter(pl.col("kind") == "op")
    assert ops.height == sum(each["done"] for each in found["classes"])
    assert int(ops["arg"].sum()) == sum(each["latency"]["sum"] for each in found["classes"])
