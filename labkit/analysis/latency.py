# SPDX-License-Identifier: MIT
"""Latencies: of operations, of block and wake detection, of preemption. All in ns.

`latencies_*` gives one row a latency (`series`, `ns`), `df_*` the table of quantiles over them.
"""

from __future__ import annotations

import polars as pl

from labkit.analysis.requires import requires
from labkit.model.replay import with_servers
from labkit.records import Record
from labkit.trace.loss import is_complete
from labkit.trace.prefer_kernel import prefer_kernel_events
from labkit.trace.schema import STATE_KINDS

#: The quantiles that tables show.
QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}


def _quantiles(record: Record, latencies: pl.DataFrame, loss: str = "lost") -> pl.DataFrame:
    """n, p50, p90, p99, p99.9 and max of `ns` by `series`; a quantile beyond n's reach is null.

    p99 of 20 values would be the maximum by another name: it needs 1 / (1 - q) values. `complete`
    is false where events of kind `loss` tell that the series had more.
    """
    return (
        latencies.group_by("series", maintain_order=True)
        .agg(
            pl.len().alias("n"),
            *(
                pl.when(pl.len() >= round(1 / (1 - q)))
                .then(pl.col("ns").quantile(q, "linear"))
                .alias(f"{name}_ns")
                for name, q in QUANTILES.items()
            ),
            pl.col("ns").max().alias("max_ns"),
        )
        .with_columns(is_complete(record, loss))
        .sort("series")
    )


def _with_series(rows: pl.DataFrame, record: Record) -> pl.DataFrame:
    return rows.join(record.tasks.select("tid", "series"), on="tid", maintain_order="left")


@requires("op")
def latencies_op(record: Record) -> pl.DataFrame:
    """Each finished operation's latency or service time: `series`, `t` (its end), `ns`."""
    ops = record.events.filter(pl.col("kind") == "op")
    return _with_series(ops, record).select("series", "t", pl.col("arg").alias("ns"))


def df_latency(record: Record) -> pl.DataFrame:
    """Quantiles of the operations' latency by series."""
    return _quantiles(record, latencies_op(record), "lost_op")


@requires(any_of=("block", "umcg_block"), roles=("worker", "server"))
def latencies_detection(record: Record) -> pl.DataFrame:
    """Block detection, a worker's RUNNING→BLOCKED until its server runs: `series`, `t`, `ns`.

    Where only user space saw the block, it saw it when the server was back already, and the
    engine's own measure (`arg`: since the blocking call) is taken.
    """
    events = prefer_kernel_events(record.events)
    blocks = with_servers(events, record.tasks).filter(
        (pl.col("kind") == "block") & (pl.col("new") == "blocked") & (pl.col("old") == "running")
    )
    told = blocks.filter(pl.col("arg") > 0).select("tid", "t", pl.col("arg").alias("ns"))
    derived = _until_running(
        events,
        blocks.filter((pl.col("arg") <= 0) & (pl.col("server") > 0)),
        "server",
    )
    return _with_series(pl.concat([told, derived]).sort("t"), record).select("series", "t", "ns")


def df_detection(record: Record) -> pl.DataFrame:
    """Quantiles of block detection by series; see `latencies_detection`."""
    return _quantiles(record, latencies_detection(record))


@requires(any_of=("wake", "umcg_wake"))
def latencies_wake(record: Record) -> pl.DataFrame:
    """Waking: from a worker's BLOCKED→IDLE until it is RUNNING: `series`, `t`, `ns`.

    Of ordinary threads where there is no worker, as in a trace that another tool recorded.
    """
    events = prefer_kernel_events(record.events)
    role = pl.col("role")
    whose = "worker" if record.tasks.select((role == "worker").any()).item() else "thread"
    workers = record.tasks.filter(role == whose)["tid"]
    woken = events.filter(
        (pl.col("kind") == "wake")
        & (pl.col("old") == "blocked")
        & (pl.col("new") == "idle")
        & pl.col("tid").is_in(workers.implode())
    )
    found = _until_running(events, woken, "tid")
    return _with_series(found, record).select("series", "t", "ns")


def df_wake(record: Record) -> pl.DataFrame:
    """Quantiles of waking by series; see `latencies_wake`."""
    return _quantiles(record, latencies_wake(record))


@requires("preempt", roles=("worker", "server"))
def latencies_preemption(record: Record) -> pl.DataFrame:
    """Preemption: from the request until the worker has left its server: `series`, `t`, `ns`.

    The request is the row that marks the worker PREEMPTED, or the engine's own measure (`arg`).
    """
    rows = record.events.filter(pl.col("kind") == "preempt")
    left = rows.filter((pl.col("old") == "running") & (pl.col("new") != "running"))
    told = left.filter(pl.col("arg") > 0).select("tid", "t", pl.col("arg").alias("ns"))
    asked = rows.filter((pl.col("new") == "running") & (pl.col("old") == "running")).select(
        "tid", "t", asked="t"
    )
    derived = (
        left.filter(pl.col("arg") <= 0)
        .sort("t")
        .join_asof(asked, on="t", by="tid", check_sortedness=False)
        .drop_nulls("asked")
        .select("tid", "t", (pl.col("t") - pl.col("asked")).alias("ns"))
    )
    return _with_series(pl.concat([told, derived]).sort("t"), record).select("series", "t", "ns")


def df_preemption(record: Record) -> pl.DataFrame:
    """Quantiles of preemption by series; see `latencies_preemption`."""
    return _quantiles(record, latencies_preemption(record))


def _until_running(events: pl.DataFrame, begins: pl.DataFrame, whose: str) -> pl.DataFrame:
    """`tid`, `t` and `ns` until the task of column `whose` becomes RUNNING at or after `t`.

    Rows whose task never does, because the trace ends or events were lost, are left out.
    """
    # In user mode: the kernel's own rows tell when the word changed, not when the task ran.
    runs = pl.col("kind").is_in(STATE_KINDS) & (pl.col("new") == "running")
    runs &= pl.col("old") == "idle"
    # A task whose events were lost may have run long before it is seen to.
    seen = events.filter(runs | (pl.col("kind") == "lost")).select(
        pl.col("tid").alias("who"), "t", ran=pl.when(pl.col("kind") != "lost").then("t")
    )
    return (
        begins.select("tid", "t", who=whose)
        .sort("t")
        .join_asof(seen, on="t", by="who", strategy="forward", check_sortedness=False)
        .drop_nulls("ran")
        .select("tid", "t", (pl.col("ran") - pl.col("t")).alias("ns"))
    )
