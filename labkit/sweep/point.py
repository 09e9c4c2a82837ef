# SPDX-License-Identifier: MIT
"""One point of a sweep: simulate it, and make rows of its numbers. Runs here or on a worker."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import Any

import polars as pl

from labkit.sim import PolicyError, policies, simulate
from labkit.sweep.grid import Point

#: The data set: one row for each class of each point.
SCHEMA: dict[str, pl.DataType] = {
    "key": pl.String(),
    "workload": pl.String(),
    "policy": pl.String(),
    "load": pl.Float64(),
    "servers": pl.Int32(),
    "seed": pl.Int64(),
    "class": pl.String(),
    "come": pl.Int64(),
    "done": pl.Int64(),
    "late": pl.Int64(),
    "dropped": pl.Int64(),
    "per_s": pl.Float64(),
    "p50_ns": pl.Float64(),
    "p99_ns": pl.Float64(),
    "p999_ns": pl.Float64(),
    "mean_ns": pl.Float64(),
    "max_ns": pl.Float64(),
    "response_p50_ns": pl.Float64(),
    "utilisation": pl.Float64(),
    "overhead": pl.Float64(),
    "virtual_ns": pl.Int64(),
    "turns": pl.Int64(),
    "error": pl.String(),
}
_SAMPLES = {
    ("", "op/s"): "per_s",
    ("", "ns"): "p50_ns",
    ("/p99", "ns"): "p99_ns",
    ("/p99.9", "ns"): "p999_ns",
    ("/response", "ns"): "response_p50_ns",
}


def _coordinates(point: Point) -> dict[str, Any]:
    return {
        "key": point.key,
        "workload": point.workload,
        "policy": point.policy,
        "load": point.load,
        "servers": point.servers,
        "seed": point.seed,
    }


def _rows(point: Point, run: Any) -> list[dict[str, Any]]:
    series = run.spec["policy"]
    samples = {(name, unit): value for name, _, value, unit, _ in run.samples.iter_rows()}
    counters = run.counters
    whole = {
        "utilisation": counters.get("utilisation"),
        "overhead": counters.get("overhead"),
        "virtual_ns": counters["virtual_ns"],
        "turns": counters["turns"],
    }
    rows = []
    for of in point.scaled().classes:
        name = f"{series}/{of.name}"
        row = {what: counters[f"{name}:{what}"] for what in ("come", "done", "late", "dropped")}
        row |= {column: samples.get((name + end, u)) for (end, u), column in _SAMPLES.items()}
        row |= {
            "mean_ns": counters[f"{name}:latency_mean_ns"],
            "max_ns": counters[f"{name}:latency_max_ns"],
        }
        rows.append(_coordinates(point) | {"class": of.name} | row | whole)
    return rows


def simulate_point(
    point: Point, watchdog_s: float, stop: threading.Event | None = None
) -> list[dict[str, Any]] | None:
    """Rows of `SCHEMA`; None: it was stopped. A policy that is wrong gives rows with `error`.

    Raises:
        SimulationError, WorkloadError: it cannot be simulated at all.
    """
    policy = point.policy
    with tempfile.TemporaryDirectory(prefix="labkit-sweep-") as folder:
        if point.object:
            # On a worker the policy's file may not be where it was built.
            file = Path(folder) / "policy.so"
            file.write_bytes(point.object)
            _, options = policies.split(policy)
            policy = f"{file}:{options}" if options else str(file)
        try:
            run = simulate(
                policy,
                point.scaled(),
                point.servers,
                point.seed,
                costs=point.costs,
                events=0,
                watchdog_s=watchdog_s,
                stop=stop,
            )
        except PolicyError as error:
            classes = point.scaled().classes
            return [
                _coordinates(point) | {"class": of.name, "error": error.sentence} for of in classes
            ]
    return None if run.counters.get("stopped") else _rows(point, run)


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as the data set's table."""
    return pl.DataFrame(rows, schema=SCHEMA)
