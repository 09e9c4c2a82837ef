# SPDX-License-Identifier: MIT
"""Events as intervals: how long each task stayed in each state, and who was on each CPU."""

from __future__ import annotations

import polars as pl

from labkit.trace.fold import fold
from labkit.trace.schema import STATE_KINDS


def state_intervals(events: pl.DataFrame, end: int | None = None) -> pl.DataFrame:
    """How long each task stayed as each state change left it.

    Args:
        events: an event table.
        end: ns; when the last state of each task ends. None: at the table's last event.

    Returns:
        Rows sorted by (tid, t0): `tid`, `t0`, `t1` (ns), `state`, `flags`, `kind` (of the event
        that began it), `cpu`, `peer`, `listed` (IDLE, and pushed on the idle list). State `none`
        has no interval.
    """
    rows = fold(events).filter(pl.col("kind").is_in(STATE_KINDS))
    last = end if end is not None else (events["t"][-1] if events.height else 0)
    return (
        rows.select("tid", "t", "new", "flags", "kind", "cpu", "peer")
        .sort("tid", maintain_order=True)
        .with_columns(t1=pl.col("t").shift(-1).over("tid").fill_null(last))
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
    """Who was on each CPU, and how that is known.

    Returns:
        Rows `cpu`, `t0`, `t1` (ns), `tid`, sorted by (cpu, t0), and the source: `sched_switch`
        (exact) or `states` (RUNNING tasks on the CPU where they became so; migrations in between
        are not seen).
    """
    switches = events.filter(pl.col("kind") == "sched_switch")
    ours = pl.col("tid").is_in(tasks["tid"].implode())
    if switches.height:
        on = switches.sort("cpu", maintain_order=True).with_columns(
            t1=pl.col("t").shift(-1).over("cpu").fill_null(events["t"][-1])
        )
        shown = on.filter(ours).select("cpu", pl.col("t").alias("t0"), "t1", "tid")
        return shown, "sched_switch"
    # A worker on the CPU hides the server that lends it: only one of them is RUNNING.
    running = state_intervals(events).filter(
        (pl.col("state") == "running") & (pl.col("cpu") >= 0) & ours
    )
    return running.select("cpu", "t0", "t1", "tid").sort("cpu", "t0"), "states"
