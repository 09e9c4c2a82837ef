# SPDX-License-Identifier: MIT
"""What must hold in any trace of the protocol, as functions over the event table.

Each function of `INVARIANTS` takes (events, tasks) and returns a table of `VIOLATION_SCHEMA`,
empty when the property holds. Only rows that change a state are looked at
(`labkit.trace.schema.STATE_KINDS`), and of these only rows of tasks in the task table, so kernel
tracepoints beside them do no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import polars as pl

from labkit.model.replay import with_servers
from labkit.model.states import ADOPT, FREE, LOCKED, RANK, TRANSITIONS
from labkit.records import Record
from labkit.trace.loss import known
from labkit.trace.schema import RESERVED_FLAGS, STATE_KINDS

#: One row a violation: `row` is the event's index in the table.
VIOLATION_SCHEMA: dict[str, pl.DataType] = {
    "invariant": pl.String(),
    "row": pl.Int64(),
    "t": pl.Int64(),
    "tid": pl.Int32(),
    "detail": pl.String(),
}


def _violations(name: str, bad: pl.DataFrame, detail: pl.Expr) -> pl.DataFrame:
    return bad.select(
        pl.lit(name).alias("invariant"),
        pl.col("row").cast(pl.Int64),
        "t",
        "tid",
        detail.alias("detail"),
    )


def _state_rows(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """The rows that change a state, with the task's `role`, the state it `was` left in (null at its
    first row and after a loss of its events), and `by` what."""
    return (
        events.with_row_index("row")
        .filter(pl.col("kind").is_in([*STATE_KINDS, "lost"]))
        .join(tasks.select("tid", pl.col("role").cast(pl.String)), on="tid", maintain_order="left")
        .with_columns(
            was=pl.when(pl.col("kind") != "lost").then("new").shift(1).over("tid"),
            by=pl.col("kind").shift(1).over("tid"),
        )
        .filter(pl.col("kind") != "lost")
    )


def times_ordered(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`times-ordered`: no event is earlier than the event above it, and no time is negative."""
    rows = events.with_row_index("row").with_columns(before=pl.col("t").shift(1, fill_value=0))
    bad = rows.filter(pl.col("t") < pl.col("before"))
    return _violations(
        "times-ordered", bad, pl.format("{} ns after an event at {} ns", "t", "before")
    )


