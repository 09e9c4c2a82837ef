# SPDX-License-Identifier: MIT
"""Tables over events whose numbers are known, and over the model's."""

from __future__ import annotations

import polars as pl
import pytest
import synthetic

from labkit import analysis
from labkit.analysis.latency import latencies_detection, latencies_preemption, latencies_wake
from labkit.records import Record
from labkit.trace import schema

TASKS = schema.tasks(
    [
        {"tid": 1, "role": "server", "name": "server 0", "series": "umcg"},
        {"tid": 101, "role": "worker", "name": "worker 0", "series": "umcg"},
        {"tid": 102, "role": "worker", "name": "worker 1", "series": "umcg"},
    ]
)


def _record(rows: list[tuple[object, ...]], tasks: pl.DataFrame = TASKS) -> Record:
    names = ("t", "tid", "kind", "old", "new", "peer", "cpu", "arg")
    events = schema.events([dict(zip(names, row, strict=False)) for row in rows])
    return Record(spec={"experiment": "made"}, environment={}, events=events, tasks=tasks)


BLOCKING = [
    (0, 1, "register", "none", "running", 0, 0),
    (0, 101, "register", "none", "blocked", 0, 1),
    (10, 101, "wake", "blocked", "idle", 0, 1),
    (100, 1, "run", "running", "idle", 101, 0),
    (110, 101, "run", "idle", "running", 1, 0),
    (300, 101, "op", "running", "running", 0, 0, 190),
    (400, 101, "block", "running", "blocked", 1, 0),
    (430, 1, "block", "idle", "running", 101, 0),
    (700, 101, "wake", "blocked", "idle", 0, 1),
    (800, 1, "run", "running", "idle", 101, 0),
    (900, 101, "run", "idle", "running", 1, 0),
    (1000, 101, "op", "running", "running", 0, 0, 700),
]


def test_block_detection_and_waking() -> None:
    run = _record(BLOCKING)
    assert latencies_detection(run)["ns"].to_list() == [30]
    assert latencies_wake(run)["ns"].to_list() == [100, 200]
    table = analysis.df_wake(run)
    assert table.row(0, named=True) == {
        "series": "umcg",
        "n": 2,
        "p50_ns": 150.0,
        "p90_ns": None,
        "p99_ns": None,
        "p99.9_ns": None,
        "max_ns": 200,
        "complete": True,
    }


def test_the_kernels_tracepoints_replace_what_user_space_saw_late() -> None:
    late = [
        (100, 1, "wait", "running", "idle", 101, 0),
        (100, 101, "run", "idle", "running", 1, 0),
        (400, 101, "umcg_block", "running", "blocked", 1, 0),
        (410, 1, "umcg_wake_server", "idle", "running", 101, 0),
        (460, 1, "wake", "idle", "running", 101, 0),
        (460, 101, "block", "running", "blocked", 1, 0, 75),
        (700, 101, "umcg_wake", "blocked", "idle", 0, 1),
        (800, 1, "wait", "running", "idle", 101, 0),
        (800, 101, "run", "idle", "running", 1, 0),
    ]
    assert latencies_detection(_record(late))["ns"].to_list() == [60]
    assert latencies_wake(_record(late))["ns"].to_list() == [100]
    user_only = [row for row in late if not str(row[2]).startswith("umcg")]
    assert latencies_detection(_record(user_only))["ns"].to_list() == [75]


def test_preemption_from_the_mark_or_from_the_engine() -> None:
    rows = [
        (100, 101, "run", "idle", "running", 1, 0),
        (200, 101, "preempt", "running", "running", 1, 0),
        (250, 101, "preempt", "running", "idle", 1, 0),
        (300, 102, "run", "idle", "running", 1, 0),
        (900, 102, "preempt", "running", "idle", 1, 0, 40),
    ]
    assert latencies_preemption(_record(rows))["ns"].to_list() == [50, 40]


