# SPDX-License-Identifier: MIT
"""Latency over offered load, and how much load is carried before it is too long (`server`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from labkit.analysis.requires import MissingSamples
from labkit.records import Record

#: What a counter above 1 says of a point: `labkit.experiments.generator`.
DOUBTS = {
    "arrivals": "arrivals were not those of independent requests",
    "client": "the client was late, and its delay is in the latencies",
    "queue": "the queue grew: this load is not carried",
}

_SERIES = r"^(?<series>[^/]+)/(?<load>\d+)% short(?: (?<quantile>p99|p99\.9))?$"


class Carried(NamedTuple):
    """The highest load, in requests a second, up to which a quantile stays within a limit.

    Attributes:
        rate: the load.
        bound: "" where the limit is crossed between two loads; "at least" where it never was, "at
            most" where it was at the lowest load already.
    """

    rate: float
    bound: str


def carried(points: Sequence[tuple[float, float]], limit: float) -> Carried:
    """How much is carried, from (load, quantile) in order of load.

    Between two loads the quantile's logarithm is taken to grow evenly.

    Raises:
        ValueError: no points were given.
    """
    if not points:
        raise ValueError("there are no points; give one load or more with its quantile")
    before: tuple[float, float] | None = None
    for load, value in points:
        if value > limit:
            if before is None:
                return Carried(load, "at most")
            part = math.log(limit / before[1]) / math.log(value / before[1])
            return Carried(before[0] + part * (load - before[0]), "")
        before = load, value
    return Carried(points[-1][0], "at least")


def limit_ns(record: Record) -> float:
    """What the run's spec says is too long for a 99.9th percentile."""
    return float(record.spec["limit_us"]) * float(record.spec["scale"]) * 1e3


def df_load(record: Record) -> pl.DataFrame:
    """Latency of short requests over load: medians of the repetitions.

    Returns:
        Rows `series`, `load` (percent of what is carried at all), `offered` (requests a second),
        `p50`, `p99`, `p99.9` (ns; null where there were too few requests), `doubt` ("", or why the
        point cannot be relied on).

    Raises:
        MissingSamples: the run is none of `server`, or has no values.
    """
    samples = record.samples
    parts = samples.with_columns(
        samples["series"].str.extract_groups(_SERIES).struct.unnest()
    ).filter(pl.col("load").is_not_null(), unit="ns") if samples.height else samples  # fmt: skip
    if parts.is_empty():
        raise MissingSamples(
            f"the run {record.experiment!r} has no latencies over load; give one of labkit.server"
        )
    offered = dict(
        samples.filter(pl.col("series").str.starts_with("offered/"))
        .group_by("series")
        .agg(pl.col("value").median())
        .iter_rows()
    )
    wide = parts.with_columns(quantile=pl.col("quantile").fill_null("p50")).pivot(
        "quantile", index=["series", "load"], values="value", aggregate_function="median"
    )
    rows = [
        {
            "series": row["series"],
            "load": int(row["load"]),
            "offered": offered[f"offered/{row['load']}%"],
            **{name: row.get(name) for name in ("p50", "p99", "p99.9")},
            "doubt": _doubt(record, f"{row['series']}/{row['load']}%"),
        }
        for row in wide.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema_overrides={"p99": pl.Float64, "p99.9": pl.Float64})


def _doubt(record: Record, series: str) -> str:
    said = [text for what, text in DOUBTS.items() if record.counters.get(f"{series}:{what}", 0) > 1]
    return "; ".join(said)


def df_carried(record: Record, limit: float | None = None) -> pl.DataFrame:
    """The load that each series carries before its 99.9th percentile is too long.

    Args:
        record: a run of `server`.
        limit: ns; None: what the run's spec says.

    Returns:
        Rows `series`, `carried` (requests a second), `bound` ("", "at least", "at most"), see
        `Carried`. Loads at which something is in doubt do not count; series that are left with
        none, or have too few requests for a 99.9th percentile, are left out.

    Raises:
        MissingSamples: the run is none of `server`, or has no values.
    """
    table = df_load(record).filter(pl.col("p99.9").is_not_null(), doubt="")
    limit = limit_ns(record) if limit is None else limit
    rows = []
    for (series,), group in table.group_by("series", maintain_order=True):
        points = group.sort("offered").select("offered", "p99.9").rows()
        found = carried(points, limit)
        rows.append((series, found.rate, found.bound))
    return pl.DataFrame(
        rows,
        schema={"series": pl.String(), "carried": pl.Float64(), "bound": pl.String()},
        orient="row",
    )
