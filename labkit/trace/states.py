# SPDX-License-Identifier: MIT
"""State changes of tasks out of what the scheduler's tracepoints say of them.

A trace that others made has no state words of user space. The scheduler's own events say as much: a
task on a CPU is RUNNING; one that left and could go on is IDLE; one that was woken and waits for a
CPU is IDLE on the list; one that left and could not go on is BLOCKED. Tasks with `umcg_*` events
have their state word from these.
"""

from __future__ import annotations

import polars as pl

from labkit.records import EVENT_SCHEMA, KERNEL_KINDS, empty
from labkit.trace.schema import conform, sort

#: Bits of the state of a task that has ended: the kernel's EXIT_DEAD, EXIT_ZOMBIE.
_ENDED = 16 | 32

#: Kernel kinds that `labkit.trace.prefer_kernel` does not make state changes of, and what they are.
_UMCG_KINDS = {
    "umcg_unregister": "unregister",
    "umcg_run": "run",
    "umcg_switch": "swap",
    "umcg_timeout": "timeout",
    "umcg_wake_server": "run",
}

_WAKINGS = ("sched_wakeup", "sched_wakeup_new")


def with_states(events: pl.DataFrame) -> pl.DataFrame:
    """The events, and beside them the state changes that they tell of.

    Args:
        events: an event table of kernel kinds.
    """
    umcg = events.filter(pl.col("kind").is_in([k for k in KERNEL_KINDS if k[0] == "u"]))
    words = umcg.filter(pl.col("kind").is_in(list(_UMCG_KINDS))).with_columns(
        pl.col("kind").cast(pl.String).replace(_UMCG_KINDS).cast(EVENT_SCHEMA["kind"])
    )
    ours = pl.col("tid").is_in(umcg["tid"].unique().implode())
    return sort(pl.concat([events, words, _scheduled(events).filter(~ours)]))


def _scheduled(events: pl.DataFrame) -> pl.DataFrame:
    """What `sched_switch` and wake-ups make of each task."""
    numbered = events.with_row_index("row")
    switch = numbered.filter(pl.col("kind") == "sched_switch")
    ended = (pl.col("arg") & _ENDED) != 0
    went = pl.when(ended).then(pl.lit("none"))
    how = pl.when(ended).then(pl.lit("unregister"))
    leaves = switch.select(
        "row",
        "t",
        "cpu",
        tid="peer",
        peer=pl.lit(0),
        kind=how.when(pl.col("arg") == 0).then(pl.lit("preempt")).otherwise(pl.lit("block")),
        new=went.when(pl.col("arg") == 0).then(pl.lit("idle")).otherwise(pl.lit("blocked")),
    )
    comes = switch.select(
        "row", "t", "cpu", "tid", peer=pl.lit(0), kind=pl.lit("run"), new=pl.lit("running")
    )
    # Both are there where both were recorded; the second is when the task really is in a queue.
    kinds = numbered["kind"].unique().cast(pl.String)
    woken = _WAKINGS if set(kinds) & set(_WAKINGS) else ("sched_waking",)
    wakes = numbered.filter(pl.col("kind").is_in(woken)).select(
        "row", "t", "cpu", "tid", "peer", kind=pl.lit("wake"), new=pl.lit("idle")
    )
    made = (
        pl.concat([leaves, comes, wakes], how="vertical_relaxed")
        .filter(pl.col("tid") > 0)  # 0: the CPU has nothing to do
        .sort("tid", "row", maintain_order=True)
        .with_columns(old=pl.col("new").shift(1).over("tid"))
    )
    # A task that is woken while it could go on anyway only goes on.
    needless = (pl.col("kind") == "wake") & pl.col("old").is_in(["running", "idle"])
    made = made.filter(~needless.fill_null(False)).with_columns(
        old=pl.coalesce(
            pl.col("new").shift(1).over("tid").replace({"none": "idle"}),
            pl.when(pl.col("kind") == "wake")
            .then(pl.lit("blocked"))
            .when(pl.col("kind") == "run")
            .then(pl.lit("idle"))
            .otherwise(pl.lit("running")),
        )
    )
    return conform(made.sort("t", "row").drop("row")) if made.height else empty(EVENT_SCHEMA)
