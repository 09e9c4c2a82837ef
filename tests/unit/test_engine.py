# SPDX-License-Identifier: MIT
"""The engine's baselines: they do what they say, and stop when told."""

import ctypes
import os
import tempfile
import threading
import time

import numpy as np
import pytest

from labkit.native import engine
from labkit.records import KINDS, STATES

BASELINES = [name for name in engine.METHODS if not name.startswith("umcg")]
WORKS = list(engine.WORKS)

#: Of linux/prctl.h; 0 stands for what it was at first.
PR_SET_TIMERSLACK = 29


@pytest.mark.parametrize("method", BASELINES)
@pytest.mark.parametrize("cpu", [0, None])
def test_a_swap_does_its_rounds(method, cpu):
    cpu = None if cpu is None else min(os.sched_getaffinity(0))
    outcome = engine.swap(method, cpu=cpu, rounds=50, warmup=5, events=200)
    assert outcome.values["rounds"] == 50
    assert [task.role for task in outcome.tasks] == ["thread", "thread"]
    leader = outcome.tasks[0]
    assert leader.ops == 50
    mine = outcome.events[outcome.events["tid"] == leader.tid]
    assert np.count_nonzero(mine["kind"] == KINDS.index("op")) == 50
    assert [KINDS[k] for k in mine["kind"][[0, -1]]] == ["register", "unregister"]
    assert all(np.diff(outcome.events["t"]) >= 0)
    if cpu is not None:
        assert set(outcome.events["cpu"]) == {cpu}


@pytest.mark.parametrize("warmup", [0, 3])
@pytest.mark.parametrize("method", BASELINES)
def test_one_turn_is_never_held_by_both(method, warmup):
    outcome = engine.swap(method, cpu=None, rounds=100, warmup=warmup, events=1000)
    rows = outcome.events[outcome.events["kind"] != KINDS.index("op")]
    running = set()
    for row in rows:
        if STATES[row["new"]] == "running":
            assert not running
            running.add(row["tid"])
        else:
            running.remove(row["tid"])
    assert not running


@pytest.mark.parametrize("method", BASELINES)
def test_a_swap_of_a_duration_takes_that_long_and_is_warm(method):
    outcome = engine.swap(method, cpu=None, duration_s=0.02, events=100)
    assert outcome.values["elapsed_ns"] >= 20_000_000
    assert outcome.values["rounds"] == outcome.tasks[0].ops > 0
    # Nobody shows before the warm-up is over.
    first = {row["tid"]: KINDS[row["kind"]] for row in reversed(outcome.events)}
    assert set(first.values()) == {"register"}


def test_a_swap_hands_over_once_at_least():
    # Somebody else may have the CPU until a short duration is over.
    assert engine.swap("pipe", cpu=None, duration_s=1e-9).values["rounds"] > 0


def test_lost_events_are_counted():
    outcome = engine.swap("pipe", cpu=None, rounds=100, events=30)
    for task in outcome.tasks:
        assert task.lost == 3 * task.ops + 2 - 30


@pytest.mark.parametrize("work", WORKS)
def test_a_load_works_and_its_states_alternate(work):
    with tempfile.TemporaryFile() as file:
        file.write(bytes(4096 * 4))
        file.flush()
        outcome = engine.load(
            work,
            umcg=False,
            workers=4,
            max_ops=40,
            busy_us=20,
            idle_us=200,
            file=file.fileno(),
            events=50_000,
        )
    assert len(outcome.tasks) == 4
    assert sum(task.ops for task in outcome.tasks) >= 40
    assert all(task.cpu_ns > 0 for task in outcome.tasks)
    for task in outcome.tasks:
        rows = outcome.events[outcome.events["tid"] == task.tid]
        rows = rows[rows["kind"] != KINDS.index("op")]
        assert all(rows["old"][1:] == rows["new"][:-1])


def test_storms_are_counted():
    outcome = engine.load("storm-futex", umcg=False, workers=5, max_ops=7, idle_us=100)
    assert sum(task.ops for task in outcome.tasks) >= 5 * 7


