# SPDX-License-Identifier: MIT
"""What threads cost, on UMCG."""

import pytest
from rings import hops_in_time

from labkit import environment
from labkit.native import threads

CPU = environment.cpus()[:1]


@pytest.mark.parametrize("crowd", [1, 16])
def test_spawn(crowd):
    assert threads.spawn(umcg=True, crowd=crowd, crowds=3, cpus=CPU) > 0


def test_parked_workers_are_looked_at_once_and_leave():
    looks = []
    threads.park(20, umcg=True, look=lambda: looks.append(True))
    assert looks == [True]


@pytest.mark.parametrize(("workers", "servers", "tokens"), [(1, 1, 1), (2, 1, 2), (30, 4, 8)])
def test_tokens_go_round(workers, servers, tokens):
    ring = {"workers": workers, "servers": servers, "tokens": tokens}
    assert hops_in_time(umcg=True, cpus=CPU, **ring) > 0
