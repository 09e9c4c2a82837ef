# SPDX-License-Identifier: MIT
"""Traces of the model keep every invariant; a trace broken on purpose fails by the right name."""

from __future__ import annotations

import random

import polars as pl
import pytest
import synthetic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.model.explore import walk
from labkit.model.invariants import INVARIANTS, VIOLATION_SCHEMA, check
from labkit.model.machine import world
from labkit.trace import schema
from labkit.trace.intervals import state_intervals

Tables = tuple[pl.DataFrame, pl.DataFrame]

walks = st.builds(
    lambda servers, workers, length, seed: walk(
        world(servers, workers), length, random.Random(seed)
    )[1:],
    st.integers(1, 3),
    st.integers(0, 6),
    st.integers(0, 400),
    st.integers(0, 2**32),
)


@pytest.mark.slow
@given(walks)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_walk_keeps_every_invariant(tables: Tables) -> None:
    events, tasks = tables
    verdict = check(events, tasks)
    assert verdict.result == ("PASSED" if verdict.checked else "UNDECIDED"), str(verdict)


@given(walks)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_tasks_states_never_overlap_and_leave_no_gap(tables: Tables) -> None:
    spans = state_intervals(*tables)
    assert (spans["t1"] >= spans["t0"]).all()
    following = spans.with_columns(after=pl.col("t0").shift(-1).over("tid")).drop_nulls("after")
    assert (following["after"] == following["t1"]).all()


@given(walks, st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_missing_change_of_state_is_noticed(tables: Tables, data: st.DataObject) -> None:
    events, tasks = tables
    rows = events.with_row_index("i").filter(
        (pl.col("old") != pl.col("new"))
        & pl.col("kind").is_in(schema.STATE_KINDS)
        & (pl.col("i") > pl.col("i").first().over("tid"))
        & (pl.col("i") < pl.col("i").last().over("tid"))
    )
    if rows.is_empty():
        return
    gone = data.draw(st.sampled_from(rows["i"].to_list()))
    cut = events.with_row_index("i").filter(pl.col("i") != gone).drop("i")
    seen_wakes = cut.filter((pl.col("old") == "blocked") & (pl.col("new") == "idle")).height
    result = check(cut, tasks)
    # Without its only wake-up a trace looks like one recorded by user space alone.
    assert result.result == "FAILED" or not seen_wakes


def _model() -> Tables:
    return synthetic.model_events(2, 4, 2500, seed=3)


def _first(events: pl.DataFrame, *rules: pl.Expr) -> int:
    return int(events.with_row_index("i").filter(*rules)["i"][20])


def _edit(events: pl.DataFrame, row: int, **values: object) -> pl.DataFrame:
    at = pl.int_range(pl.len()) == row
    return events.with_columns(
        pl.when(at).then(pl.lit(v).cast(events.schema[c])).otherwise(pl.col(c)).alias(c)
        for c, v in values.items()
    )


WORKER, SERVER = pl.col("tid") > 100, pl.col("tid") < 100


def _time_goes_back(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    return _edit(e, 30, t=0), t


def _stranger(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    return e, t.filter(pl.col("tid") != 101)


def _overlap(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    row = _first(e, WORKER, pl.col("kind") == "run", pl.col("old") == "idle")
    return _edit(e, row, old="blocked"), t


def _illegal(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    row = _first(e, WORKER, pl.col("kind") == "block")
    return _edit(e, row, kind="yield"), t


def _reserved(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    return _edit(e, _first(e, WORKER, pl.col("kind") == "run"), flags=0x100), t


def _locked_block(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    return _edit(e, _first(e, WORKER, pl.col("kind") == "block"), flags=0x40), t


def _woken_twice(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    row = _first(e, WORKER, pl.col("kind") == "wake", pl.col("old") == "blocked")
    return pl.concat([e[: row + 1], e[row:]]), t


def _no_server(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    row = _first(e, WORKER, pl.col("kind") == "run", pl.col("old") == "idle")
    return _edit(_edit(e, row, peer=0), row + 1, peer=0), t


def _one_server_for_all(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    two = pl.col("peer") == 2
    return e.with_columns(
        pl.when(WORKER & two).then(1).otherwise("peer").cast(pl.Int32).alias("peer")
    ), t


def _server_runs_beside(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    return e.filter(~(SERVER & (pl.col("kind") == "run"))), t


def _negative(e: pl.DataFrame, t: pl.DataFrame) -> Tables:
    return _edit(e, _first(e, pl.col("kind") == "op"), arg=-5), t


@pytest.mark.parametrize(
    ("breakage", "name"),
    [
        (_time_goes_back, "times-ordered"),
        (_stranger, "tasks-known"),
        (_overlap, "states-continuous"),
        (_illegal, "transitions-legal"),
        (_reserved, "flags-known"),
        (_locked_block, "flags-known"),
        (_woken_twice, "wake-follows-block"),
        (_no_server, "running-worker-has-server"),
        (_one_server_for_all, "one-worker-per-server"),
        (_server_runs_beside, "server-freed"),
        (_negative, "operations-last"),
    ],
)
def test_a_broken_trace_is_caught_by_name(breakage: object, name: str) -> None:
    events, tasks = _model()
    assert check(events, tasks).result == "PASSED"
    verdict = check(*breakage(events, tasks))  # type: ignore[operator]
    assert verdict.result == "FAILED"
    assert name in set(verdict.violations["invariant"])
    assert name in str(verdict)
    assert dict(verdict.violations.schema) == VIOLATION_SCHEMA


def test_each_invariant_has_a_breakage_above() -> None:
    tested = {
        m.args[1][i][1] for m in test_a_broken_trace_is_caught_by_name.pytestmark for i in range(11)
    }
    assert tested == set(INVARIANTS)


def test_lost_events_make_a_verdict_undecided() -> None:
    events, tasks = _model()
    assert check(_edit(events, 30, t=0), tasks, lost=1).result == "UNDECIDED"
    assert check(events.clear(), tasks).result == "UNDECIDED"


def test_a_trace_by_user_space_alone_passes() -> None:
    """The engine's view: servers `wait` and `wake`, blocks seen late, wake-ups never."""
    tasks = schema.tasks(
        {"tid": tid, "role": role, "name": role, "series": "s"}
        for tid, role in ((1, "server"), (101, "worker"))
    )
    rows = [
        (10, 1, "register", "none", "running", 0),
        (20, 1, "wait", "running", "idle", 101),
        (20, 101, "run", "idle", "running", 1),
        (30, 1, "wake", "idle", "running", 101),
        (30, 101, "block", "running", "blocked", 1),
        (40, 1, "wait", "running", "idle", 101),
        (40, 101, "run", "idle", "running", 1),
        (50, 101, "unregister", "running", "none", 1),
        (50, 1, "wake", "idle", "running", 101),
    ]
    names = ("t", "tid", "kind", "old", "new", "peer")
    events = schema.events([dict(zip(names, row, strict=True)) for row in rows])
    verdict = check(events, tasks)
    assert verdict.result == "PASSED", str(verdict)