def test_no_thread_has_run_before_it_was_woken():
    """From a stop on the waker waits for nobody: the next call may come while a thread notes this
    one. Naps as short as can be make that likely: without care it is seen in one of twelve loads.
    """
    slack = ctypes.CDLL(None).prctl
    assert slack(PR_SET_TIMERSLACK, 1, 0, 0, 0) == 0
    try:
        for _ in range(100):
            outcome = engine.load(
                "storm-futex",
                umcg=False,
                workers=64,
                cpus=(min(os.sched_getaffinity(0)),),
                max_ops=1,
                idle_us=0.001,
                events=50,
            )
            took = outcome.events["arg"][outcome.events["kind"] == KINDS.index("op")]
            assert took.size and took.min() >= 0
    finally:
        slack(PR_SET_TIMERSLACK, 0, 0, 0, 0)  # as it was


def gone(tids, within=300.0):
    """Are all threads but these gone? The one that ran the engine needs a moment after it."""
    end = time.monotonic() + within
    while not set(os.listdir("/proc/self/task")) <= tids:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("work", WORKS)
def test_a_stop_ends_every_thread_wherever_it_is(work):
    tids = set(os.listdir("/proc/self/task"))
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with tempfile.TemporaryFile() as file:
        file.write(bytes(4096 * 8))
        file.flush()
        with pytest.raises(engine.Stopped):
            engine.load(
                work,
                umcg=False,
                workers=8,
                idle_us=300_000,
                busy_us=1_000_000,
                file=file.fileno(),
                stop=stop,
            )
    assert gone(tids)


def test_a_swap_stops_too():
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    with pytest.raises(engine.Stopped):
        engine.swap("condvar", cpu=None, rounds=1 << 60, stop=stop)


@pytest.mark.parametrize("measure", ["swap", "load"])
def test_a_stop_before_the_start_measures_nothing(measure):
    stop = threading.Event()
    stop.set()
    with pytest.raises(engine.Stopped):
        if measure == "swap":
            engine.swap("pipe", cpu=None, rounds=1, stop=stop)
        else:
            engine.load("sleep", umcg=False, workers=1, duration_s=0.001, stop=stop)


def test_progress_is_seen_while_it_runs():
    seen = []
    stop = threading.Event()

    def look(progress):
        seen.append(progress)
        if progress.live == 3 and progress.ops:
            stop.set()

    with pytest.raises(engine.Stopped):
        engine.load("sleep", umcg=False, workers=3, idle_us=1000, stop=stop, watch=look)
    counts = [progress.ops for progress in seen]
    assert counts == sorted(counts)


def test_too_many_events_is_an_error_not_a_crash():
    with pytest.raises(engine.EngineError, match="ask for fewer"):
        engine.swap("pipe", cpu=None, rounds=1, events=0xFFFFFFFF)


def test_a_failing_workload_says_what_failed():
    with pytest.raises(engine.EngineError, match="EBADF"):
        engine.load("fault", umcg=False, workers=2, duration_s=1, file=-1)


def test_a_file_too_small_for_its_faults_is_refused(tmp_path):
    path = tmp_path / "pages"
    path.write_bytes(bytes(4096 * 3))
    with open(path, "rb") as file, pytest.raises(engine.EngineError, match="EINVAL"):
        engine.load("fault", umcg=False, workers=4, max_ops=4, file=file.fileno())


def test_a_worker_touches_all_of_its_pages(tmp_path):
    path = tmp_path / "pages"
    path.write_bytes(bytes(4096 * 2 * 5 + 100))
    with open(path, "rb") as file:
        outcome = engine.load("fault", umcg=False, workers=2, max_ops=50, file=file.fileno())
    assert sum(task.ops for task in outcome.tasks) >= 50


@pytest.mark.skipif(engine.enabled(), reason="this kernel has UMCG; tests/guest covers it")
def test_umcg_on_a_kernel_without_is_an_error():
    with pytest.raises(engine.EngineError, match="ENOSYS"):
        engine.swap("umcg-swap", cpu=None, rounds=1)
