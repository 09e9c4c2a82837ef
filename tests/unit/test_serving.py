# SPDX-License-Identifier: MIT
"""Requests before groups of plain threads; on UMCG see tests/guest."""

import threading

import numpy as np
import pytest

from labkit import environment
from labkit.native import engine, serving
from labkit.records import KINDS

CPU = environment.cpus()[:1]


def _serve(groups, service_us, *, every_us=0, policy=None, **more):
    arrival = (np.arange(len(service_us)) * every_us * 1000).astype(np.uint64)
    asked = {name: more.pop(name) for name in ("group", "deadline_ns") if name in more}
    return serving.serve(
        groups,
        serving.Requests(arrival_ns=arrival, service_us=np.asarray(service_us, float), **asked),
        policy=policy,
        cpus=CPU,
        client_cpu=None,
        **more,
    )


@pytest.mark.parametrize("threads", [1, 8])
def test_every_request_is_answered_after_its_arrival(threads):
    service = np.full(60, 20.0)
    service[7] = 2000.0
    served = _serve([serving.Group(threads=threads)], service, every_us=100)
    assert len(served.latency_ns) == 60
    assert served.latency_ns.min() > 0
    assert served.elapsed_ns >= 59 * 100_000
    assert served.cpu_ns > 0


def test_batch_over_umcg_needs_a_slice():
    groups = [serving.Group(threads=1), serving.Group(threads=1, endless=True)]
    with pytest.raises(ValueError, match="policy with slices"):
        _serve(groups, [0.0], policy="fifo")


def test_batch_works_beside_requests():
    groups = [serving.Group(threads=2), serving.Group(threads=2, endless=True)]
    served = _serve(groups, np.full(10, 10.0), every_us=1000, endless_us=10.0)
    assert served.group_ops[1] > 0


def test_a_stop_ends_requests_that_have_not_come():
    stop = threading.Event()
    started = threading.Event()

    def watch(progress):
        started.set()
        stop.set()

    with pytest.raises(engine.Stopped):
        _serve([serving.Group(threads=2)], np.zeros(200_000), every_us=1000, stop=stop, watch=watch)
    assert started.is_set()


def test_what_cannot_be_had_is_an_error_and_ends():
    with pytest.raises(engine.EngineError, match="nice, cgroup"):
        _serve([serving.Group(threads=1, cgroup=999)], [0.0])


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
        ([{"threads": 1, "nice": 20}], {}, "nice is 20"),
        ([{"threads": 1, "fifo": 100}], {}, "fifo is 100"),
    ],
)
def test_groups_that_cannot_be(groups, more, says):
    with pytest.raises(ValueError, match=says):
        _serve([serving.Group(**group) for group in groups], [1.0], **more)
