# SPDX-License-Identifier: MIT
"""Events as intervals: how long each task stayed in each state, and what was on each CPU."""

from __future__ import annotations

import polars as pl

from labkit.trace.loss import series_ends
from labkit.trace.prefer_kernel import prefer_kernel_events
from labkit.trace.schema import STATE_KINDS


def state_intervals(
    events: pl.DataFrame, tasks: pl.DataFrame, end: int | None = None
) -> pl.DataFrame:
    """How long each task stayed as each state change left it, as far as that is known.

    Args:
        events: an event table.
        tasks: a task table; tasks that are not in it are a series of their own.
        end: ns; when the last state of each task ends. None: at the last event of its series.

    Returns:
        Rows sorted by (tid, t0): `tid`, `t0`, `t1` (ns), `state`, `flags`, `kind` (of the event
        that began it), `cpu`, `peer`, `listed` (IDLE, and pushed on the idle list). State `none`
        has no interval, and none reaches into a loss of events.
    """
    rows = prefer_kernel_events(events).filter(pl.col("kind").is_in([*STATE_KINDS, "lost"]))
    last = events["t"][-1] if events.height else 0
    ends = series_ends(events, tasks).with_columns(end=pl.col("end") if end is None else end)
    return (
        rows.select("tid", "t", "new", "flags", "kind", "cpu", "peer")
        .sort("tid", maintain_order=True)
        .join(ends, on="tid", how="left", maintain_order="left")
        .with_columns(t1=pl.col("t").shift(-1).over("tid").fill_null(pl.col("end")).fill_null(last))
        .filter(pl.col("new") != "none")
        .select(
            "tid",
            pl.col("t").alias("t0"),
            "t1",
            pl.col("new").alias("state"),
            "flags",
            "kind",
            "cpu",
            "peer",
            listed=(pl.col("new") == "idle") & pl.col("kind").is_in(["wake", "timeout"]),
        )
    )


def cpu_intervals(events: pl.DataFrame, tasks: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """What was on each CPU, as far as that is known, and how.

    Returns:
        Rows `cpu`, `t0`, `t1` (ns), `tid`, sorted by (cpu, t0), and the source: `sched_switch`
        (exact) or `states` (RUNNING tasks on the CPU where they became so; migrations in between
        are not seen). None reaches beyond the end of its series or into a loss of events.
    """
    switch = pl.col("kind") == "sched_switch"
    ours = pl.col("tid").is_in(tasks["tid"].implode())
    if events.select(switch.any()).item():
        on = (
            events.filter(switch | ((pl.col("kind") == "lost") & (pl.col("tid") == 0)))
            .sort("cpu", maintain_order=True)
            .with_columns(then=pl.col("t").shift(-1).over("cpu"))
            .filter(ours)
            .join(series_ends(events, tasks), on="tid", maintain_order="left")
            .with_columns(t1=pl.min_horizontal("then", "end"))
        )
        shown = on.filter(pl.col("t1") >= pl.col("t"))
        return shown.select("cpu", pl.col("t").alias("t0"), "t1", "tid"), "sched_switch"
    # A worker on the CPU hides the server that lends it: only one of them is RUNNING.
    running = state_intervals(events, tasks).filter(
        (pl.col("state") == "running") & (pl.col("cpu") >= 0) & ours
    )
    return running.select("cpu", "t0", "t1", "tid").sort("cpu", "t0"), "states"


def loss_intervals(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """Where the state of a task is not known as events were lost: rows `tid`, `t0`, `t1` (ns)."""
    rows = prefer_kernel_events(events).filter(
        pl.col("kind").is_in([*STATE_KINDS, "lost"]) & pl.col("tid").is_in(tasks["tid"].implode())
    )
    return (
        rows.sort("tid", maintain_order=True)
        .join(series_ends(events, tasks), on="tid", maintain_order="left")
        .with_columns(t1=pl.col("t").shift(-1).over("tid").fill_null(pl.col("end")))
        .filter((pl.col("kind") == "lost") & (pl.col("t1") > pl.col("t")))
        .select("tid", t0="t", t1="t1")
    )
