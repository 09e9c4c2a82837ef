# SPDX-License-Identifier: MIT
"""The experiments on UMCG: its series stand beside their baselines in one run."""

import pytest

import labkit

SMALL = {
    "swap": (
        {"value_ms": 2, "repetitions": 2, "traced_rounds": 20},
        {"umcg-worker-swap/pinned", "futex/unpinned"},
    ),
    "wake": (
        {"workers": 4, "servers": (1, 2), "storms": 3, "repetitions": 1},
        {"umcg-futex/2 servers", "umcg-umcg/1 servers", "futex/1 cpus"},
    ),
    "block": (
        {"works": ("sleep", "pipe"), "workers": 4, "duration_s": 0.05, "repetitions": 2},
        {"umcg/sleep", "umcg/sleep/detection", "pthread/pipe"},
    ),
    "preempt": (
        {"runaways": 2, "urgent": 1, "duration_s": 0.3, "repetitions": 1},
        {"umcg", "umcg/latency", "umcg/urgent", "pthread/urgent"},
    ),
}


@pytest.mark.parametrize("name", SMALL)
def test_run(name, tmp_path):
    fields, series = SMALL[name]
    run = getattr(labkit, name)(**fields)
    assert series <= set(run.samples["series"])
    assert run.environment["backend"] == "umcg"
    assert run.environment["umcg_missing"] == ""
    assert run.counters["lost"] == 0
    path = run.save(tmp_path / "run.parquet")
    assert labkit.load(path).events.equals(run.events)
