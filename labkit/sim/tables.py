# SPDX-License-Identifier: MIT
"""The simulator's event file and numbers as the tables of a `Record`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from labkit.records import EVENT_SCHEMA, KINDS, SAMPLE_SCHEMA, STATES, TASK_SCHEMA, empty
from labkit.workload import Workload

#: `struct sim_row` of rows.h.
ROW = np.dtype(
    [
        *(("t", "<i8"), ("arg", "<i8"), ("tid", "<i4"), ("peer", "<i4"), ("flags", "<i4")),
        *(("cpu", "<i2"), ("kind", "u1"), ("states", "u1")),
    ]
)


#: Rows that are read at once: all of them beside the finished table would take twice the memory.
_PART = 1_000_000


def _part(rows: np.ndarray[Any, np.dtype[np.void]]) -> pl.DataFrame:
    """Some rows as an event table; kinds and states are numbered in the order of their names."""
    columns = {
        "kind": pl.Series("kind", KINDS, dtype=EVENT_SCHEMA["kind"]).gather(rows["kind"]),
        "old": pl.Series("old", STATES, dtype=EVENT_SCHEMA["old"]).gather(rows["states"] & 15),
        "new": pl.Series("new", STATES, dtype=EVENT_SCHEMA["new"]).gather(rows["states"] >> 4),
    }
    for name, kind in EVENT_SCHEMA.items():
        if name not in columns:
            columns[name] = pl.Series(name, np.ascontiguousarray(rows[name]), dtype=kind)
    return pl.DataFrame({name: columns[name] for name in EVENT_SCHEMA})


def event_table(path: Path) -> pl.DataFrame:
    """The event table of a file of `ROW`s in order of time; an incomplete last one is left out."""
    whole = path.stat().st_size // ROW.itemsize
    parts = [
        _part(np.fromfile(path, ROW, min(_PART, whole - first), offset=first * ROW.itemsize))
        for first in range(0, whole, _PART)
    ]
    return pl.concat(parts, rechunk=False) if parts else empty(EVENT_SCHEMA)


def task_table(events: pl.DataFrame, workload: Workload, series: str) -> pl.DataFrame:
    """The tasks that the events register: servers, and workers named CLASS NUMBER."""
    names = pl.Series([each.name for each in workload.classes])
    registered = events.filter(pl.col("kind") == "register")
    server = pl.col("old").is_not_null() & (pl.col("new") == "running")
    rows = registered.with_columns(
        role=pl.when(server).then(pl.lit("server")).otherwise(pl.lit("worker")),
        number=pl.int_range(pl.len()).over(server, "arg"),
    )
    what = names.gather(rows["arg"])
    return (
        rows.with_columns(what=pl.when(server).then(pl.lit("server")).otherwise(what))
        .select(
            pl.col("tid"),
            pl.col("role").cast(TASK_SCHEMA["role"]),
            name=pl.format("{} {}", "what", "number"),
            series=pl.lit(series),
        )
        .select(list(TASK_SCHEMA))
    )


def sample_table(found: dict[str, Any], workload: Workload, series: str) -> pl.DataFrame:
    """Of each class, as SERIES/CLASS: quantiles of its latency, response, rate."""
    rows: list[tuple[str, int, float, str, int]] = []
    seconds = found["total"]["now_ns"] / 1e9
    for of, numbers in zip(workload.classes, found["classes"], strict=True):
        name, n = f"{series}/{of.name}", numbers["done"]
        if not n:
            continue
        latency, response = numbers["latency"], numbers["response"]
        rows.append((name, 0, float(latency["p50"]), "ns", n))
        rows.append((f"{name}/p99", 0, float(latency["p99"]), "ns", n))
        rows.append((f"{name}/p99.9", 0, float(latency["p999"]), "ns", n))
        rows.append((f"{name}/response", 0, float(response["p50"]), "ns", response["n"]))
        if seconds:
            rows.append((name, 0, n / seconds, "op/s", n))
    return pl.DataFrame(rows, schema=SAMPLE_SCHEMA, orient="row")


def counters(found: dict[str, Any], workload: Workload, series: str) -> dict[str, int | float]:
    """Totals by name; those of a class are named SERIES/CLASS:NAME."""
    total = dict(found["total"])
    now = total.pop("now_ns")
    made: dict[str, int | float] = {"lost": 0, "virtual_ns": now, **total}
    if found["stopped"]:
        made["stopped"] = 1
    if now:
        places = found["servers"]
        made["utilisation"] = sum(each["busy_ns"] for each in places) / (now * len(places))
        made["overhead"] = sum(each["cost_ns"] for each in places) / (now * len(places))
    for of, numbers in zip(workload.classes, found["classes"], strict=True):
        for name in ("come", "done", "late", "dropped", "service_ns"):
            made[f"{series}/{of.name}:{name}"] = numbers[name]
        done = numbers["done"]
        for name in ("latency", "response"):
            times = numbers[name]
            made[f"{series}/{of.name}:{name}_mean_ns"] = times["sum"] / times["n"] if done else 0
            made[f"{series}/{of.name}:{name}_max_ns"] = times["max"]
    return made
