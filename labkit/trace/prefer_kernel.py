# SPDX-License-Identifier: MIT
"""One history for each task, out of what user space and the kernel saw of it.

User space sees a registration, a block and a preemption late (when a thread is back in user mode),
and a wake-up only by asking. That a worker takes a place which passes on it does not see at all.
The kernel's tracepoints give each at its time; folding lets them stand in.
"""

from __future__ import annotations

import polars as pl

from labkit.records import EVENT_SCHEMA
from labkit.trace.loss import known
from labkit.trace.schema import sort

#: Kernel kinds that become state changes, better than user space's of the same task and kind.
_FOLDED = {
    "umcg_register": "register",
    "umcg_block": "block",
    "umcg_wake": "wake",
    "umcg_preempt": "preempt",
    "umcg_run": "run",
}
#: The only `umcg_run` that user space has not made itself: a worker takes a place that passes on.
_ADOPTS = (pl.col("kind") == "umcg_run") & (pl.col("old") == "blocked")


def prefer_kernel_events(events: pl.DataFrame) -> pl.DataFrame:
    """The table with the kernel's `umcg_register`, `_block`, `_wake`, `_preempt` as state changes,
    and `umcg_run` of a worker that was blocked.

    User space's rows of the same transitions go for each task that the kernel recorded, and what
    is within a loss of events (`labkit.trace.loss`); everything else stays as it is.
    """
    events = known(events)
    stands_in = pl.col("kind").is_in([k for k in _FOLDED if k != "umcg_run"]) | _ADOPTS
    seen = events.filter(stands_in)
    if seen.is_empty():
        return events
    recorded = pl.col("tid").is_in(seen["tid"].unique().implode())
    kind, old, new = pl.col("kind"), pl.col("old"), pl.col("new")
    superseded = (
        (kind == "register")
        | ((kind == "block") & (old == "running"))
        | ((kind == "wake") & (old == "blocked"))
        | ((kind == "preempt") & (old == "running") & (new != "running"))
    )
    kept = events.filter(~stands_in & ~(recorded & superseded))
    folded = seen.with_columns(kind.cast(pl.String).replace(_FOLDED).cast(EVENT_SCHEMA["kind"]))
    return sort(pl.concat([kept, folded]))
