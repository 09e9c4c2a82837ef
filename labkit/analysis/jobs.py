# SPDX-License-Identifier: MIT
"""The jobs of a workload: when each came, ran first, ended, and whether it was in time."""

from __future__ import annotations

import polars as pl

from labkit.analysis.requires import requires
from labkit.records import Record
from labkit.trace.schema import STATE_KINDS
from labkit.workload import from_dict


def _deadlines(record: Record) -> dict[str, int | None]:
    """The deadline of each class, ns after arrival, if the run is one of a workload."""
    described = record.spec.get("workload")
    if not described:
        return {}
    workload = from_dict(described)
    return {of.name: None if of.deadline is None else int(of.deadline) for of in workload.classes}


def _began(jobs: pl.DataFrame, states: pl.DataFrame) -> pl.DataFrame:
    """`began` of jobs: when their thread first ran at or after `from`."""
    known = states.select("tid", "t", state="new").sort("t")
    runs = known.filter(pl.col("state") == "running").select("tid", "t", run="t")
    by_begin = jobs.sort("from")
    at = by_begin.join_asof(
        known, left_on="from", right_on="t", by="tid", strategy="backward", check_sortedness=False
    )
    later = at.drop("t", strict=False).join_asof(
        runs, left_on="from", right_on="t", by="tid", strategy="forward", check_sortedness=False
    )
    running = pl.col("state") == "running"
    return later.with_columns(began=pl.when(running).then("from").otherwise("run"))


@requires(any_of=("op", "mark"), roles=("worker",))
def df_jobs(record: Record) -> pl.DataFrame:
    """Every job that was done or dropped, in the order of arrival.

    Returns:
        Rows `class`, `thread` (its name), `tid`, `arrived`, `began`, `ended` (ns, times of the
        trace), `response_ns` (arrival to first run), `turnaround_ns` (arrival to end), `late`
        (null: its class has no deadline) and `dropped`.
    """
    ends = (
        record.events.filter(pl.col("kind").is_in(["op", "mark"]))
        .join(record.tasks.filter(pl.col("role") != "server"), on="tid", maintain_order="left")
        .with_columns(arrived=pl.col("t") - pl.col("arg"), before=pl.col("t").shift(1).over("tid"))
        .with_columns(pl.max_horizontal("arrived", "before").alias("from"))
        .select("tid", "name", "kind", "arrived", "from", ended="t")
    )
    states = record.events.filter(pl.col("kind").is_in(STATE_KINDS))
    deadlines = pl.DataFrame(
        list(_deadlines(record).items()),
        schema={"class": pl.String, "deadline": pl.Int64},
        orient="row",
    )
    dropped = pl.col("kind") == "mark"
    turnaround = pl.col("ended") - pl.col("arrived")
    return (
        _began(ends, states)
        .with_columns(pl.col("name").str.replace(r" \d+$", "").alias("class"))
        .join(deadlines, on="class", how="left", maintain_order="left")
        .sort("arrived", "tid", maintain_order=True)
        .select(
            "class",
            "tid",
            "arrived",
            "began",
            "ended",
            thread="name",
            response_ns=pl.col("began") - pl.col("arrived"),
            turnaround_ns=turnaround,
            late=~dropped & (turnaround > pl.col("deadline")),
            dropped=dropped,
        )
    )
