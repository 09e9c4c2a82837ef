# SPDX-License-Identifier: MIT
"""Predictions: the jobs are the same on both sides, and the figure says what is off."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

import labkit
from labkit.native import engine
from labkit.plots import plot_prediction
from labkit.plots.prediction import table
from labkit.predicted import SERIES, THREADS, draw, workloads
from labkit.record import SAMPLE_SCHEMA, Record
from labkit.sim import simulate
from labkit.workload import Class, Closed, Compute, Sleep, Trace, Workload, WorkloadError


def test_the_same_jobs_every_time_in_order_of_arrival() -> None:
    for workload in workloads(50):
        jobs, again = draw(workload, THREADS), draw(workload, THREADS)
        assert (jobs.arrival_ns == again.arrival_ns).all()
        assert (jobs.service_ns == again.service_ns).all()
        assert (np.diff(jobs.arrival_ns.astype(np.int64)) >= 0).all()
        for index, each in enumerate(jobs.workload.classes):
            assert isinstance(each.arrivals, Trace)
            assert each.arrivals.times == tuple(jobs.arrival_ns[jobs.klass == index].tolist())


def test_the_simulator_does_the_jobs_that_were_drawn() -> None:
    """One server, first come first served, no costs: latencies by Lindley's recursion."""
    jobs = draw(workloads(200)[1], THREADS)
    end, latencies = 0, []
    for arrival, service in zip(jobs.arrival_ns.tolist(), jobs.service_ns.tolist(), strict=True):
        end = max(end, arrival) + service
        latencies.append(end - arrival)
    samples = simulate("fifo", jobs.workload, servers=1, events=0).samples
    of = (pl.col("series") == "fifo/jobs") & (pl.col("unit") == "ns")
    median = samples.filter(of)["value"][0]
    assert median == pytest.approx(np.percentile(latencies, 50), rel=0.02)


@pytest.mark.parametrize(
    ("arrivals", "phases", "says"),
    [
        (Closed(2), (Compute("1ms"),), "closed loop"),
        (Trace((0, 1)), (Compute("1ms"), Sleep("1ms")), "more than compute once"),
    ],
)
def test_what_cannot_be_predicted_is_said(arrivals, phases, says) -> None:  # type: ignore[no-untyped-def]
    jobs = None if isinstance(arrivals, Trace) else 3
    work = Workload(classes=(Class(name="a", arrivals=arrivals, phases=phases, jobs=jobs),))
    with pytest.raises(WorkloadError, match=says):
        draw(work, THREADS)


def _record(ratios: dict[str, float]) -> Record:
    rows = []
    for series, ratio in ratios.items():
        for value, unit in (
            (ratio * 100, "simulated ns"),
            (100.0, "measured ns"),
            (ratio, "ratio"),
        ):
            rows.append((series, 0, value, unit, 10))
    samples = pl.DataFrame(rows, schema=SAMPLE_SCHEMA, orient="row")
    return Record(spec={"experiment": "prediction"}, environment={}, samples=samples)


def test_the_figure_says_what_is_off_by_more_than_a_fifth() -> None:
    good = SERIES.format("constant", "jobs", "fifo")
    bad = SERIES.format("two classes", "urgent", "./mine.so:a=1") + "/p99"
    record = _record({good: 1.19, bad: 0.5})
    rows = table(record)
    assert rows["off"].to_list() == [False, True]
    assert rows.row(1)[:4] == ("two classes", "urgent", "./mine.so:a=1", "p99")
    fig = plot_prediction(record)
    assert "1 of 2 are off by more than 20%" in fig.layout.title.text
    assert [text for trace in fig.data for text in trace.text or () if text] == ["-50%"]
    assert "within 20%" in plot_prediction(_record({good: 0.9})).layout.title.text


def test_a_run_of_something_else_is_no_prediction() -> None:
    with pytest.raises(ValueError, match=r"labkit\.prediction"):
        table(Record(spec={"experiment": "swap"}, environment={}))


@pytest.mark.skipif(engine.enabled(), reason="needs a kernel without UMCG")
def test_without_umcg_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(labkit.experiments.NoUmcgError, match="no UMCG"):
        labkit.prediction()
