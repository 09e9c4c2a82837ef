# SPDX-License-Identifier: MIT
"""`sweep`: many simulations into one data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from labkit.sim import TEXTBOOK, Costs, SettingError
from labkit.sweep.cluster import on_cluster
from labkit.sweep.dataset import Dataset
from labkit.sweep.grid import grid
from labkit.sweep.local import cores, on_cores
from labkit.workload import Workload

#: Called with points finished, points in all, and what the last one was.
Tell = Callable[[int, int, str], None]


def sweep(
    path: str | os.PathLike[str],
    workloads: Workload | Sequence[Workload],
    policies: Sequence[str],
    *,
    servers: Sequence[int] = (2,),
    seeds: Sequence[int] | int = 1,
    loads: Sequence[float] = (1.0,),
    costs: Costs = TEXTBOOK,
    jobs: int | None = None,
    dask: str | None = None,
    watchdog_s: float = 5.0,
    progress: Tell | None = None,
) -> pl.DataFrame:
    """Simulate every combination and keep the numbers in one Parquet file.

    Interrupted, it goes on where it was when it is called again: a point whose policy, workload,
    load, servers, seed and costs are in the file or its journal is not simulated twice.

    Args:
        path: the .parquet file.
        workloads: one or more, with different names.
        policies: by name or file, with options: `("fifo", "las:quantum_us=500", "./mine.so")`.
        servers: numbers of servers.
        seeds: seeds, or how many (from 1).
        loads: factors on the arrivals of open loops, 1.0 as the workload says.
        costs: of switching; without: none.
        jobs: simulations at once; None: one for each CPU.
        dask: address of a Dask scheduler, "tcp://host:8786", to simulate there instead.
        watchdog_s: as for `labkit.simulate`.
        progress: called after each point.

    Returns:
        A row for each class of each point (`labkit.sweep.point.SCHEMA`): coordinates, jobs `come`,
        `done`, `late`, `dropped`, rate `per_s`, latency `p50_ns`, `p99_ns`, `p999_ns`, `mean_ns`,
        `max_ns`, `response_p50_ns`, `utilisation` and `overhead` of the servers (0 to 1), and
        `error`, the first line of the report of a policy that is wrong. `labkit.plots.plot_sweep`
        draws it.

    Raises:
        ChoiceError, SettingError, WorkloadError: something cannot be; nothing was simulated.
        ForeignFile: there is another file at `path`.
        SimulationError: no memory, or the cluster does not answer.
    """
    if isinstance(workloads, Workload):
        workloads = (workloads,)
    if isinstance(seeds, int):
        if isinstance(seeds, bool) or seeds < 1:
            raise SettingError(f"seeds is {seeds!r}; give how many, from 1, or a list of seeds")
        seeds = range(1, seeds + 1)
    if jobs is not None and (isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1):
        raise SettingError(f"jobs is {jobs!r}; give how many at once, from 1")
    points = grid(workloads, policies, servers, list(seeds), loads, costs)
    dataset = Dataset(Path(path))
    missing = [point for point in points if point.key not in dataset.points]
    done = len(points) - len(missing)
    if progress:
        progress(done, len(points), "from before" if done else "")
    if missing:
        found = (
            on_cores(jobs or cores(), missing, watchdog_s)
            if dask is None
            else on_cluster(dask, missing, watchdog_s)
        )
        for point, rows in found:
            dataset.add(rows)
            done += 1
            if progress:
                progress(done, len(points), f"{point.policy}, {point.workload}")
    return dataset.close([point.key for point in points])
