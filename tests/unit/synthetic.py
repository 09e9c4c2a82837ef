# SPDX-License-Identifier: MIT
"""Runs made by the protocol model, for tests of what reads runs."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import polars as pl

from labkit.model.explore import walk
from labkit.model.machine import world
from labkit.records import SAMPLE_SCHEMA, Record
from labkit.trace import schema

ENVIRONMENT: dict[str, Any] = {
    "backend": "umcg",
    "umcg_missing": "",
    "kernel": "6.1.0-model",
    "kernel_version": "#1 SMP",
    "config_digest": "0123456789ab",
    "accelerator": "tcg",
    "cpu": "a model of a CPU",
    "cpus": [0, 1],
    "clock": "tsc",
    "governor": "",
    "turbo": None,
    "smt": False,
    "aslr": "2",
    "load": 0.1,
    "boot_id": "b00d",
    "commit": "0123456",
    "time": "2026-01-01T00:00:00+00:00",
}


def model_events(
    servers: int = 2,
    workers: int = 5,
    length: int = 3000,
    seed: int = 1,
    series: str = "umcg/model",
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events and tasks of a random walk of the model."""
    _, events, tasks = walk(world(servers, workers), length, random.Random(seed))
    return events, tasks.with_columns(series=pl.lit(series))


def samples(
    medians: dict[str, float], unit: str = "ns", n: int = 9, spread: float = 0.02
) -> pl.DataFrame:
    """Values around each series' median."""
    rng = np.random.default_rng(7)
    rows = [
        (name, i, float(m * rng.normal(1, spread)), unit, 100_000)
        for i in range(n)
        for name, m in medians.items()
    ]
    return pl.DataFrame(rows, schema=SAMPLE_SCHEMA, orient="row")


def record(**changes: Any) -> Record:
    """A run of the model with samples, probe cost and environment; `changes` replace its fields."""
    events, tasks = model_events()
    fields: dict[str, Any] = {
        "spec": {"experiment": "block", "workers": 5, "servers": 2, "repetitions": 9},
        "environment": dict(ENVIRONMENT),
        "events": events,
        "tasks": tasks,
        "samples": samples({"umcg/sleep": 800.0, "pthread/sleep": 1000.0}),
        "counters": {"lost": 0, "umcg/sleep:probe_cost": 1.25},
    }
    return Record(**(fields | changes))


def million(seed: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """About a million events: one walk, repeated end to end."""
    events, tasks = model_events(2, 8, 20_000, seed)
    length = int(events["t"][-1]) + 1
    copies = 1_000_000 // events.height + 1
    table = pl.concat([events.with_columns(pl.col("t") + i * length) for i in range(copies)])
    return schema.sort(table), tasks
