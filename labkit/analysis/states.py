# SPDX-License-Identifier: MIT
"""Where time went: state occupancy of tasks, CPU use, throughput over time, fairness."""

from __future__ import annotations

import polars as pl

from labkit.analysis.requires import requires
from labkit.records import Record
from labkit.trace.intervals import cpu_intervals, state_intervals
from labkit.trace.loss import incomplete, is_complete, series_ends
from labkit.trace.schema import STATE_KINDS


@requires(any_of=STATE_KINDS)
def df_occupancy(record: Record) -> pl.DataFrame:
    """Share of time each task spent in each state.

    Returns:
        Rows `tid`, `name`, `role`, `series`, `running`, `idle`, `listed` (IDLE on the idle list;
        not in `idle`), `blocked` (shares of `observed_ns`, which add up to 1), `observed_ns` (how
        long its state is known: from its first event to its last or, if it stays, to its series'
        last) and `complete` (false: events of it were lost, and the shares are of what is known).
    """
    lost = record.events.filter(pl.col("kind") == "lost")["tid"].unique()
    spans = state_intervals(record.events, record.tasks).with_columns(
        ns=pl.col("t1") - pl.col("t0"),
        place=pl.when("listed").then(pl.lit("listed")).otherwise(pl.col("state").cast(pl.String)),
    )
    places = ("running", "idle", "listed", "blocked")
    total = spans.group_by("tid").agg(
        pl.col("ns").sum().alias("observed_ns"),
        *(pl.col("ns").filter(pl.col("place") == p).sum().alias(p) for p in places),
    )
    return (
        record.tasks.join(total.filter(pl.col("observed_ns") > 0), on="tid")
        .with_columns(pl.col(p) / pl.col("observed_ns") for p in places)
        .with_columns(complete=~pl.col("tid").is_in(lost.implode()))
        .select("tid", "name", "role", "series", *places, "observed_ns", "complete")
        .sort("series", "role", "tid")
    )


@requires("op")
def df_throughput(record: Record, bins: int = 60) -> pl.DataFrame:
    """Finished operations over time, until the first of a series' tasks lost some.

    Rows `series`, `s` (since the series began, middle of the bin), `per_s`, `n`, `complete` (false:
    the series went on).

    Raises:
        ValueError: `bins` is not positive.
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}; give at least 1")
    ops = record.events.filter(pl.col("kind") == "op").join(
        record.tasks.select("tid", "series"), on="tid", maintain_order="left"
    )
    ops = ops.join(incomplete(record, "lost_op"), on="series", how="left", maintain_order="left")
    ops = ops.filter((pl.col("t") < pl.col("since")).fill_null(True))
    spans = ops.group_by("series").agg(first=pl.col("t").min(), last=pl.col("t").max())
    # A series whose operations all fall into one instant has no rate.
    spans = spans.filter(pl.col("last") > pl.col("first")).with_columns(
        width=(pl.col("last") - pl.col("first")) / bins
    )
    counted = (
        ops.join(spans, on="series")
        .with_columns(
            bin=((pl.col("t") - pl.col("first")) / pl.col("width"))
            .floor()
            .clip(0, bins - 1)
            .cast(pl.Int64)
        )
        .group_by("series", "bin")
        .agg(n=pl.len())
    )
    grid = spans.select("series", "width").join(
        pl.DataFrame({"bin": range(bins)}, schema={"bin": pl.Int64}), how="cross"
    )
    return (
        grid.join(counted, on=["series", "bin"], how="left")
        .with_columns(pl.col("n").fill_null(0))
        .select(
            "series",
            s=(pl.col("bin") + 0.5) * pl.col("width") / 1e9,
            per_s=pl.col("n") / pl.col("width") * 1e9,
            n="n",
        )
        .with_columns(is_complete(record, "lost_op"))
        .sort("series", "s")
    )


@requires(any_of=("sched_switch", *STATE_KINDS))
def df_cpu_use(record: Record) -> pl.DataFrame:
    """Share of a series' time that its tasks were on each CPU, until one of them lost events.

    Returns:
        Rows `series`, `cpu`, `share` (1: always busy), `source`: `sched_switch` is exact, `states`
        counts RUNNING where it began, which is what user space can know; `complete` (false: the
        series went on).
    """
    spans, source = cpu_intervals(record.events, record.tasks)
    observed = _observed(record)
    by_series = spans.join(record.tasks.select("tid", "series"), on="tid").join(
        observed, on="series"
    )
    # Two threads RUNNING on one CPU share it: their union is what the CPU was busy for.
    return (
        by_series.with_columns(t1=pl.min_horizontal("t1", "until"))
        .filter(pl.col("t1") > pl.col("t0"))
        .sort("series", "cpu", "t0")
        .with_columns(
            reached=pl.col("t1").cum_max().shift(1).over("series", "cpu").fill_null(pl.col("t0"))
        )
        .with_columns(ns=(pl.col("t1") - pl.max_horizontal("t0", "reached")).clip(0))
        .group_by("series", "cpu")
        .agg(pl.col("ns").sum())
        .join(observed, on="series")
        .select(
            "series",
            "cpu",
            share=(pl.col("ns") / (pl.col("until") - pl.col("first"))).clip(0, 1),
            source=pl.lit(source),
            complete=is_complete(record),
        )
        .sort("series", "cpu")
    )


def _observed(record: Record) -> pl.DataFrame:
    """`series`, `first` and `until` (ns): while the states of all its tasks are known."""
    ends = series_ends(record.events, record.tasks)
    return (
        record.events.join(record.tasks.select("tid", "series"), on="tid")
        .join(ends, on="tid")
        .group_by("series")
        .agg(first=pl.col("t").min(), end=pl.col("end").max())
        .join(incomplete(record), on="series", how="left")
        .with_columns(until=pl.min_horizontal("end", "since"))
        .filter(pl.col("until") > pl.col("first"))
        .select("series", "first", "until")
    )


@requires(any_of=STATE_KINDS)
def df_fairness(record: Record) -> pl.DataFrame:
    """Jain's index of RUNNING time over each series' workers: 1 all alike, 1/n one has all.

    Source: Jain, Chiu, Hawe, "A quantitative measure of fairness", DEC TR-301, 1984.
    Returns rows `series`, `n` tasks, `jain`, `least` and `most` (shares of the RUNNING time), and
    `complete` (false: only until the first of them lost events).
    """
    running = (
        state_intervals(record.events, record.tasks)
        .filter(pl.col("state") == "running")
        .join(record.tasks.select("tid", "series"), on="tid")
        .join(_observed(record), on="series")
        .with_columns(t1=pl.min_horizontal("t1", "until"))
        .filter(pl.col("t1") > pl.col("t0"))
        .group_by("tid")
        .agg(ns=(pl.col("t1") - pl.col("t0")).sum())
    )
    tasks = record.tasks.filter(pl.col("role") != "server").join(running, on="tid", how="left")
    x = pl.col("ns").fill_null(0).cast(pl.Float64)
    return (
        tasks.group_by("series")
        .agg(
            n=pl.len(),
            jain=x.sum() ** 2 / (pl.len() * (x**2).sum()),
            least=x.min() / x.sum(),
            most=x.max() / x.sum(),
        )
        .filter(pl.col("jain").is_finite())
        .with_columns(is_complete(record))
        .sort("series")
    )
