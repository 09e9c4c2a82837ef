# SPDX-License-Identifier: MIT
"""Jobs that are drawn once: the same every time, and the same that the simulator does."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from labkit.predicted import THREADS, workloads
from labkit.sim import simulate
from labkit.workload import Class, Closed, Compute, Sleep, Trace, Workload, WorkloadError
from labkit.workload.drawn import draw


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