def tasks_known(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`tasks-known`: every task that changes state is in the task table."""
    rows = events.with_row_index("row").filter(pl.col("kind").is_in(STATE_KINDS))
    bad = rows.join(tasks, on="tid", how="anti", maintain_order="left")
    return _violations("tasks-known", bad, pl.format("task {} is not in the task table", "tid"))


def states_continuous(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`states-continuous`: a task leaves the state it was in; its states never overlap.

    A trace without any BLOCKED→IDLE was recorded by user space alone; there it may be missing.
    """
    rows = _state_rows(events, tasks)
    bad = rows.filter(pl.col("was").is_not_null() & (pl.col("was") != pl.col("old")))
    worker = pl.col("role") == "worker"
    if rows.filter(worker & (pl.col("old") == "blocked") & (pl.col("new") == "idle")).is_empty():
        # User space alone never sees wake detection: the step is missing everywhere or nowhere.
        bad = bad.filter(~(worker & (pl.col("was") == "blocked") & (pl.col("old") == "idle")))
    return _violations(
        "states-continuous",
        bad,
        pl.format("{} leaves {}, but {} had left the task {}", "kind", "old", "by", "was"),
    )


def transitions_legal(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`transitions-legal`: the protocol has every transition that is made."""
    legal = pl.DataFrame(
        [t[:4] for t in TRANSITIONS], schema=["role", "kind", "old", "new"], orient="row"
    )
    rows = _state_rows(events, tasks).with_columns(pl.col("kind", "old", "new").cast(pl.String))
    changed = rows.filter((pl.col("old") != pl.col("new")) | (pl.col("old") == "none"))
    bad = changed.join(legal, on=["role", "kind", "old", "new"], how="anti", maintain_order="left")
    return _violations(
        "transitions-legal",
        bad,
        pl.format("a {} may not go from {} to {} by {}", "role", "old", "new", "kind"),
    )


def flags_known(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`flags-known`: reserved bits are zero, a BLOCKED task is not LOCKED, and only an IDLE server
    lends a place or has one to give away."""
    rows = _state_rows(events, tasks)
    reserved = (pl.col("flags") & RESERVED_FLAGS) != 0
    locked = ((pl.col("flags") & LOCKED) != 0) & (pl.col("new") == "blocked")
    no_place = (pl.col("role") != "server") | (pl.col("new") != "idle")
    placed = ((pl.col("flags") & (ADOPT | FREE | RANK)) != 0) & no_place
    return _violations(
        "flags-known",
        rows.filter(reserved | locked | placed),
        pl.format("flags {} while {}", "flags", "new"),
    )


def wake_follows_block(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`wake-follows-block`: a worker woken out of BLOCKED had gone there before."""
    rows = _state_rows(events, tasks)
    woken = rows.filter(
        (pl.col("role") == "worker")
        & (pl.col("kind") == "wake")
        & (pl.col("old") == "blocked")
        & pl.col("was").is_not_null()
    )
    return _violations(
        "wake-follows-block",
        woken.filter(pl.col("was") != "blocked"),
        pl.format("woken, but {} had left it {}", "by", "was"),
    )


def running_worker_has_server(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`running-worker-has-server`: a worker that becomes RUNNING holds the place of a server."""
    rows = with_servers(events, tasks)
    first = rows.with_columns(seen=pl.col("new").shift(1).over("tid").is_not_null())
    # A trace that begins in the middle does not say which server ran a worker before.
    bad = first.filter(
        (pl.col("new") == "running")
        & (pl.col("server") == 0)
        & (pl.col("seen") | (pl.col("old") != "running"))
    )
    return _violations(
        "running-worker-has-server", bad, pl.format("RUNNING by {} without a server", "kind")
    )


def one_worker_per_server(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`one-worker-per-server`: a server lends its place to one worker at a time."""
    rows = with_servers(events, tasks)
    occupant: dict[int, int] = {}
    bad: list[tuple[int, str]] = []
    columns = (rows[c].to_list() for c in ("row", "tid", "kind", "old", "new", "peer", "server"))
    unseen = iter(
        events.with_row_index("row").filter(pl.col("kind") == "lost").select("row", "tid").rows()
    )
    gone = next(unseen, None)
    for row, tid, kind, old, new, peer, server in zip(*columns, strict=True):
        while gone is not None and gone[0] < row:
            # A worker whose events were lost holds no place that is known of.
            occupant = {s: w for s, w in occupant.items() if gone[1] not in (s, w)}
            gone = next(unseen, None)
        if new != "running":
            # Only the holder gives a place back: after a swap it is the next worker's already.
            if occupant.get(server) == tid:
                occupant[server] = 0
        elif server > 0:
            holder = occupant.get(server, 0)
            handed_over = kind == "swap" and old != "running" and holder == peer
            if holder and holder != tid and not handed_over:
                bad.append((row, f"server {server} already runs worker {holder}"))
            occupant[server] = tid
    found = pl.DataFrame(bad, schema={"row": pl.UInt32, "detail": pl.String}, orient="row")
    joined = found.join(rows.select(pl.col("row").cast(pl.UInt32), "t", "tid"), on="row")
    return _violations("one-worker-per-server", joined, pl.col("detail"))


def server_freed(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`server-freed`: a server is RUNNING when it starts a worker, and IDLE while one runs."""
    servers = tasks.filter(pl.col("role") == "server")["tid"]
    rows = events.with_row_index("row").filter(
        pl.col("tid").is_in(servers.implode()) & pl.col("kind").is_in([*STATE_KINDS, "lost"])
    )
    # The server's state as the last of its rows leaves it, at the time a worker starts on it.
    states = (
        rows.with_columns(left=pl.when(pl.col("kind") != "lost").then("new"))
        .group_by(pl.col("tid").alias("server"), "t", maintain_order=True)
        .agg(state=pl.col("left").last(), was_idle=(pl.col("left") == "idle").any())
        .with_columns(at="t")
        .sort("t")
    )
    starts = with_servers(events, tasks).filter(
        (pl.col("kind") == "run") & (pl.col("old") != "running") & (pl.col("new") == "running")
    )
    run = rows.filter((pl.col("kind") == "run") & (pl.col("new") == "idle"))
    again = run.filter(pl.col("old") != "running")
    without = starts.filter(pl.col("server") > 0).join_asof(
        states, on="t", by="server", strategy="backward", check_sortedness=False
    )
    # A turn may begin and end at one time: then the server was IDLE in between.
    short = pl.col("was_idle") & (pl.col("at") == pl.col("t"))
    late = without.filter(pl.col("state").is_not_null() & (pl.col("state") != "idle") & ~short)
    return pl.concat(
        [
            _violations("server-freed", again, pl.format("runs worker {} while {}", "peer", "old")),
            _violations(
                "server-freed",
                late,
                pl.format("started while its server {} is {}", "server", "state"),
            ),
        ]
    )


def operations_last(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """`operations-last`: the latency or service time of an operation is not negative."""
    rows = events.with_row_index("row").filter((pl.col("kind") == "op") & (pl.col("arg") < 0))
    return _violations("operations-last", rows, pl.format("an operation of {} ns", "arg"))


Check = Callable[[pl.DataFrame, pl.DataFrame], pl.DataFrame]

#: Every invariant by its name.
INVARIANTS: dict[str, Check] = {
    "times-ordered": times_ordered,
    "tasks-known": tasks_known,
    "states-continuous": states_continuous,
    "transitions-legal": transitions_legal,
    "flags-known": flags_known,
    "wake-follows-block": wake_follows_block,
    "running-worker-has-server": running_worker_has_server,
    "one-worker-per-server": one_worker_per_server,
    "server-freed": server_freed,
    "operations-last": operations_last,
}


def said(rule: Check) -> str:
    """What an invariant says, as its docstring has it, on one line."""
    first, _, _ = (rule.__doc__ or "").partition("\n\n")
    return " ".join(first.partition(": ")[2].split())


class Verdict(NamedTuple):
    """What a check of a trace says.

    `result` is PASSED, FAILED, or UNDECIDED when events were lost: without a violation, as there
    may be one among the lost; with one, where it is not known when events were lost, so that
    it may be a gap. `violations` has `VIOLATION_SCHEMA`; `checked` is the number of state-changing
    rows looked at.
    """

    result: str
    checked: int
    violations: pl.DataFrame

    def __str__(self) -> str:
        names = self.violations["invariant"].value_counts(sort=True)
        told = ", ".join(f"{n} ({c})" for n, c in names.iter_rows()) or "no violation"
        if not self.checked:
            return f"{self.result}: no task of it changes a state that the protocol speaks of"
        return f"{self.result}: {told} in {self.checked} state changes"


def check(events: pl.DataFrame, tasks: pl.DataFrame, lost: int = 0) -> Verdict:
    """Check all invariants. `lost` is the number of events that the recording lost.

    What is within a loss (`labkit.trace.loss`) is passed over. An empty trace is UNDECIDED:
    nothing was checked.
    """
    gaps = events.select((pl.col("kind") == "lost").any()).item()
    numbered = known(events.with_row_index("number"))
    events = numbered.drop("number")
    found = pl.concat([f(events, tasks) for f in INVARIANTS.values()]).sort("row")
    found = found.with_columns(row=numbered["number"].cast(pl.Int64).gather(found["row"]))
    checked = events.select(pl.col("kind").is_in(STATE_KINDS).sum()).item()
    if found.height and (gaps or not lost):
        return Verdict("FAILED", checked, found)
    return Verdict("UNDECIDED" if lost or gaps or not checked else "PASSED", checked, found)


def check_record(record: Record) -> Verdict:
    """Check a run. Of a trace that others made only tasks of UMCG: of the rest the tracer may have
    left out what explains a step, as a wake-up, and the protocol does not speak of them."""
    events, tasks = record.events, record.tasks
    if record.environment.get("backend") == "imported":
        tasks = tasks.filter(pl.col("role").is_in(["worker", "server"]))
        events = events.filter(pl.col("tid").is_in(tasks["tid"].implode()))
    return check(events, tasks, int(record.counters.get("lost", 0)))
