# SPDX-License-Identifier: MIT
"""A recorded trace, gone through as the model is: one change of a state word after the other."""

from __future__ import annotations

import bisect

import polars as pl

from labkit.model.invariants import check
from labkit.model.replay import with_servers
from labkit.model.stage import Actor, Choice
from labkit.model.states import IN_WAIT, LOCKED, PREEMPTED, who
from labkit.records import STATE_KINDS

_BY = {
    "self": "the task itself",
    "worker": "a worker",
    "server": "its server",
    "kernel": "the kernel",
    "any": "another thread",
}


class Retrace:
    """The state changes of a trace, to be gone through in both directions; a `stage.Stage`.

    What is known is what the trace says: `next_tid` follows from which server ran which worker;
    the slot and what a thread is about to do are not recorded.
    """

    def __init__(self, events: pl.DataFrame, tasks: pl.DataFrame) -> None:
        """Begin before the first change.

        Args:
            events: an event table (folded, if the kernel's rows are in it).
            tasks: the tasks to follow.

        Raises:
            ValueError: none of these tasks changes its state.
        """
        known = pl.col("tid").is_in(tasks["tid"].implode())
        self._events = events.filter(known & pl.col("kind").is_in([*STATE_KINDS, "op", "lost"]))
        changes = self._events.with_row_index("place").filter(pl.col("kind").is_in(STATE_KINDS))
        if changes.is_empty():
            raise ValueError("this trace has no change of a state; record the run with events")
        self.tasks = tasks.sort(pl.col("role").cast(pl.String) != "server", maintain_order=True)
        self._roles = dict(self.tasks.select("tid", pl.col("role").cast(pl.String)).iter_rows())
        self._names = dict(tasks.select("tid", "name").iter_rows())
        self._places = changes["place"].to_list()
        self._changes = changes.with_columns(
            pl.col("kind", "old", "new").cast(pl.String)
        ).to_dicts()
        places = with_servers(self._events, tasks)
        self._server = dict(places.select("row", "server").iter_rows())
        wrong = check(self._events, tasks).violations
        self._wrong: dict[int, list[str]] = {}
        for row, name, detail in wrong.select("row", "invariant", "detail").iter_rows():
            at = bisect.bisect_left(self._places, row)
            self._wrong.setdefault(at + 1, []).append(f"{name}: {detail}.")
        self._at = 0
        self._reset()

    def _reset(self) -> None:
        self._now = dict.fromkeys(self._roles, ("none", 0, 0))
        first: dict[int, str] = {}
        for change in self._changes:
            first.setdefault(change["tid"], change["old"])
        # A trace may begin in the middle: then a task is in what its first change leaves.
        self._now |= {tid: (old, 0, 0) for tid, old in first.items()}
        self._list: list[int] = []
        self._done = 0

    @property
    def at(self) -> int:
        """Changes made so far."""
        return self._at

    @property
    def length(self) -> int:
        """Changes in the trace."""
        return len(self._changes)

    def go(self, at: int) -> None:
        """Be after this many changes."""
        self._at = min(max(at, 0), len(self._changes))
        if self._at < self._done:
            self._reset()
        for i in range(self._done, self._at):
            self._make(i)
        self._done = self._at

    def _make(self, i: int) -> None:
        change = self._changes[i]
        tid, new, flags, peer = (change[key] for key in ("tid", "new", "flags", "peer"))
        following = self._now[tid][2]
        if self._roles[tid] == "worker":
            server = self._server.get(self._places[i], 0)
            if new == "running":
                following = server
                if server > 0 and server in self._now:
                    state, theirs, _ = self._now[server]
                    self._now[server] = (state, theirs, tid)
            on_list = new == "idle" and change["old"] == "blocked" and not flags & IN_WAIT
            self._list = [x for x in self._list if x != tid]
            if on_list:
                self._list.insert(0, tid)
        elif change["kind"] == "run" and peer:
            following = peer
        self._now[tid] = (new, flags, following)

    def _name(self, tid: int) -> str:
        return str(self._names.get(tid, tid)) if tid > 0 else ""

    def actors(self) -> list[Actor]:
        """Every task as the trace knows it now."""
        return [
            Actor(tid, self._name(tid), self._roles[tid], state, flags, self._name(following), "")
            for tid, (state, flags, following) in self._now.items()
        ]

    def idle_list(self) -> list[str]:
        """What has woken up and has not run since, last woken first."""
        return [self._name(tid) for tid in self._list]

    def slot(self) -> None:
        """No trace tells."""

    def choices(self) -> list[Choice]:
        """The next change; there is one way only."""
        if self._at >= len(self._changes):
            return []
        return [self._told(self._changes[self._at])]

    def _told(self, change: dict[str, object]) -> Choice:
        tid, kind, old, new = (change[key] for key in ("tid", "kind", "old", "new"))
        assert isinstance(tid, int) and isinstance(change["flags"], int)
        by = _BY.get(who(self._roles[tid], str(kind), str(old), str(new)) or "", "")
        words = "".join(
            f", {word}"
            for bit, word in ((LOCKED, "LOCKED"), (PREEMPTED, "PREEMPTED"))
            if change["flags"] & bit
        )
        label = f"{kind}: {str(old).upper()} → {str(new).upper()}{words}"
        peer = self._name(int(str(change["peer"])))
        text = f"{self._name(tid)}, {label}" + (f", with {peer}" if peer else "")
        text += f"; by {by}." if by else "; only flags change." if old == new else "."
        return Choice(self._name(tid), label, text[:1].upper() + text[1:])

    def said(self) -> str:
        """What the last change was."""
        if not self._at:
            return "Before the first change that was recorded."
        return self._told(self._changes[self._at - 1]).text

    def broken(self) -> list[str]:
        """What the last change violates."""
        return self._wrong.get(self._at, [])

    def rows(self) -> pl.DataFrame:
        """The event table so far."""
        return self._events.head(self._places[self._at - 1] + 1 if self._at else 0)
