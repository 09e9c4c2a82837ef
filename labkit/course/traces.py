# SPDX-License-Identifier: MIT
"""What the notebooks ask of a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from labkit.model import states
from labkit.model.replay import with_servers
from labkit.records import STATE_KINDS, Record
from labkit.run import Run
from labkit.trace import schema
from labkit.trace.intervals import state_intervals
from labkit.trace.loss import incomplete

if TYPE_CHECKING:
    from labkit.trace.kernel import KernelTrace


def running_at_once(run: Record, series: str, role: str | None = None) -> pl.DataFrame:
    """How many tasks of a series were RUNNING at the same time.

    Args:
        run: with events.
        series: whose.
        role: count only these tasks, such as `worker`; None: all.

    Returns:
        Rows `running` (0, 1, ...), `share` of the time from the first to the last state change, or
        until events of the series were lost.
    """
    chosen = run.tasks.filter(pl.col("series") == series)
    if role is not None:
        chosen = chosen.filter(pl.col("role") == role)
    tasks = chosen["tid"].implode()
    events = run.events.filter(pl.col("tid").is_in(tasks))
    spans = state_intervals(events, chosen)
    if lost := incomplete(run).filter(pl.col("series") == series)["since"].to_list():
        # What is RUNNING beside a task whose events were lost is no longer the question.
        spans = spans.filter(pl.col("t0") < lost[0]).with_columns(pl.col("t1").clip(0, lost[0]))
    running = spans.filter(pl.col("state") == "running")
    steps = pl.concat(
        [
            running.select(t="t0", step=pl.lit(1)),
            running.select(t="t1", step=pl.lit(-1)),
            spans.select(t="t0", step=pl.lit(0)),
        ]
    )
    return (
        steps.group_by("t")
        .agg(pl.col("step").sum())
        .sort("t")
        .select(running=pl.col("step").cum_sum(), ns=pl.col("t").shift(-1) - pl.col("t"))
        .drop_nulls()
        .group_by("running")
        .agg(pl.col("ns").sum())
        .filter(pl.col("ns") > 0)
        .select("running", share=pl.col("ns") / pl.col("ns").sum())
        .sort("running")
    )


def transitions(run: Record, series: str) -> pl.DataFrame:
    """The state changes of a series by kind: `role`, `kind`, `old`, `new`, `by` (who), `times`."""
    rows = (
        run.events.filter(pl.col("kind").is_in(STATE_KINDS))
        .join(run.tasks.filter(pl.col("series") == series), on="tid")
        .group_by("role", "kind", "old", "new", maintain_order=True)
        .agg(times=pl.len())
        .with_columns(pl.col("role", "kind", "old", "new").cast(pl.String))
    )
    by = [states.who(*row) for row in rows.select("role", "kind", "old", "new").iter_rows()]
    rows = rows.with_columns(by=pl.Series(by, dtype=pl.String))
    return rows.select("role", "kind", "old", "new", "by", "times").sort(
        "role", maintain_order=True
    )


def with_kernel(run: Run, trace: KernelTrace) -> Run:
    """The run with the kernel's rows about its tasks, and about what follows them on a CPU."""
    tids = run.tasks["tid"].implode()
    leaves = (pl.col("kind") == "sched_switch") & pl.col("peer").is_in(tids)
    of_a_cpu = (pl.col("kind") == "lost") & (pl.col("tid") == 0)
    ours = trace.events.filter(pl.col("tid").is_in(tids) | leaves | of_a_cpu)
    return Run(
        spec=run.spec,
        environment=run.environment,
        events=schema.merge(run.events, ours),
        tasks=run.tasks,
        samples=run.samples,
        counters=run.counters | {"lost": run.counters.get("lost", 0) + trace.lost},
    )


def meanwhile(run: Record) -> pl.DataFrame:
    """What the servers did while a worker was blocked.

    Returns:
        Rows `series`, `blocks` (after which the worker ran again), `others_ran` (of these, while
        how many its server ran another), `turns` (of others, median of all blocks).
    """
    rows = with_servers(run.events, run.tasks).join(run.tasks.select("tid", "series"), on="tid")
    starts = rows.filter((pl.col("old") == "idle") & (pl.col("new") == "running"))
    found = []
    for (tid,), mine in rows.group_by("tid", maintain_order=True):
        blocked = mine.filter((pl.col("old") == "running") & (pl.col("new") == "blocked"))
        again = starts.filter(pl.col("tid") == tid)["row"].to_numpy()
        for row, server, series in blocked.select("row", "server", "series").iter_rows():
            at = int(np.searchsorted(again, row))
            if at < len(again):
                between = starts.filter(
                    (pl.col("server") == server) & pl.col("row").is_between(row, again[at], "none")
                )
                found.append((series, between.height))
    return (
        pl.DataFrame(found, schema={"series": pl.String, "n": pl.Int64}, orient="row")
        .group_by("series", maintain_order=True)
        .agg(blocks=pl.len(), others_ran=(pl.col("n") > 0).sum(), turns=pl.col("n").median())
        .sort("series")
    )


def pairs_in_order(run: Record, came: str, went: str) -> float:
    """Of every two tasks that waited at the same time: the share that left in order of arrival.

    1: first come, first served; 0: last come, first served; nan: never did two wait.

    Args:
        run: with events.
        came: kind of the event that begins a wait.
        went: kind of the event that ends it, of the same task.
    """
    kinds = run.events.filter(pl.col("kind").cast(pl.String).is_in([came, went])).with_columns(
        then=pl.col("t").shift(-1).over("tid"), next=pl.col("kind").shift(-1).over("tid")
    )
    waits = kinds.filter(
        (pl.col("kind").cast(pl.String) == came) & (pl.col("next").cast(pl.String) == went)
    ).sort("t")
    begin, end = waits["t"].to_numpy(), waits["then"].to_numpy()
    later, earlier = np.tril_indices(len(begin), -1)
    together = begin[later] < end[earlier]
    if not together.any():
        return float("nan")
    return float(np.mean(end[earlier][together] < end[later][together]))
