# SPDX-License-Identifier: MIT
"""The experiments on UMCG: its series stand beside their baselines in one run."""

import dataclasses

import polars as pl
import pytest

import labkit
import labkit.analysis
from labkit import api, experiments, plots
from labkit.cli import measure
from labkit.experiments.common import event_table
from labkit.experiments.losses import loss_rows
from labkit.model import invariants
from labkit.native import engine
from labkit.records import TASK_SCHEMA
from labkit.trace.intervals import state_intervals

#: What measures for up to two minutes by default.
SLOW = ("scale", "server", "mixed", "deadline")

SMALL = {
    "swap": (
        {"value_ms": 2, "repetitions": 2, "traced_rounds": 20},
        {"umcg-worker-swap/pinned", "futex/unpinned"},
    ),
    "wake": (
        {"workers": 4, "servers": (1, 2), "storms": 3, "repetitions": 1},
        {
            *("umcg-futex/2 servers", "umcg-umcg/1 server", "futex/1 cpu"),
            *("umcg-futex-pass-on/1 server", "umcg-umcg-pass-on/2 servers/last"),
        },
    ),
    "block": (
        {"works": ("sleep", "pipe"), "workers": 4, "duration_s": 0.05, "repetitions": 2},
        {"umcg/sleep", "umcg/sleep/detection", "umcg-pass-on/pipe", "pthread/pipe"},
    ),
    "preempt": (
        {
            "runaways": 2,
            "urgent": 1,
            "duration_s": 0.3,
            "repetitions": 1,
            "beside": ("pthread", "signal"),
            "signals": 20,
        },
        {"umcg", "umcg/latency", "umcg/urgent", "pthread/urgent", "signal/latency"},
    ),
    "memory": (
        {"workers": 50, "repetitions": 1},
        {"umcg", "umcg/user", "umcg/kernel", "pthread", "pthread/user", "pthread/kernel"},
    ),
    "deadline": (
        {"duration_ms": 80, "repetitions": 1},
        {"umcg-edf/met", "umcg-priority/late", "cfs/8 ms", "sched-fifo/dropped", "pool/batch"},
    ),
    "server": (
        {"loads": (20, 40), "requests": 100, "long_percent": 3.0, "repetitions": 1},
        {"umcg-rr/20% short", "umcg-las/40% short", "cfs/40%", "pool/20% long", "offered/40%"},
    ),
    "mixed": (
        {"policy": ("priority", "las"), "requests": 40, "repetitions": 1},
        {"umcg-priority/urgent", "umcg-las/batch", "cfs/report", "pool/urgent", "nice/urgent"},
    ),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name in ("deadline", "server") else ())
        for name in SMALL
    ],
)
def test_run(name, tmp_path):
    fields, series = SMALL[name]
    run = getattr(labkit, name)(**fields)
    assert series <= set(run.samples["series"])
    assert run.environment["backend"] == "umcg"
    assert run.environment["umcg_missing"] == ""
    assert run.counters["lost"] == 0
    path = run.save(tmp_path / "run.parquet")
    assert labkit.load(path).events.equals(run.events)


def loses_nothing(run):
    """Rings are sized by role: a server's takes the state changes of everybody it runs."""
    assert run.counters["lost"] == 0
    assert not set(run.events["kind"].cast(pl.String)) & {"lost", "lost_op"}
    if run.events.height:
        assert labkit.analysis.df_occupancy(run)["complete"].all()


@pytest.mark.long
@pytest.mark.parametrize("spec", measure.DEMO, ids=lambda spec: spec.experiment)
def test_the_demo_loses_no_event(spec):
    # How much room there is does not depend on how often it is used.
    loses_nothing(api.run(dataclasses.replace(spec, repetitions=1)))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.matrix if name in SLOW else pytest.mark.long)
        for name in experiments.SPECS
    ],
)
def test_defaults_lose_no_event_and_give_no_doubt_about_themselves(name):
    """Machines differ in how stable they are; how often and how long is the experiment's choice."""
    run = api.run(experiments.SPECS[name]())
    loses_nothing(run)
    said = [text for text in labkit.analysis.warnings(run) if "repetition" in text]
    said += [text for text in labkit.analysis.warnings(run) if "less than 100 ms" in text]
    assert said == []
    assert "too few values" not in run.ratios()["verdict"].to_list()


def test_a_full_ring_of_a_server_hides_its_workers_until_the_end():
    outcome = engine.load(
        "sleep", umcg=True, workers=3, servers=1, duration_s=0.2, idle_us=300, events=10
    )
    server = next(task for task in outcome.tasks if task.role == "server")
    assert server.lost_states > 0
    lost = loss_rows(outcome).filter(pl.col("kind") == "lost")
    assert sorted(lost["tid"]) == sorted(task.tid for task in outcome.tasks)
    assert set(lost["t"]) == {server.lost_states}
    events = pl.concat([event_table(outcome.events), loss_rows(outcome)])
    rows = [(task.tid, task.role, str(task.tid), "s") for task in outcome.tasks]
    tasks = pl.DataFrame(rows, schema=TASK_SCHEMA, orient="row")
    spans = state_intervals(events.sort("t", maintain_order=True), tasks)
    assert spans["t1"].max() == server.lost_states
    assert invariants.check(events.sort("t", maintain_order=True), tasks).result == "UNDECIDED"


def test_what_serves_requests_keeps_the_protocol():
    run = labkit.mixed(policy=("priority", "las"), requests=60, repetitions=1, beside=("cfs",))
    for series in ("umcg-priority", "umcg-las"):
        part = run.of(series)
        assert set(part.tasks["role"]) == {"server", "worker"}
        verdict = invariants.check(part.events, part.tasks)
        assert verdict.result == "PASSED", verdict.violations.rows()


@pytest.mark.long
def test_a_policy_drops_frames_that_are_late():
    """Twice as much as fits: what edf gives up is not done."""
    run = labkit.deadline(
        policy=("edf:late=drop",), load_percent=200.0, duration_ms=120.0, repetitions=1
    )
    dropped = run.samples.filter(series="umcg-edf/dropped", unit="%")
    assert dropped["value"][0] > 0


def test_reports_are_refused_where_too_many_wait():
    run = labkit.mixed(
        report_percent=300.0, threads=1, most_waiting=1, requests=60, repetitions=1, beside=("cfs",)
    )
    for head in ("umcg-priority", "cfs"):
        refused = run.samples.filter(series=f"{head}/report refused", unit="%")
        assert refused["value"][0] > 0, head


@pytest.mark.parametrize(
    ("policy", "permits"),
    [("fifo", True), ("steal", True), ("steal:steal=0", False), ("edf", False)],
)
def test_places_pass_on_where_the_policy_permits_it(policy, permits):
    assert engine.may_pass_on(policy) == permits
    series = experiments.SPECS["block"](works=("sleep",), policy=policy).series()
    assert ("umcg-pass-on/sleep" in series) == permits
    assert {"umcg/sleep", "pthread/sleep"} <= set(series)


def test_what_passes_on_has_no_timeline():
    run = labkit.block(works=("sleep",), workers=1, duration_s=0.1, repetitions=1)
    assert "umcg-pass-on/sleep" in set(run.samples["series"])
    assert set(plots.series_of(run)) == {"umcg/sleep", "pthread/sleep"}


def test_a_policy_that_does_not_permit_it_is_told():
    with pytest.raises(engine.NoPolicy, match="does not permit that places pass on"):
        engine.load(
            "sleep", umcg=True, workers=1, servers=1, duration_s=0.1, policy="edf", pass_on=True
        )
