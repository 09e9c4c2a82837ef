# SPDX-License-Identifier: MIT
"""The dispersive load: what is offered was asked for; what cannot be relied on says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import labkit
from labkit import analysis, plots
from labkit.experiments import ServerSpec, generator
from labkit.experiments.common import Collector
from labkit.experiments.outcome import Count, Result
from labkit.experiments.server import at
from labkit.workload.drawn import Jobs, draw

SIMULATED: dict[str, Any] = {"where": "simulator", "repetitions": 2}


def test_the_published_load_is_the_default_but_for_its_scale() -> None:
    spec = ServerSpec(scale=1.0, requests=2000)
    jobs = spec.contest().draw(spec.workload(1))
    times, counts = np.unique(jobs.service_ns, return_counts=True)
    assert times.tolist() == [10_000, 5_000_000]
    assert counts.tolist() == [1990, 10]
    assert spec.contest().chosen().get("umcg-rr", "rr:slice_us=30") == "rr:slice_us=30"
    assert spec.mean_us() == pytest.approx(0.995 * 10 + 0.005 * 5000)


def test_load_stretches_the_arrivals_alone() -> None:
    spec = ServerSpec(requests=300)
    jobs = draw(spec.workload(1), 4)
    half = at(jobs, 2.0)
    assert np.allclose(half.arrival_ns, jobs.arrival_ns * 2.0, atol=1)
    assert (half.service_ns == jobs.service_ns).all()
    again = draw(half.workload, 4)
    assert (again.arrival_ns == half.arrival_ns).all()
    assert (again.klass == half.klass).all()
    rate = len(jobs.arrival_ns) * 1e9 / float(jobs.arrival_ns[-1])
    assert rate == pytest.approx(spec.nominal(), rel=0.2)


def _jobs(gaps: np.ndarray[Any, Any]) -> Jobs:
    spec = ServerSpec(requests=len(gaps))
    jobs = draw(spec.workload(1), 4)
    return at_times(jobs, np.rint(np.cumsum(gaps)).astype(np.uint64))


def at_times(jobs: Jobs, arrival: np.ndarray[Any, Any]) -> Jobs:
    return Jobs(jobs.workload, arrival, jobs.service_ns, jobs.klass)


def _result(jobs: Jobs, *, late: float = 0.0, left: float = 0.0, latency: float = 1e6) -> Result:
    n = len(jobs.arrival_ns)
    done = Result({}, {}, round(float(jobs.arrival_ns[-1]) * (1 + left)), 0.5)
    done.late_ns = np.full(n, late).astype(np.uint64)
    done.latency_ns = {"short": np.full(n, latency).astype(np.int64)}
    return done


def test_an_honest_generator_is_relied_on() -> None:
    jobs = _jobs(np.random.default_rng(3).exponential(1e6, 2000))
    found = generator.checks(jobs, _result(jobs))
    assert set(found) == set(analysis.load.DOUBTS)
    assert max(found.values()) < 1


def test_what_a_generator_must_not_do_is_found() -> None:
    random = np.random.default_rng(3)
    even = _jobs(np.full(2000, 1e6))
    assert generator.checks(even, _result(even))["arrivals"] > 1
    jobs = _jobs(random.exponential(1e6, 2000))
    assert generator.checks(jobs, _result(jobs, late=2e5))["client"] == pytest.approx(2.0)
    assert generator.checks(jobs, _result(jobs, left=0.5))["queue"] > 1


def test_a_load_that_nothing_of_was_answered_is_no_error() -> None:
    jobs = _jobs(np.random.default_rng(3).exponential(1e6, 2000))
    done = _result(jobs)
    done.latency_ns = {"short": np.empty(0, np.int64)}
    done.counts = {"short": Count(asked=2000, answered=0, late=0, refused=2000, dropped=0)}
    done.work_ns = 5
    assert "client" not in generator.checks(jobs, done)
    spec = ServerSpec(requests=2000)
    collect = Collector(spec.to_dict(), 1, None, None)
    spec.sample(collect, "umcg-fifo", 0, jobs, done)
    assert collect.run(stopped=False).samples["unit"].to_list() == ["op/s", "cpu"]


def test_the_simulators_queue_grows_beyond_what_is_carried() -> None:
    spec = ServerSpec(**SIMULATED, loads=(50, 150), beside=("cfs",), policy="rr")
    with spec.contest().open() as arena:
        cases = spec.draw(arena, 1)
        doubt = {
            case: generator.checks(jobs, arena.once("umcg-rr", jobs))["queue"]
            for case, jobs in cases.items()
        }
    assert doubt["50%"] < 1 < doubt["150%"]


@pytest.mark.parametrize(
    ("points", "found"),
    [
        ([(10, 1.0), (20, 100.0)], (15.0, "")),
        ([(10, 1.0), (20, 10.0)], (20.0, "at least")),
        ([(10, 11.0), (20, 100.0)], (10.0, "at most")),
        # What is carried ends where the limit is crossed first.
        ([(10, 1.0), (20, 100.0), (30, 1.0)], (15.0, "")),
    ],
)
def test_how_much_is_carried(points: Any, found: Any) -> None:
    assert analysis.carried(points, 10.0) == (pytest.approx(found[0]), found[1])


@pytest.mark.long
def test_the_curve_says_what_is_carried_and_what_cannot_be_relied_on() -> None:
    spec: dict[str, Any] = SIMULATED | {"policy": "las", "loads": (40, 160)}
    run = labkit.server(progress=None, **spec)
    kept = dict(analysis.df_carried(run).select("series", "carried").iter_rows())
    assert kept["umcg-las"] >= kept["pool"]
    run.counters["cfs/40%:client"] = 3.0
    table = analysis.df_load(run)
    assert table["series"].unique().sort().to_list() == ["cfs", "pool", "umcg-las"]
    doubts = {
        (name, load): doubt
        for name, load, doubt in table.select("series", "load", "doubt").iter_rows()
    }
    assert doubts["cfs", 40] == analysis.load.DOUBTS["client"]
    assert doubts["umcg-las", 40] == ""
    assert "the queue grew" in doubts["umcg-las", 160]
    assert "cfs" not in analysis.df_carried(run)["series"], "nothing of it can be relied on"
    fig = run.plot("load_curve")
    assert [axis.title.text for axis in (fig.layout.xaxis, fig.layout.xaxis3)] == [
        "requests a second"
    ] * 2
    assert fig.layout.yaxis.type == "log"
    assert "requests a second up to 5 ms: umcg-las" in fig.layout.meta["notice"]
    assert "10 times those published" in fig.layout.meta["title"]
    hollow = {trace.name for trace in fig.data if "circle-open" in trace.marker.symbol}
    assert "cfs" in hollow
    both = plots.plot_load_curve(run, labkit.server(progress=None, **spec))
    assert "cfs (simulator)" in {trace.name for trace in both.data}


def test_other_runs_have_no_curve() -> None:
    run = labkit.mixed(progress=None, where="simulator", requests=50, repetitions=1)
    with pytest.raises(analysis.MissingSamples, match=r"give one of labkit\.server"):
        plots.plot_load_curve(run)


@pytest.mark.long
def test_all_requests_may_be_short() -> None:
    run = labkit.server(progress=None, **SIMULATED, long_percent=0.0, requests=50)
    assert not [name for name in run.samples["series"] if "long" in name]
