# SPDX-License-Identifier: MIT
"""Which server lent its place to which worker: found for every event by replaying the table."""

from __future__ import annotations

import polars as pl

from labkit.trace.schema import STATE_KINDS

#: Server of a worker that got its place from another before the trace began.
UNKNOWN = -1


def with_servers(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """The state-changing rows of workers, with columns `row` (index in `events`) and `server`.

    `server` is the server whose place the worker holds after the event or, if it has just given it
    back, held before; 0 when it holds none, `UNKNOWN` when the table does not tell, as after a loss
    of events. An event's `peer` says it where it is a server; a worker that got its place from
    another has that one's server.
    """
    roles = dict(zip(tasks["tid"].to_list(), tasks["role"].to_list(), strict=True))
    workers = {tid for tid, role in roles.items() if role == "worker"}
    servers = {tid for tid, role in roles.items() if role == "server"}
    rows = events.with_row_index("row").filter(
        pl.col("tid").is_in(list(workers)) & pl.col("kind").is_in([*STATE_KINDS, "lost"])
    )
    server_of: dict[int, int] = {}
    found: list[int] = []
    columns = (rows[c].to_list() for c in ("tid", "kind", "old", "new", "peer"))
    for tid, kind, old, new, peer in zip(*columns, strict=True):
        if kind == "lost":
            server_of[tid] = UNKNOWN
        elif peer in servers and kind != "wake":
            server_of[tid] = peer
        elif kind in ("swap", "run") and new == "running" and old != "running":
            server_of[tid] = server_of.get(peer, UNKNOWN) if peer in workers else 0
        elif kind in ("register", "wake", "timeout") and new != "running":
            server_of[tid] = 0
        found.append(server_of.get(tid, 0))
    told = rows.with_columns(server=pl.Series(found, dtype=pl.Int32))
    return told.filter(pl.col("kind") != "lost")
