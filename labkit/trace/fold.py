# SPDX-License-Identifier: MIT
"""One history for each task, out of what user space and the kernel saw of it.

User space sees a registration, a block and a preemption late (when somebody is back in user mode),
and a wake-up only by asking. The kernel's tracepoints give each at its time; folding lets them
stand in.
"""

from __future__ import annotations

import polars as pl

from labkit.record import EVENT_SCHEMA
from labkit.trace.schema import sort

#: Kernel kinds that become state changes, better than user space's of the same task and kind.
_FOLDED = {
    "umcg_register": "register",
    "umcg_block": "block",
    "umcg_wake": "wake",
    "umcg_preempt": "preempt",
}


def fold(events: pl.DataFrame) -> pl.DataFrame:
    """The table with the kernel's `umcg_register`, `_block`, `_wake`, `_preempt` as state changes.

    User space's rows of the same transitions go for each task that the kernel recorded; everything
    else stays as it is. A table without these tracepoints is returned unchanged.
    """
    seen = events.filter(pl.col("kind").is_in(list(_FOLDED)))
    if seen.is_empty():
        return events
    known = pl.col("tid").is_in(seen["tid"].unique().implode())
    kind, old, new = pl.col("kind"), pl.col("old"), pl.col("new")
    superseded = (
        (kind == "register")
        | ((kind == "block") & (old == "running"))
        | ((kind == "wake") & (old == "blocked"))
        | ((kind == "preempt") & (old == "running") & (new != "running"))
    )
    kept = events.filter(~kind.is_in(list(_FOLDED)) & ~(known & superseded))
    folded = seen.with_columns(kind.cast(pl.String).replace(_FOLDED).cast(EVENT_SCHEMA["kind"]))
    return sort(pl.concat([kept, folded]))
