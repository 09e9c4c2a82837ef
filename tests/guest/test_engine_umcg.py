# SPDX-License-Identifier: MIT
"""The engine on UMCG: every method and workload, with events that obey the protocol."""

import itertools
import tempfile
import threading

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from labkit.experiments.common import event_table
from labkit.model import invariants
from labkit.model.states import PREEMPTED, is_legal
from labkit.native import engine
from labkit.trace import schema

METHODS = [name for name in engine.METHODS if name.startswith("umcg")]
WORKS = [name for name in engine.WORKS if name != "spin"]


def each_once(names, others):
    """Every combination; each name and each of the others in `make test`, the rest is `matrix`."""
    return [
        pytest.param(name, other, marks=[] if k == n % len(others) else [pytest.mark.matrix])
        for n, name in enumerate(names)
        for k, other in enumerate(others)
    ]


def chains(outcome):
    """Each task's state changes are legal, and each begins where the last one ended."""
    roles = {task.tid: task.role for task in outcome.tasks}
    now = {}
    for row in event_table(outcome.events).iter_rows(named=True):
        if row["kind"] == "op":
            continue
        tid = row["tid"]
        what = f"{roles[tid]} {row['kind']} {row['old']} -> {row['new']}"
        assert is_legal(roles[tid], row["kind"], row["old"], row["new"]), what
        assert row["old"] == now.get(tid, "none"), what
        now[tid] = row["new"]
    assert set(now.values()) <= {"none"}
    tasks = schema.tasks(
        {"tid": task.tid, "role": task.role, "name": "", "series": ""} for task in outcome.tasks
    )
    verdict = invariants.check(event_table(outcome.events), tasks)
    assert verdict.result == "PASSED", verdict.violations.rows()


@pytest.mark.parametrize(("method", "cpu"), each_once(METHODS, (0, None)))
def test_swap(method, cpu):
    outcome = engine.swap(method, cpu=cpu, rounds=100, warmup=10, events=1000)
    assert outcome.values["rounds"] == 100
    assert outcome.tasks[0].ops == 100
    assert sum(task.lost for task in outcome.tasks) == 0
    chains(outcome)


@pytest.mark.parametrize("method", METHODS)
def test_a_swap_stops(method):
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(engine.Stopped):
        engine.swap(method, cpu=None, rounds=1 << 60, stop=stop)


@pytest.mark.parametrize(("work", "servers"), each_once(WORKS, (1, 3)))
def test_load(work, servers):
    with tempfile.TemporaryFile() as file:
        file.write(bytes(4096 * 6))
        file.flush()
        outcome = engine.load(
            work,
            umcg=True,
            workers=6,
            servers=servers,
            max_ops=60,
            busy_us=30,
            idle_us=300,
            file=file.fileno(),
            events=20_000,
        )
    assert sum(task.ops for task in outcome.tasks if task.role == "worker") >= 60
    assert sum(task.lost for task in outcome.tasks) == 0
    chains(outcome)


@pytest.mark.parametrize("work", ["pipe", "lock", "fault", "storm-wait", "spin"])
def test_a_load_stops(work):
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with tempfile.TemporaryFile() as file:
        file.write(bytes(4096 * 4))
        file.flush()
        with pytest.raises(engine.Stopped):
            engine.load(
                work,
                umcg=True,
                workers=4,
                servers=1,
                busy_us=100,
                idle_us=20_000,
                policy="rr:slice_us=2000",
                file=file.fileno(),
                stop=stop,
            )


@pytest.mark.parametrize("servers", [1, 2])
def test_runaways_are_preempted_and_all_get_on(servers):
    outcome = engine.load(
        "spin",
        umcg=True,
        workers=5,
        urgent=1,
        servers=servers,
        cpus=(0, 1)[:servers],
        max_ops=2000,
        busy_us=200,
        urgent_us=50,
        idle_us=5000,
        policy="priority:slice_us=2000",
        events=20_000,
    )
    assert outcome.values["preempts"] > 0
    runaways = [task for task in outcome.tasks if task.role == "worker" and not task.urgent]
    assert all(task.ops > 0 for task in runaways)
    rows = event_table(outcome.events)
    assert rows.filter(pl.col("kind") == "preempt").height > 0
    # From here to its next turn it is drawn hatched.
    flagged = rows.filter(pl.col("flags") == PREEMPTED)
    assert_frame_equal(flagged, rows.filter(pl.col("kind") == "preempt"))
    chains(outcome)


def test_a_server_without_work_is_idle_until_it_is_woken():
    """One worker, mostly asleep: after each block its server waits, and is told so."""
    outcome = engine.load(
        "sleep", umcg=True, workers=1, servers=1, max_ops=5, idle_us=20_000, events=1000
    )
    (server,) = (task.tid for task in outcome.tasks if task.role == "server")
    rows = event_table(outcome.events).filter(pl.col("tid") == server)
    kinds = rows["kind"].cast(pl.String).to_list()
    assert kinds.count("wait") > 1
    pairs = itertools.pairwise(kinds)
    assert all(after == "wake" for before, after in pairs if before == "wait")
    waiting = rows.filter(pl.col("kind") == "wait")
    assert set(waiting["new"]) == {"idle"}
    assert waiting["peer"].sum() == 0
    chains(outcome)


def test_a_queue_left_to_others_wakes_a_server():
    """More runaways than servers, all preempted: no server sleeps while one of them waits."""
    outcome = engine.load(
        "spin",
        umcg=True,
        workers=3,
        servers=2,
        max_ops=3000,
        busy_us=100,
        policy="rr:slice_us=1000",
        events=20_000,
    )
    chains(outcome)
    servers = {task.tid for task in outcome.tasks if task.role == "server"}
    assert all(task.ops > 0 for task in outcome.tasks if task.tid in servers)
