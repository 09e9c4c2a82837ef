# SPDX-License-Identifier: MIT
"""What threads cost, on plain ones; on UMCG see tests/guest."""

import threading

import pytest
from rings import hops_in_time

from labkit import environment
from labkit.native import engine, threads

CPU = environment.cpus()[:1]


@pytest.mark.parametrize("crowd", [1, 16])
def test_spawn(crowd):
    assert threads.spawn(umcg=False, crowd=crowd, crowds=3, cpus=CPU) > 0


def test_parked_threads_are_looked_at_once():
    looks = []
    threads.park(20, umcg=False, look=lambda: looks.append(threading.active_count()))
    assert len(looks) == 1


def test_a_stop_before_all_wait_ends_them():
    stop, looks = threading.Event(), []

    def watch(progress):
        stop.set()

    with pytest.raises(engine.Stopped):
        threads.park(20, umcg=False, look=lambda: looks.append(True), stop=stop, watch=watch)
    assert not looks


@pytest.mark.parametrize(("workers", "tokens"), [(1, 1), (2, 2), (50, 4)])
def test_tokens_go_round(workers, tokens):
    ring = {"workers": workers, "servers": 1, "tokens": tokens}
    assert hops_in_time(umcg=False, cpus=CPU, **ring) > 0


def test_interrupt():
    cpus = environment.cpus()
    late = threads.interrupt(cpu=cpus[0], sender_cpu=cpus[-1], count=5)
    assert len(late) == 5 and late.min() > 0


@pytest.mark.skipif(engine.enabled(), reason="needs a kernel without UMCG")
def test_umcg_where_there_is_none():
    for measure in (
        lambda: threads.spawn(umcg=True, crowd=2, crowds=2),
        lambda: threads.park(2, umcg=True, look=lambda: None),
        lambda: threads.ring(umcg=True, workers=2, servers=1, tokens=1, cpus=CPU, duration_s=0.01),
    ):
        with pytest.raises(engine.EngineError, match="ENOSYS"):
            measure()
