# SPDX-License-Identifier: MIT
"""The trace of `umcg-run --trace` as tables of a `Record`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from labkit.records import EVENT_SCHEMA, TASK_SCHEMA, empty
from labkit.trace import schema
from labkit.trace.errors import TraceError

_HEAD = "#umcg-run trace 1"

_COLUMNS = {
    "t": pl.Int64(),
    "pid": pl.Int32(),
    "tid": pl.Int32(),
    "kind": pl.String(),
    "why": pl.String(),
    "server": pl.Int32(),
    "arg": pl.Int64(),
}

#: What happened, and why, as a row: kind, state before, state after. What is not here has no row.
_ROWS = {
    ("ready", "new"): ("register", "none", "idle"),
    ("ready", "woken"): ("wake", "blocked", "idle"),
    ("run", "-"): ("run", "idle", "running"),
    ("stop", "blocked"): ("block", "running", "blocked"),
    ("stop", "waiting"): ("wait", "running", "blocked"),
    ("stop", "preempted"): ("preempt", "running", "idle"),
    ("stop", "expired"): ("preempt", "running", "idle"),
    ("stop", "yielded"): ("yield", "running", "idle"),
    ("stop", "ended"): ("unregister", "running", "none"),
    ("sleep", "-"): ("wait", "running", "idle"),
    ("wake", "-"): ("wake", "idle", "running"),
    ("request", "-"): ("op", "none", "none"),
}


@dataclass
class Trace:
    """What umcg-run saw.

    Attributes:
        events: event table; `peer` of `run` is the server, `op` is a request with its latency.
        tasks: servers and workers; the series is the process' name.
        lost: events for which there was no room.
        entries: by tid, the function that the thread began with.
    """

    events: pl.DataFrame = field(default_factory=lambda: empty(EVENT_SCHEMA))
    tasks: pl.DataFrame = field(default_factory=lambda: empty(TASK_SCHEMA))
    lost: int = 0
    entries: dict[int, str] = field(default_factory=dict)


def read(path: Path) -> Trace:
    """The trace in a file of `umcg-run --trace`.

    Raises:
        TraceError: it is none, or incomplete.
    """
    with open(path, encoding="utf-8", errors="replace") as file:
        if not file.readline().startswith(_HEAD):
            raise TraceError(f"{path} is no trace of umcg-run")
        said = [line.rstrip("\n").split("\t", 5) for line in file if line.startswith("#")]
    table = pl.read_csv(path, separator="\t", comment_prefix="#", schema=_COLUMNS, quote_char=None)
    processes = {int(row[1]): row[2] for row in said if row[0] == "#process"}
    if table.height and not processes:
        raise TraceError(f"{path} is incomplete: umcg-run was killed before it could end it")
    trace = Trace(lost=sum(int(row[3].split()[0]) for row in said if row[0] == "#process"))
    threads = [row for row in said if row[0] == "#thread"]
    trace.entries = {int(row[2]): row[4] for row in threads}
    if not table.height:
        return trace
    servers = _servers(table)
    trace.events = _events(table, servers)
    trace.tasks = _tasks(servers, threads, processes)
    return trace


def _servers(table: pl.DataFrame) -> pl.DataFrame:
    """Thread ids of servers by process and number; -1 for one that never slept is left out."""
    return (
        table.filter(pl.col("kind").is_in(["sleep", "wake"]))
        .group_by("pid", "server")
        .agg(peer=pl.col("arg").first().cast(pl.Int32))
        .sort("pid", "server")
    )


def _events(table: pl.DataFrame, servers: pl.DataFrame) -> pl.DataFrame:
    rows = pl.DataFrame(
        [(*key, *value) for key, value in _ROWS.items()],
        schema=["kind", "why", "made", "old", "new"],
        orient="row",
    )
    ours = pl.col("tid") > 0
    made = (
        table.join(rows, on=["kind", "why"], how="inner", maintain_order="left")
        .join(servers, on=["pid", "server"], how="left", maintain_order="left")
        .select(
            "t",
            tid=pl.when(ours).then("tid").otherwise("peer"),
            kind="made",
            old="old",
            new="new",
            peer=pl.when(ours & (pl.col("made") == "run")).then("peer").otherwise(0).fill_null(0),
            arg="arg",
        )
        .filter(pl.col("tid").is_not_null())
    )
    return schema.validate(schema.sort(schema.conform(made)))


def _tasks(
    servers: pl.DataFrame, threads: list[list[str]], processes: dict[int, str]
) -> pl.DataFrame:
    rows = [
        {
            "tid": tid,
            "role": "server",
            "name": f"server {number}",
            "series": processes.get(pid, "?"),
        }
        for pid, number, tid in servers.iter_rows()
    ]
    seen = {row["tid"] for row in rows}
    for _, pid, tid, _klass, entry, name in threads:
        # A thread id is used again in the end: the first keeps it.
        if int(tid) not in seen:
            seen.add(int(tid))
            of = processes.get(int(pid), "?")
            called = name if name != of else f"{name} {entry}"
            rows.append({"tid": int(tid), "role": "worker", "name": called, "series": of})
    return schema.validate_tasks(schema.tasks(rows))
