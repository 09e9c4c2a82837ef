# SPDX-License-Identifier: MIT
"""Events that a full ring lost: nothing that is shown or counted reaches beyond."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest
import synthetic

import labkit
from labkit import analysis, plots
from labkit.course import traces
from labkit.experiments.common import event_table
from labkit.experiments.losses import loss_rows
from labkit.model import invariants
from labkit.model.replay import UNKNOWN, with_servers
from labkit.native import engine
from labkit.pages import report
from labkit.panels import Timeline
from labkit.plots.timeline import picture
from labkit.plots.window import NO_DATA, PLACES, timeline_window
from labkit.records import STATE_KINDS, Record
from labkit.run import Run
from labkit.trace import files, loss, perfetto, schema
from labkit.trace.intervals import cpu_intervals, state_intervals

# Two series one after the other: a server and a worker that lose the rest of their states at 400
# while the series goes on to 1000, and a thread that is complete, from 2000 to 3000.
ROWS = [
    (100, 1, "register", "none", "running", 0, 0),
    (100, 2, "register", "none", "blocked", 0, 0),
    (150, 2, "wake", "blocked", "idle", 0, 0),
    (200, 1, "run", "running", "idle", 2, 0),
    (200, 2, "run", "idle", "running", 1, 0),
    (300, 2, "op", "running", "running", 0, 50),
    (400, 1, "lost", "none", "none", 0, 1000),
    (400, 2, "lost", "none", "none", 0, 1000),
    (450, 2, "run", "idle", "running", 3, 0),
    (600, 2, "op", "running", "running", 0, 70),
    (600, 2, "lost_op", "none", "none", 0, 1000),
    (2000, 7, "register", "none", "running", 0, 0),
    (2400, 7, "block", "running", "blocked", 0, 0),
    (2500, 7, "wake", "blocked", "running", 0, 0),
    (2600, 7, "op", "running", "running", 0, 90),
    (3000, 7, "op", "running", "running", 0, 90),
]
TASKS = schema.tasks(
    [
        {"tid": 1, "role": "server", "name": "server 0", "series": "umcg/a"},
        {"tid": 2, "role": "worker", "name": "worker 0", "series": "umcg/a"},
        {"tid": 7, "role": "thread", "name": "thread 0", "series": "pthread/a"},
    ]
)


def _events(rows: list[tuple[object, ...]] = ROWS) -> pl.DataFrame:
    names = ("t", "tid", "kind", "old", "new", "peer", "arg")
    return schema.events([dict(zip(names, row, strict=True)) | {"cpu": 0} for row in rows])


def _run(rows: list[tuple[object, ...]] = ROWS) -> Run:
    fields = synthetic.record(events=_events(rows), tasks=TASKS, counters={"lost": 5}).__dict__
    return Run(**fields)


def test_a_state_ends_where_its_events_were_lost_or_its_series_ended() -> None:
    spans = state_intervals(_events(), TASKS).select("tid", "t0", "t1", "state").rows()
    assert spans == [
        (1, 100, 200, "running"),
        (1, 200, 400, "idle"),
        (2, 100, 150, "blocked"),
        (2, 150, 200, "idle"),
        (2, 200, 400, "running"),
        (7, 2000, 2400, "running"),
        (7, 2400, 2500, "blocked"),
        (7, 2500, 3000, "running"),
    ]


def test_a_state_of_one_series_never_reaches_into_the_next() -> None:
    whole = [row for row in ROWS if row[2] not in ("lost", "lost_op")]
    spans = state_intervals(_events(whole), TASKS).filter(pl.col("tid") == 1)
    assert spans["t1"].max() == 600


def test_a_cpu_is_known_until_its_recording_or_the_series_ends() -> None:
    switch = [
        (100, 7, "sched_switch", "none", "none", 0, 0),
        (200, 0, "lost", "none", "none", 0, 900),
        (500, 7, "mark", "none", "none", 0, 0),
        (900, 1, "mark", "none", "none", 0, 0),
    ]
    spans, source = cpu_intervals(_events(switch), TASKS)
    assert (source, spans.rows()) == ("sched_switch", [(0, 100, 200, 7)])
    spans, _ = cpu_intervals(_events([row for row in switch if row[2] != "lost"]), TASKS)
    assert spans.rows() == [(0, 100, 500, 7)]


def test_tables_tell_what_is_known_and_that_it_is_not_all() -> None:
    run = _run()
    occupancy = {row["name"]: row for row in analysis.df_occupancy(run).iter_rows(named=True)}
    assert occupancy["worker 0"]["observed_ns"] == 300
    assert occupancy["worker 0"]["running"] == pytest.approx(200 / 300)
    complete = {name: row["complete"] for name, row in occupancy.items()}
    assert complete == {"server 0": False, "worker 0": False, "thread 0": True}
    use = {row[0]: row[2:] for row in analysis.df_cpu_use(run).rows()}
    assert use["umcg/a"] == (1.0, "states", False)  # from 100 to 400, not to 1000
    assert use["pthread/a"] == (0.9, "states", True)
    fairness = dict(analysis.df_fairness(run).select("series", "complete").rows())
    assert fairness == {"umcg/a": False, "pthread/a": True}
    latency = dict(analysis.df_latency(run).select("series", "complete").rows())
    assert latency == {"umcg/a": False, "pthread/a": True}
    with pytest.raises(analysis.MissingEvents):
        analysis.df_preemption(run)
    share = traces.running_at_once(run, "umcg/a").rows()
    assert share == [(1, 1.0)]


def test_a_wake_up_is_not_paired_with_a_run_beyond_a_loss() -> None:
    rows = [
        (100, 2, "register", "none", "blocked", 0, 0),
        (150, 2, "wake", "blocked", "idle", 0, 0),
        (200, 2, "lost", "none", "none", 0, 200),
        (900, 2, "run", "idle", "running", 1, 0),
        (910, 1, "mark", "none", "none", 0, 0),
        (950, 2, "yield", "running", "idle", 1, 0),
        (960, 2, "run", "idle", "running", 1, 0),
    ]
    assert analysis.df_wake(_run(rows)).is_empty()
    # Where it runs now is known; whose place it has is.
    told = with_servers(_events(rows), TASKS)
    assert told["server"].to_list() == [0, 0, 1, 1, 1]
    swapped = [*rows[:3], (900, 2, "swap", "idle", "running", 2, 0)]
    assert with_servers(_events(swapped), TASKS)["server"][-1] == UNKNOWN


def test_throughput_ends_with_the_first_lost_operation() -> None:
    rows = [(t, 2, "op", "running", "running", 0, 9) for t in (100, 200, 300, 400, 900)]
    rows.insert(4, (450, 7, "lost_op", "none", "none", 0, 900))
    tasks = TASKS.with_columns(series=pl.lit("s"))
    run = synthetic.record(events=_events(rows), tasks=tasks)
    table = analysis.df_throughput(run, bins=3)
    assert table["n"].sum() == 4
    assert not table["complete"].any()


def test_rules_hold_of_what_is_known_and_the_rest_is_undecided() -> None:
    verdict = invariants.check(_events(), TASKS, 5)
    assert (verdict.result, verdict.violations.height) == ("UNDECIDED", 0)
    # Lost in the middle: what follows is a new beginning, not a break of continuity.
    resumed = [*ROWS[:6], (400, 2, "lost", "none", "none", 0, 400)]
    resumed += [(450, 2, "run", "idle", "running", 1, 0)]
    assert invariants.check(_events(resumed), TASKS, 5).result == "UNDECIDED"
    broken = [*ROWS[:3], (180, 1, "run", "idle", "idle", 2, 0), *ROWS[3:]]
    verdict = invariants.check(_events(broken), TASKS, 5)
    assert verdict.result == "FAILED"
    assert verdict.violations["row"].min() == 3


@pytest.mark.parametrize("most", [3000, 1])
def test_a_timeline_draws_no_data_and_not_a_state(most: int) -> None:
    tasks = TASKS.filter(pl.col("series") == "umcg/a")
    window = timeline_window(_events(), tasks, 100, 1200, 500, most)
    assert window.aggregated == (most == 1)
    assert window.no_data.rows() == [(0, 400, 1001), (1, 400, 1001)]
    assert window.dark == (400, 1001)
    assert "no data, as events were lost" in window.notice
    if window.aggregated:
        edges, shares = window.edges, window.shares
        beyond = edges[:-1] >= 402
        assert np.all(shares[:, beyond][:, :, 1:-1] == 0)
        inside = beyond & (edges[1:] <= 1000)
        assert np.all(shares[:, inside, PLACES.index(NO_DATA)] == 1)
        assert np.all(window.busy[:, beyond] == 0)
        assert np.all(shares[:, edges[:-1] >= 1002, 0] == 1)  # the series is over
    else:
        assert window.slices["t1"].max() == 400
        assert window.on_cpu["t1"].max() == 400
    drawn = picture(window, 100).svg
    assert drawn.count('class="lk-lost"') == 2
    assert NO_DATA in drawn and "no data for" in drawn
    # Only the lost part of the window: nothing but the hatch.
    close = timeline_window(_events(), tasks, 500, 900, 500, most)
    assert close.no_data.rows() == [(0, 500, 900), (1, 500, 900)]


def test_every_drawing_and_page_goes_to_the_end_of_the_series() -> None:
    run = _run()
    drawn = run.timeline("umcg/a").svg
    ticks = [float(tick) for tick in re.findall(r'text-anchor="middle">([\d.]+)</text>', drawn)]
    assert "lk-lost" in drawn and ticks[-1] in (0.8, 0.9)
    timeline = Timeline(run, "umcg/a")
    assert timeline.window == (0, 901)
    assert "lk-lost" in timeline.svg()
    page = report.page([run])
    assert "no: events were lost" in page
    assert "5 events were lost: nothing made of events goes beyond umcg/a" in page
    assert "In part" in plots.plot_occupancy(run).layout.meta["notice"]


def test_perfetto_gets_a_slice_that_says_so() -> None:
    record = synthetic.record(events=_events(), tasks=TASKS)
    packets = perfetto.to_bytes(record)
    assert packets.count(b"NO DATA (events were lost)") == 2


def test_a_saved_run_keeps_its_losses_and_an_old_one_is_read_with_care(tmp_path) -> None:
    run = _run()
    files.save(run, tmp_path / "new.parquet")
    assert files.load(tmp_path / "new.parquet").events.equals(run.events)
    # A full ring in an older file ends without saying so; worker 2's state is its server's to tell.
    old = [row for row in ROWS if row[2] not in ("lost", "lost_op") and row[0] != 450]
    old += [(2900, 7, "unregister", "running", "none", 0, 0)]
    supposed = loss.supposed(_events(sorted(old)), TASKS)
    lost = supposed.filter(pl.col("kind") == "lost").select("tid", "t", "arg").sort("tid")
    assert lost.rows() == [(1, 200, 600), (2, 200, 600)]
    spans = state_intervals(supposed, TASKS)
    assert spans.filter(pl.col("tid") < 7)["t1"].max() == 200


def _task(tid: int, role: str, **lost: int) -> engine.Task:
    return engine.Task(tid, role, ops=1, cpu_ns=1, urgent=False, **lost)


def test_a_full_ring_of_the_servers_hides_every_worker_and_server() -> None:
    outcome = engine.Outcome(
        [
            _task(1, "worker"),
            _task(2, "worker", lost=1, lost_ops=700, lost_last=800),
            _task(3, "server", lost=9, lost_states=500, lost_last=950),
            _task(4, "server"),
            _task(5, "thread", lost=2, lost_states=600, lost_last=600),
        ],
        np.zeros(1, engine.EVENT_DTYPE),
    )
    found = loss_rows(outcome).select("tid", "kind", "t", "arg").rows()
    assert found == [
        (1, "lost", 500, 950),
        (2, "lost", 500, 950),
        (2, "lost_op", 700, 950),
        (3, "lost", 500, 950),
        (4, "lost", 500, 950),
        (5, "lost", 600, 950),
    ]


def test_a_ring_that_overflows_tells_when() -> None:
    """Against the same work with room for all: no ring is filled by what it could not take."""
    small = engine.swap("pipe", cpu=None, rounds=200, events=31)
    for task in small.tasks:
        kept = small.events[small.events["tid"] == task.tid]
        assert len(kept) == 31
        assert min(task.lost_states, task.lost_ops) >= kept["t"].max()
        assert task.lost_last > max(task.lost_states, task.lost_ops)
        assert task.lost == 3 * 200 + 2 - 31
    events = pl.concat([event_table(small.events), loss_rows(small)]).sort("t")
    lost = events.filter(pl.col("kind") == "lost")
    assert sorted(lost["tid"]) == sorted(task.tid for task in small.tasks)
    assert set(lost["arg"]) == {max(task.lost_last for task in small.tasks)}


@pytest.mark.slow
def test_an_experiment_whose_rings_overflow_invents_nothing() -> None:
    asked = {"works": ("sleep", "pipe"), "workers": 2, "duration_s": 0.3, "repetitions": 1}
    run = labkit.block(**asked, events=60)
    full = labkit.block(**asked)
    assert run.counters["lost"] > 0
    assert full.counters["lost"] == 0
    threads = pl.col("role") == "thread"
    occupancy = analysis.df_occupancy(run).filter(threads)
    assert not occupancy["complete"].any()
    # Twenty operations of a millisecond, and nothing of the 300 ms that followed.
    for row in occupancy.iter_rows(named=True):
        mine = run.events.filter(pl.col("tid") == row["tid"])
        changes = mine.filter(pl.col("kind").is_in(STATE_KINDS))["t"]
        lost = mine.filter(pl.col("kind") == "lost")["t"][0]
        assert changes[-1] <= lost
        assert row["observed_ns"] == lost - changes[0]
    spans = state_intervals(run.events, run.tasks).join(
        run.events.filter(pl.col("kind") == "lost").select("tid", lost="t"), on="tid"
    )
    assert spans.filter(pl.col("t1") > pl.col("lost")).is_empty()
    assert analysis.df_occupancy(full)["complete"].all()
    assert any("events were lost: nothing made" in said for said in analysis.warnings(run))


def test_what_follows_a_loss_is_passed_over_until_it_ends() -> None:
    kept = loss.known(_events())
    assert kept.filter((pl.col("tid") == 2) & (pl.col("t") == 450)).is_empty()
    assert kept.filter(pl.col("kind") == "op").height == 4
    whole = Record(**synthetic.record().__dict__).events
    assert loss.known(whole) is whole
