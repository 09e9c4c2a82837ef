# SPDX-License-Identifier: MIT
"""The benchmark's C workloads on plain threads; on UMCG see tests/guest."""

import threading

import numpy as np
import pytest

from labkit import environment
from labkit.native import bench, engine, serving
from labkit.record import KINDS

CPU = environment.cpus()[:1]


@pytest.mark.parametrize("workers", [1, 8])
def test_every_request_is_answered_after_its_arrival(workers):
    service = np.full(60, 20.0)
    service[7] = 2000.0
    arrival = (np.arange(60) * 100_000).astype(np.uint64)
    crew = bench.Crew(umcg=False, workers=workers)
    answers = bench.requests(
        crew, arrival_ns=arrival, service_us=service, cpus=CPU, client_cpu=None
    )
    assert len(answers.latency_ns) == 60
    assert answers.latency_ns.min() > 0
    assert answers.elapsed_ns >= arrival[-1]
    assert answers.cpu_ns > 0


def test_batch_beside_a_umcg_crew_needs_a_slice():
    with pytest.raises(ValueError, match="policy with slices"):
        bench.requests(
            bench.Crew(umcg=True, workers=1, servers=1, batch=1),
            arrival_ns=np.zeros(1, np.uint64),
            service_us=np.zeros(1),
            cpus=CPU,
            client_cpu=None,
        )


def test_batch_works_beside_requests():
    crew = bench.Crew(umcg=False, workers=2, batch=2)
    answers = bench.requests(
        crew,
        arrival_ns=(np.arange(10) * 1_000_000).astype(np.uint64),
        service_us=np.full(10, 10.0),
        cpus=CPU,
        client_cpu=None,
        batch_us=10.0,
    )
    assert answers.batch_ops > 0


def test_a_stop_ends_requests_that_have_not_come():
    stop = threading.Event()
    started = threading.Event()

    def watch(progress):
        started.set()
        stop.set()

    with pytest.raises(engine.Stopped):
        bench.requests(
            bench.Crew(umcg=False, workers=2),
            arrival_ns=(np.arange(200_000) * 1_000_000).astype(np.uint64),
            service_us=np.zeros(200_000),
            cpus=CPU,
            client_cpu=None,
            stop=stop,
            watch=watch,
        )
    assert started.is_set()


def test_what_cannot_be_had_is_an_error_and_ends():
    crew = bench.Crew(umcg=False, workers=1, cgroup=999)
    with pytest.raises(engine.EngineError, match="nice, cgroup"):
        bench.requests(
            crew,
            arrival_ns=np.zeros(1, np.uint64),
            service_us=np.zeros(1),
            cpus=CPU,
            client_cpu=None,
        )


def _serve(groups, service_us, **more):
    count = len(service_us)
    asked = {"arrival_ns": np.zeros(count, np.uint64)}
    asked |= {name: more.pop(name) for name in ("group", "deadline_ns") if name in more}
    return serving.serve(
        groups,
        serving.Requests(service_us=np.asarray(service_us, float), **asked),
        policy=None,
        cpus=CPU,
        client_cpu=None,
        **more,
    )


def test_each_group_answers_its_own_requests():
    one, two = serving.Group(name="one", threads=1), serving.Group(name="two", threads=3)
    group = np.array([0, 1, 1, 0, 1], np.uint8)
    served = _serve([one, two], [10.0] * 5, group=group, events=True)
    assert served.group_ops == [2, 3]
    assert min(served.group_cpu_ns) > 0
    assert served.cpu_ns == sum(served.group_cpu_ns)
    assert (served.latency_ns > 0).all()
    done = {
        served.names[i]: task.ops for i, task in enumerate(served.outcome.tasks) if served.names[i]
    }
    assert done["one"] == 2
    ops = served.outcome.events[served.outcome.events["kind"] == KINDS.index("op")]
    assert sorted(ops["arg"]) == sorted(served.latency_ns)


def test_a_request_that_finds_too_many_waiting_is_refused():
    """The one thread is busy until all have come, so that each finds those before it waiting."""
    served = _serve([serving.Group(threads=1, most_waiting=2)], [50_000.0, *[1.0] * 9])
    answered, refused = (served.latency_ns >= 0), (served.latency_ns == serving.REFUSED)
    assert answered.sum() + refused.sum() == 10
    assert refused.sum() >= 7
    assert served.group_ops == [answered.sum()]


def test_a_request_whose_deadline_is_over_is_dropped_where_that_is_asked_for():
    deadline = np.array([0, 1, 1], np.uint64)
    group = serving.Group(threads=1)
    kept = _serve([group], [10.0] * 3, deadline_ns=deadline)
    assert (kept.latency_ns > 0).all()
    dropped = _serve([group], [10.0] * 3, deadline_ns=deadline, drop_late=True)
    assert (dropped.latency_ns == serving.DROPPED).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("groups", "more", "says"),
    [
        ([], {}, "groups is 0"),
        ([{"threads": 0}], {}, "threads is 0"),
        (
            [{"threads": 1, "endless": True}],
            {},
            r"group has \[0\]; each has to be one that answers",
        ),
        ([{"threads": 1}], {"group": np.array([1], np.uint8)}, r"group has \[1\]"),
        ([{"threads": 1}], {"group": np.zeros(2, np.uint8)}, r"group is \(2,\)"),
        ([{"threads": 1, "tenant": 256}], {}, "tenant is 256"),
    ],
)
def test_groups_that_cannot_be(groups, more, says):
    with pytest.raises(ValueError, match=says):
        _serve([serving.Group(**group) for group in groups], [1.0], **more)


@pytest.mark.parametrize("crowd", [1, 16])
def test_spawn(crowd):
    assert bench.spawn(umcg=False, crowd=crowd, crowds=3, cpus=CPU) > 0


def test_parked_threads_are_looked_at_once():
    looks = []
    bench.park(20, umcg=False, look=lambda: looks.append(threading.active_count()))
    assert len(looks) == 1


@pytest.mark.parametrize(("workers", "tokens"), [(1, 1), (2, 2), (50, 4)])
def test_tokens_go_round(workers, tokens):
    for duration_s in (0.02, 0.2, 2.0, 20.0):  # a busy machine may stand still for a while
        hops, ns = bench.ring(
            umcg=False, workers=workers, servers=1, tokens=tokens, cpus=CPU, duration_s=duration_s
        )
        assert ns >= duration_s * 1e9
        if hops:
            break
    assert hops > 0


def test_interrupt():
    cpus = environment.cpus()
    late = bench.interrupt(cpu=cpus[0], sender_cpu=cpus[-1], count=5)
    assert len(late) == 5 and late.min() > 0


@pytest.mark.skipif(engine.enabled(), reason="needs a kernel without UMCG")
def test_umcg_where_there_is_none():
    for measure in (
        lambda: bench.spawn(umcg=True, crowd=2, crowds=2),
        lambda: bench.park(2, umcg=True, look=lambda: None),
        lambda: bench.ring(umcg=True, workers=2, servers=1, tokens=1, cpus=CPU, duration_s=0.01),
    ):
        with pytest.raises(engine.EngineError, match="ENOSYS"):
            measure()
