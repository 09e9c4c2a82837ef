# SPDX-License-Identifier: MIT
"""labkit.umcg: Python threads as servers, workers and basic tasks."""

import errno
import signal
import threading
import time
from contextlib import suppress

import pytest

from labkit import umcg
from labkit.umcg import State

#: What takes longer hangs.
PATIENCE_S = 300


def test_the_kernel_has_it():
    assert umcg.enabled()


def serve(group, workers, servers=1):
    """Serve in threads of their own, so that a hang fails the test and does not hang it."""
    thread = threading.Thread(target=group.serve, args=(workers, servers), daemon=True)
    thread.start()
    return thread


def finish(*threads):
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@pytest.mark.parametrize("servers", [1, 2, 3])
def test_python_workers(servers):
    done = []
    with umcg.Group() as group:
        threads = [group.start_worker(done.append, i) for i in range(5)]
        finish(serve(group, 5, servers), *threads)
    assert sorted(done) == list(range(5))


def test_workers_that_sleep_hold_the_lock_and_compute():
    """The interpreter lock goes from hand to hand among workers of two servers."""
    counts = [0] * 4
    lock = threading.Lock()

    def work(i):
        for _ in range(20):
            with lock:
                counts[i] += 1
                time.sleep(0.0005)
            sum(range(2000))

    with umcg.Group() as group:
        threads = [group.start_worker(work, i) for i in range(4)]
        finish(serve(group, 4, 2), *threads)
    assert counts == [20] * 4


def test_basic_tasks_swap():
    order = []
    ready = threading.Barrier(2)
    tasks = {}

    def first():
        with umcg.basic_task() as task:
            tasks["first"] = task
            ready.wait(PATIENCE_S)
            for _ in range(10):
                order.append("first")
                umcg.swap(tasks["second"])
            umcg.wake(tasks["second"])

    def second():
        with umcg.basic_task() as task:
            tasks["second"] = task
            ready.wait(PATIENCE_S)
            umcg.wait()
            for _ in range(10):
                order.append("second")
                umcg.swap(tasks["first"])

    threads = [threading.Thread(target=body, daemon=True) for body in (first, second)]
    for thread in threads:
        thread.start()
    finish(*threads)
    assert order == ["first", "second"] * 10


def test_a_wait_times_out():
    with umcg.basic_task():
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            umcg.wait(0.05)
        assert time.monotonic() - begin >= 0.05


def test_a_wake_up_is_queued_once_and_consumed():
    with umcg.basic_task() as task:
        task.wake()
        assert task.state.wakeup_queued
        umcg.wait(0)
        assert not task.state.wakeup_queued


def test_a_signal_handler_runs_during_a_wait():
    """The main thread waits; Python's handler raises out of it."""

    class Alarm(Exception):
        pass

    def ring(number, where):
        raise Alarm

    old = signal.signal(signal.SIGALRM, ring)
    try:
        with umcg.basic_task(), pytest.raises(Alarm):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            umcg.wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def test_a_python_policy_runs_native_workers():
    """First in, first out, written in Python: every way a worker comes back is seen."""
    seen = set()
    with (
        umcg.Group() as group,
        group.server() as server,
        group.native_workers("sleep", 3, idle_us=1000, busy_us=50) as leave,
    ):
        left = 3
        while left:
            worker = server.next_idle()
            server.put_idle(worker)
            with pytest.raises(umcg.UmcgError, match="put a worker back"):
                server.put_idle(worker)
            back = server.run(server.next_idle())
            if back is None:
                left -= 1
                seen.add("left")
            else:
                seen.add("blocked")
                leave.set()
                assert back.state.state in (State.BLOCKED, State.IDLE, State.RUNNING)
    assert seen == {"left", "blocked"}


def test_a_python_policy_preempts():
    """Two that only compute take turns: each goes back on the list when it was preempted."""
    turns: dict[umcg.Task, int] = {}
    over = threading.Event()

    def watch():
        while not over.wait(0.001):
            for task in list(turns):
                with suppress(umcg.UmcgError):  # it may have left
                    task.preempt()

    watchdog = threading.Thread(target=watch, daemon=True)
    with (
        umcg.Group(preemption=True) as group,
        group.server() as server,
        group.native_workers("spin", 2) as leave,
    ):
        watchdog.start()
        left = 2
        while left:
            worker = server.next_idle()
            turns[worker] = turns.get(worker, 0) + 1
            if len(turns) == 2 and min(turns.values()) > 3:
                leave.set()
            back = server.run(worker)
            if back is None:
                left -= 1
            elif server.has_preempted(back):
                assert back.state.preempted and back.state.state == State.IDLE
                server.put_idle(back)
        assert not server.has_preempted(worker)
        over.set()
    finish(watchdog)
    assert min(turns.values()) > 3


def test_a_python_policy_refuses_python_workers():
    with umcg.Group() as group:
        thread = group.start_worker(int)
        with group.server() as server:
            while not group._members.python:
                time.sleep(0.01)
            with pytest.raises(umcg.UmcgError, match=r"use Server\.serve"):
                server.next_idle()
            server.serve(1)
        finish(thread)


def test_misuse_is_an_error():
    with pytest.raises(umcg.UmcgError) as caught:
        umcg.wait(0.01)
    assert caught.value.errno == errno.EINVAL
    group = umcg.Group()
    with group.server():
        with pytest.raises(umcg.UmcgError):
            group.close()
        with pytest.raises(umcg.UmcgError), umcg.basic_task():
            pass
    group.close()
    with umcg.basic_task(), pytest.raises(umcg.UmcgError):
        umcg.wake(umcg.Task(12345678))
