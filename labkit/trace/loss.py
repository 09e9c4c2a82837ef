# SPDX-License-Identifier: MIT
"""Where a recording lost events, and what is known all the same.

A full ring or buffer leaves a row of kind `lost` for each task whose state changes it took (or
would have taken), and one of kind `lost_op` for each whose operations: from `t` until `arg` nothing
is known of them. Whatever follows in the table before `arg` came from a thread whose ring had room;
it says where the task was for a moment, not for how long.
"""

from __future__ import annotations

import polars as pl

from labkit.records import EVENT_SCHEMA, KERNEL_KINDS, LOSS_KINDS, STATE_KINDS, Record

#: Kinds that say how a task's state changed, to user space or to the kernel.
_CHANGES = (*STATE_KINDS, *(kind for kind in KERNEL_KINDS if kind.startswith("umcg_")))


def rows(losses: list[tuple[int, str, int, int]], cpu: int = -1) -> pl.DataFrame:
    """Event rows of losses: tid (0: of everything on CPU `cpu`), kind, from and until when (ns)."""
    made = [(t, tid, cpu, kind, "none", "none", 0, 0, until) for tid, kind, t, until in losses]
    return pl.DataFrame(made, schema=EVENT_SCHEMA, orient="row")


def known(events: pl.DataFrame) -> pl.DataFrame:
    """The table without the state changes that are within a loss of their task."""
    lost = events.filter(pl.col("kind") == "lost").select("tid", "t", until="arg").sort("t")
    if lost.is_empty():
        return events
    lost = lost.with_columns(pl.col("until").cum_max().over("tid"))
    # A row of the very time of the loss stood before it.
    doubtful = (
        events.with_row_index("row")
        .filter(pl.col("kind").is_in(_CHANGES) & pl.col("tid").is_in(lost["tid"].implode()))
        .sort("t")
        .join_asof(lost, on="t", by="tid", allow_exact_matches=False, check_sortedness=False)
        .filter(pl.col("t") <= pl.col("until"))["row"]
    )
    return events.with_row_index("row").filter(~pl.col("row").is_in(doubtful.implode())).drop("row")


def last_known(events: pl.DataFrame) -> int:
    """The time of the last event, recorded or lost, ns; 0: there is none."""
    if events.is_empty():
        return 0
    until = events.filter(pl.col("kind").is_in(LOSS_KINDS))["arg"]
    return max([int(events["t"][-1]), *(int(u) for u in until)])


def series_ends(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`tid` and `end`: the time of the last event of its series, recorded or lost, ns."""
    loss = pl.col("kind").is_in(LOSS_KINDS)
    last = events.group_by("tid").agg(
        last=pl.max_horizontal(pl.col("t").max(), pl.col("arg").filter(loss).max())
    )
    return (
        tasks.select("tid", "series")
        .join(last, on="tid", how="left")
        .with_columns(end=pl.col("last").max().over("series"))
        .select("tid", "end")
        .drop_nulls()
        .unique("tid", keep="last", maintain_order=True)
    )


def incomplete(record: Record, kind: str = "lost") -> pl.DataFrame:
    """`series` that lost events of this kind, and `since` when (ns) the first of its tasks did."""
    return (
        record.events.filter(pl.col("kind") == kind)
        .join(record.tasks.select("tid", "series"), on="tid")
        .group_by("series")
        .agg(since=pl.col("t").min())
        .sort("series")
    )


def is_complete(record: Record, kind: str = "lost") -> pl.Expr:
    """A column `complete`: the row's `series` lost no events of this kind."""
    lost = incomplete(record, kind)["series"]
    return (~pl.col("series").is_in(lost.implode())).alias("complete")


def supposed(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """The table with losses where a recording must have lost events that did not say when.

    A ring that was never full ends with its owner's leaving. From the last row of one that does
    not, nothing is known of its owner and, if that is a server, of its series' workers. When a
    task's operations were lost does not show: they are known until the last one.
    """
    changes = events.filter(pl.col("kind").is_in(STATE_KINDS))
    last = changes.group_by("tid").agg(since=pl.col("t").last(), left=pl.col("new").last())
    full = tasks.join(last.filter(pl.col("left") != "none"), on="tid").with_columns(
        pl.col("role").cast(pl.String)
    )
    servers = full.filter(pl.col("role") == "server").group_by("series").agg(pl.col("since").min())
    workers = tasks.filter(pl.col("role") == "worker").join(servers, on="series")
    ops = events.filter(pl.col("kind") == "op").group_by("tid").agg(since=pl.col("t").last())
    ends = series_ends(events, tasks)
    found = [
        (tid, kind, since, until)
        for kind, table in (
            ("lost", full.filter(pl.col("role") != "worker").select("tid", "since")),
            ("lost", workers.select("tid", "since")),
            ("lost_op", ops.select("tid", "since")),
        )
        for tid, since, until in table.join(ends, on="tid").select("tid", "since", "end").rows()
    ]
    return pl.concat([events, rows(found)]).sort("t", maintain_order=True)
