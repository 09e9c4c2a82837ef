# SPDX-License-Identifier: MIT
"""The benchmark's workloads on UMCG."""

import numpy as np
import pytest

from labkit import environment
from labkit.native import bench

CPU = environment.cpus()[:1]
CLIENT = environment.cpus()[1] if len(environment.cpus()) > 1 else None


@pytest.mark.parametrize(
    ("workers", "batch", "policy"),
    [(1, 0, "fifo"), (8, 0, "rr:slice_us=500"), (4, 2, "priority:slice_us=500")],
)
def test_every_request_is_answered(workers, batch, policy):
    service = np.full(80, 20.0)
    service[::20] = 2000.0
    crew = bench.Crew(umcg=True, workers=workers, servers=1, batch=batch, policy=policy)
    answers = bench.requests(
        crew,
        arrival_ns=(np.arange(80) * 200_000).astype(np.uint64),
        service_us=service,
        cpus=CPU,
        client_cpu=CLIENT,
    )
    assert len(answers.latency_ns) == 80
    assert answers.latency_ns.min() > 0
    assert (answers.batch_ops > 0) == (batch > 0)


def test_a_request_does_not_wait_for_batch_that_starts():
    """Each of four that compute has a slice of 100 ms, 1000 operations, when it starts."""
    crew = bench.Crew(umcg=True, workers=1, servers=1, batch=4, policy="priority:slice_us=100000")
    ops = [
        bench.requests(
            crew,
            arrival_ns=np.array([1], np.uint64),
            service_us=np.array([0.0]),
            cpus=CPU,
            client_cpu=CLIENT,
        ).batch_ops
        for _ in range(9)
    ]
    # A busy host stops a CPU when it likes; one that waits for the slice does so each time.
    assert min(ops) < 500, ops


@pytest.mark.parametrize("crowd", [1, 16])
def test_spawn(crowd):
    assert bench.spawn(umcg=True, crowd=crowd, crowds=3, cpus=CPU) > 0


def test_parked_workers_are_looked_at_once_and_leave():
    looks = []
    bench.park(20, umcg=True, look=lambda: looks.append(True))
    assert looks == [True]


@pytest.mark.parametrize(("workers", "servers", "tokens"), [(1, 1, 1), (2, 1, 2), (30, 4, 8)])
def test_tokens_go_round(workers, servers, tokens):
    for duration_s in (0.02, 0.2, 2.0, 20.0):  # a busy machine may stand still for a while
        hops, _ = bench.ring(
            umcg=True,
            workers=workers,
            servers=servers,
            tokens=tokens,
            cpus=CPU,
            duration_s=duration_s,
        )
        if hops:
            break
    assert hops > 0