def test_occupancy_adds_up() -> None:
    run = _record(BLOCKING)
    worker = analysis.df_occupancy(run).filter(pl.col("tid") == 101).row(0, named=True)
    assert worker["observed_ns"] == 1000
    assert worker["running"] == pytest.approx((290 + 100) / 1000)
    assert worker["listed"] == pytest.approx((100 + 200) / 1000)
    assert worker["blocked"] == pytest.approx((10 + 300) / 1000)
    for model in (synthetic.record(), synthetic.record(events=run.events, tasks=run.tasks)):
        table = analysis.df_occupancy(model)
        total = table.select(pl.sum_horizontal("running", "idle", "listed", "blocked")).to_series()
        assert total.to_list() == pytest.approx([1.0] * table.height)


def test_cpu_use_counts_a_shared_cpu_once() -> None:
    rows = [
        (0, 101, "register", "none", "running", 0, 0),
        (0, 102, "register", "none", "running", 0, 0),
        (600, 101, "block", "running", "blocked", 0, 0),
        (800, 102, "block", "running", "blocked", 0, 0),
        (1000, 101, "mark", "blocked", "blocked", 0, 0),
    ]
    tasks = TASKS.with_columns(role=pl.lit("thread").cast(TASKS.schema["role"]))
    table = analysis.df_cpu_use(_record(rows, tasks))
    assert table.rows() == [("umcg", 0, 0.8, "states", True)]
    switches = [
        (0, 101, "sched_switch", "none", "none", 0, 0),
        (300, 0, "sched_switch", "none", "none", 101, 0),
        (1000, 101, "mark", "none", "none", 0, 0),
        (1000, 102, "mark", "none", "none", 0, 0),
    ]
    assert analysis.df_cpu_use(_record(switches, tasks)).rows() == [
        ("umcg", 0, 0.3, "sched_switch", True)
    ]


def test_throughput_counts_every_operation() -> None:
    rows = [(1000 * i, 101, "op", "running", "running", 0, 0, 5) for i in range(101)]
    table = analysis.df_throughput(_record(rows), bins=10)
    assert table["n"].sum() == 101
    assert table["per_s"].to_list()[:9] == pytest.approx([1e6] * 9)
    with pytest.raises(ValueError, match="bins is 0"):
        analysis.df_throughput(_record(rows), bins=0)


def test_fairness_is_jains() -> None:
    rows = [
        (0, 101, "run", "idle", "running", 1, 0),
        (300, 101, "yield", "running", "idle", 1, 0),
        (300, 102, "run", "idle", "running", 1, 0),
        (400, 102, "yield", "running", "idle", 1, 0),
    ]
    fair = analysis.df_fairness(_record(rows)).row(0, named=True)
    assert fair["jain"] == pytest.approx(400**2 / (2 * (300**2 + 100**2)))
    assert (fair["least"], fair["most"]) == (0.25, 0.75)


def test_quantiles_need_enough_values() -> None:
    rows = [(i, 101, "op", "running", "running", 0, 0, i) for i in range(1, 101)]
    table = analysis.df_latency(_record(rows)).row(0, named=True)
    assert table["p50_ns"] == pytest.approx(50.5)
    assert table["p99_ns"] == pytest.approx(99.01)
    assert table["p99.9_ns"] is None


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("df_latency", "op"),
        ("df_detection", "block or umcg_block"),
        ("df_wake", "wake or umcg_wake"),
        ("df_preemption", "preempt"),
        ("df_occupancy", "register or"),
        ("df_throughput", "op"),
        ("df_cpu_use", "sched_switch or"),
        ("df_fairness", "register or"),
    ],
)
def test_missing_events_are_named(name: str, needed: str) -> None:
    with pytest.raises(analysis.MissingEvents, match=f"needs events of kind {needed}"):
        getattr(analysis, name)(_record([]))


def test_missing_servers_are_named() -> None:
    run = _record(BLOCKING, TASKS.filter(pl.col("role") != "server"))
    with pytest.raises(analysis.MissingEvents, match="needs a task that is a server"):
        analysis.df_detection(run)
