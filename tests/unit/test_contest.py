# SPDX-License-Identifier: MIT
"""Policies and baselines before the same jobs: what they are called, and what is said of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from python_policies import Fifo, Las

import labkit
from labkit import analysis, plots
from labkit.experiments import MixedSpec, SpecError, contest
from labkit.experiments.outcome import served_result
from labkit.experiments.own import Own
from labkit.native import engine, serving
from labkit.sim.costs import Costs

SIMULATED: dict[str, Any] = {"where": "simulator", "requests": 100, "repetitions": 2}
SLICED = """
class Turns:
    def __init__(self):
        self.queue = []

    def ready(self, thread, why):
        self.queue.append(thread)

    def next(self, server):
        return self.queue.pop(0) if self.queue else None

    def slice(self, thread):
        return 2_000_000
"""


def test_series_are_called_after_their_policies() -> None:
    found = contest.heads(("las", "las:quantum_us=7", "rr:slice_us=9", "/tmp/x/mine.so:a=1"))
    assert list(found) == ["umcg-las", "umcg-las:quantum_us=7", "umcg-rr", "umcg-mine"]
    with pytest.raises(SpecError, match="have the same name twice"):
        contest.heads(("/a/mine.so", "/b/mine.so"))


def test_one_policy_may_be_given_as_it_is() -> None:
    assert MixedSpec(policy="las").policy == ("las",)
    assert MixedSpec.params()["policy"].parse("las rr:slice_us=9") == ("las", "rr:slice_us=9")


@pytest.mark.slow
def test_the_simulator_runs_it_anywhere_and_the_same_again() -> None:
    spec: dict[str, Any] = SIMULATED | {
        "policy": ("priority", "las", "reserve"),
        "beside": ("cfs",),
    }
    run, again = (labkit.mixed(progress=None, **spec) for _ in range(2))
    assert run.samples.equals(again.samples)
    assert run.events.equals(again.events)
    assert run.environment["backend"] == "simulator"
    assert set(run.tasks["series"]) == {"umcg-priority", "umcg-las", "umcg-reserve", "cfs"}
    assert run.tasks["tid"].is_unique().all()
    assert set(run.events["tid"]) <= set(run.tasks["tid"])
    ratio = run.ratios().filter(
        (pl.col("series") == "umcg-priority/urgent p99") & (pl.col("unit") == "ns")
    )
    assert ratio["baseline"].to_list() == ["cfs/urgent p99"]
    assert ratio["ratio"][0] < 0.5
    assert "simulated in virtual time, policy priority and las and reserve" in plots.caption(run)
    assert f"seeds 1 to 2, switching costs switch {Costs.counted().switch_ns} ns" in plots.caption(
        run
    )


def test_what_the_simulator_has_no_twin_of_is_said() -> None:
    run = labkit.mixed(progress=None, **SIMULATED, beside=("cfs", "sched-fifo"))
    assert run.environment["left_out"] == {"sched-fifo": "the simulator has no twin of it"}
    assert not run.samples["series"].str.starts_with("sched-fifo").any()


def test_batch_beside_a_policy_without_slices_is_refused_before() -> None:
    for policy in ("fifo", "lifo"):
        if engine.enabled():
            with pytest.raises(SpecError, match="never takes batch off its server"):
                MixedSpec(policy=policy)
        MixedSpec(policy=policy, where="simulator")


def test_a_policy_in_python_is_one_among_others(tmp_path: Path) -> None:
    assert list(contest.heads((Las, "./mine.py:Las", "./mine.py:Other"))) == [
        "umcg-Las",
        "umcg-mine:Las",
        "umcg-mine:Other",
    ]
    mine = tmp_path / "mine.py"
    mine.write_text(SLICED)
    run = labkit.mixed(progress=None, **SIMULATED, policy=(Las, str(mine)), beside=("cfs",))
    assert run.spec["policy"] == ["Las", str(mine)]
    assert set(run.tasks["series"]) == {"umcg-Las", "umcg-mine", "cfs"}
    assert MixedSpec(policy=Las, where="simulator").policy == (Las,)
    with pytest.raises(SpecError, match="Las, Las names something twice"):
        MixedSpec(policy=(Las, Las), where="simulator")


def test_a_policy_in_python_without_slices_is_refused_before(monkeypatch: Any) -> None:
    monkeypatch.setattr(engine, "enabled", lambda: True)
    with pytest.raises(SpecError, match="Fifo never takes batch off its server"):
        MixedSpec(policy=Fifo)
    with pytest.raises(ValueError, match="its server back under Fifo"):
        serving.serve(
            [serving.Group(threads=1), serving.Group(threads=1, endless=True)],
            serving.Requests(arrival_ns=np.zeros(1, np.uint64), service_us=np.ones(1)),
            policy=Own(Fifo),
            cpus=(0,),
            client_cpu=None,
        )
    classes = MixedSpec(policy=Las).contest().chosen()["umcg-Las"]
    assert isinstance(classes, Own) and classes.classes == ("urgent", "report", "batch")


def test_every_series_has_the_same_jobs() -> None:
    spec = MixedSpec(tenants=2, greed=3.0, requests=400)
    jobs = spec.contest().draw(spec.workload(1))
    names = [each.name for each in jobs.workload.classes]
    assert names == ["urgent 0", "urgent 1", "report"]
    assert np.bincount(jobs.klass)[:2].tolist() == [400, 1200]
    assert (np.diff(jobs.arrival_ns.astype(np.int64)) >= 0).all()


def test_a_reserved_cpu_is_the_first_tenants() -> None:
    spec = MixedSpec(policy=("reserve", "reserve:cpus1=1", "reserve:refuse=3"))
    said = [text.partition(":")[2] for text in spec.contest().policies]
    assert said == ["cpus0=1", "cpus1=1", "refuse=3,cpus0=1"]


def test_a_share_of_batch_is_of_what_answering_leaves() -> None:
    """Of 100 ms on one CPU 20 are the answers', 60 the batch's."""
    spec = MixedSpec(requests=20, report_percent=0.0, batch=1)
    asked = spec.contest()
    jobs = asked.draw(spec.workload(1))
    groups = asked.groups("cfs", None)
    latency = np.full(jobs.arrival_ns.size, 7, np.int64)
    latency[:2] = serving.REFUSED, serving.DROPPED
    late = np.zeros(jobs.arrival_ns.size, np.uint64)
    served = serving.Served(
        latency, late, 100, 80, [20, 60], [18, 30], 0, engine.Outcome([], np.empty(0)), []
    )
    result = served_result(jobs, groups, served, asked.servers)
    assert result.endless_share == 60 / 80
    assert result.endless_ops == 30 * 1e9 / 100
    assert result.busy == 0.8
    count = result.counts["urgent"]
    assert dataclasses.astuple(count) == (20, 18, 0, 1, 1)
    assert count.missed == 2 / 20
    assert result.quantiles["urgent"] == {"": 7.0}, "a 99th percentile takes 100 requests"


def test_tables_and_warnings_work_on_it() -> None:
    run = labkit.mixed(progress=None, **SIMULATED)
    assert "share" in set(analysis.df_samples(run)["unit"])
    assert not [text for text in analysis.warnings(run) if "lost" in text]
