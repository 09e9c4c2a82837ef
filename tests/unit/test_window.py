# SPDX-License-Identifier: MIT
"""What a timeline shows of a window, against the intervals it is made of."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
import synthetic

from labkit.plots.window import MOST_LANES, MOST_SLICES, PLACES, timeline_window
from labkit.records import TASK_SCHEMA
from labkit.trace import schema
from labkit.trace.intervals import state_intervals

EVENTS, TASKS = synthetic.model_events(2, 6, 8000, seed=2)
BEGIN, END = int(EVENTS["t"][0]), int(EVENTS["t"][-1])


def _overlap(tid: int, place: str, a: int, b: int) -> int:
    """Time a task spent in a place between a and b, the slow way."""
    spans = state_intervals(EVENTS, TASKS, END).filter(pl.col("tid") == tid)
    named = {"running": "RUNNING", "idle": "IDLE", "blocked": "BLOCKED"}
    total = 0
    for row in spans.iter_rows(named=True):
        where = "IDLE on the list" if row["listed"] else named[row["state"]]
        if where == place:
            total += max(0, min(b, row["t1"]) - max(a, row["t0"]))
    return total


@pytest.mark.parametrize("part", [(0.0, 0.01), (0.45, 0.46), (0.99, 1.0)])
def test_a_close_window_draws_every_state(part: tuple[float, float]) -> None:
    a, b = (BEGIN + int((END - BEGIN) * p) for p in part)
    window = timeline_window(EVENTS, TASKS, a, b)
    assert not window.aggregated
    assert window.notice == f"Every one of {window.changes} state changes is drawn"
    for lane, tid in enumerate(window.lanes["tid"]):
        for place in PLACES[1:]:
            mine = window.slices.filter((pl.col("lane") == lane) & (pl.col("place") == place))
            drawn = int((mine["t1"] - mine["t0"]).sum())
            assert drawn == _overlap(tid, place, a, b)
    rows = window.slices.filter(pl.col("row") >= 0)
    assert (EVENTS["t"].gather(rows["row"]) == rows["t0"]).all()


def test_a_wide_window_shows_the_same_time_as_shares() -> None:
    changes = EVENTS.filter(pl.col("kind").is_in(schema.STATE_KINDS)).height
    assert changes > MOST_SLICES
    window = timeline_window(EVENTS, TASKS, BEGIN, END, pixels=300)
    assert window.aggregated
    assert f"Aggregated: {window.changes:,} state changes" in window.notice
    width = np.diff(window.edges)
    for lane, tid in enumerate(window.lanes["tid"]):
        for code, place in enumerate(PLACES[1:], start=1):
            shown = float((window.shares[lane, :, code] * width).sum())
            assert shown == pytest.approx(_overlap(tid, place, BEGIN, END), abs=1)
    assert np.allclose(window.shares.sum(axis=2), 1)
    assert ((window.busy >= 0) & (window.busy <= 1 + 1e-9)).all()
    assert window.cpus == (0, 1)


def test_a_wide_window_in_the_middle_knows_what_was_before() -> None:
    wide, tasks = synthetic.model_events(2, 6, 20_000, seed=4)
    a, b = int(wide["t"][1500]), int(wide["t"][-10])
    window = timeline_window(wide, tasks, a, b, pixels=400)
    assert window.aggregated
    last = wide.filter((pl.col("t") < a) & (pl.col("kind") != "op")).unique("tid", keep="last")
    gone = set(last.filter(pl.col("new") == "none")["tid"])
    assert len(gone) < tasks.height == last.height
    for lane, tid in enumerate(window.lanes["tid"]):
        assert (window.shares[lane, 0, 0] > 0.99) == (tid in gone)


def test_lanes_are_servers_first_and_not_too_many() -> None:
    assert timeline_window(EVENTS, TASKS, BEGIN, END).lanes["role"].to_list()[:3] == [
        "server",
        "server",
        "worker",
    ]
    many = pl.DataFrame(
        [(i, "worker", f"w{i}", "s") for i in range(1, 101)], schema=TASK_SCHEMA, orient="row"
    )
    window = timeline_window(EVENTS, many, BEGIN, END)
    assert window.lanes.height == MOST_LANES
    assert "52 more tasks are not drawn" in window.notice


def test_arrows_say_who_made_whom_run() -> None:
    a = BEGIN + (END - BEGIN) // 2
    window = timeline_window(EVENTS, TASKS, a, a + (END - BEGIN) // 50)
    for arrow in window.arrows.iter_rows(named=True):
        tid, peer = (window.lanes["tid"][arrow[k]] for k in ("lane_to", "lane_from"))
        rows = EVENTS.filter((pl.col("t") == arrow["t"]) & (pl.col("tid") == tid))
        assert peer in rows["peer"].to_list()
        assert "running" in rows["new"].to_list()
    assert window.arrows.height


def test_cpus_come_from_switches_where_there_are_any() -> None:
    rows = [
        {"t": 100, "tid": 7, "peer": 0, "kind": "sched_switch", "cpu": 1},
        {"t": 300, "tid": 0, "peer": 7, "kind": "sched_switch", "cpu": 1},
        {"t": 350, "tid": 7, "peer": 9, "kind": "sched_switch", "cpu": 0},
    ]
    tasks = schema.tasks([{"tid": 7, "role": "thread", "name": "a", "series": "s"}])
    window = timeline_window(schema.events(rows), tasks, 0, 400)
    assert window.on_cpu.rows() == [(0, 350, 351, 7), (1, 100, 300, 7)]


def test_an_empty_window_is_drawn_and_an_impossible_one_refused() -> None:
    window = timeline_window(EVENTS.clear(), TASKS, 0, 10)
    assert window.slices.is_empty()
    with pytest.raises(ValueError, match="is empty"):
        timeline_window(EVENTS, TASKS, 10, 10)
    with pytest.raises(ValueError, match="pixels is 0"):
        timeline_window(EVENTS, TASKS, 0, 10, pixels=0)


@pytest.mark.slow
def test_a_million_events(record_property: Callable[[str, object], None]) -> None:
    events, tasks = synthetic.million()
    first, last = int(events["t"][0]), int(events["t"][-1])
    timeline_window(events.head(10_000), tasks, first, last)
    for name, (a, b) in {
        "whole": (first, last),
        "tenth": (last // 2, last // 2 + (last - first) // 10),
        "close": (last // 2, last // 2 + 2_000_000),
    }.items():
        took = []
        for _ in range(3):
            start = time.perf_counter()
            window = timeline_window(events, tasks, a, b)
            took.append((time.perf_counter() - start) * 1e3)
        # Not judged: a busy machine is no failure. The figure goes to the report of the tests.
        record_property(f"{name}_ms", min(took))
        size = window.slices.height + window.shares.size
        assert size < 60_000, "what is drawn must not grow with the trace"
