# SPDX-License-Identifier: MIT
"""Requests before workers of UMCG."""

import numpy as np
import pytest

from labkit import environment
from labkit.native import serving

CPU = environment.cpus()[:1]
CLIENT = environment.cpus()[1] if len(environment.cpus()) > 1 else None


def _serve(workers, batch, policy, arrival_ns, service_us):
    groups = [serving.Group(threads=workers, priority=1)]
    if batch:
        groups.append(serving.Group(threads=batch, endless=True, tenant=1))
    asked = serving.Requests(arrival_ns=arrival_ns.astype(np.uint64), service_us=service_us)
    return serving.serve(groups, asked, policy=policy, cpus=CPU, client_cpu=CLIENT)


@pytest.mark.parametrize(
    ("workers", "batch", "policy"),
    [(1, 0, "fifo"), (8, 0, "rr:slice_us=500"), (4, 2, "priority:slice_us=500")],
)
def test_every_request_is_answered(workers, batch, policy):
    service = np.full(80, 20.0)
    service[::20] = 2000.0
    arrival = np.arange(80) * 200_000
    # Batch has this pause, on a machine that is too slow for the requests before it, too.
    arrival[-1] += 300_000_000
    served = _serve(workers, batch, policy, arrival, service)
    assert len(served.latency_ns) == 80
    assert served.latency_ns.min() > 0
    assert all(ops > 0 for ops in served.group_ops)


def test_a_request_does_not_wait_for_batch_that_starts():
    """Each of four that compute has a slice of 100 ms, 1000 operations, when it starts."""
    ops = [
        _serve(1, 4, "priority:slice_us=100000", np.array([1]), np.array([0.0])).group_ops[1]
        for _ in range(9)
    ]
    # A busy host stops a CPU when it likes; one that waits for the slice does so each time.
    assert min(ops) < 500, ops
