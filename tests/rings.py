# SPDX-License-Identifier: MIT
"""Tokens that go round a ring of threads, on plain ones or on UMCG."""

from typing import Any

from labkit.native import threads


def hops_in_time(**ring: Any) -> int:
    """Hops of `labkit.native.threads.ring`, in a time in which there are some."""
    for duration_s in (0.02, 0.2, 2.0, 20.0):  # a busy machine may stand still for a while
        hops, ns = threads.ring(**ring, duration_s=duration_s)
        assert ns >= duration_s * 1e9
        if hops:
            break
    return hops
