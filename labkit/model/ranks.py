# SPDX-License-Identifier: MIT
"""Ranks: a worker that comes back and finds no free place takes one from a worker of worse rank.

The smaller a worker's tid, the better its rank. Whoever has the place is off its CPU then, so the
taking of its word is one compare-and-swap under a lock that it passes before it goes on: it is
BLOCKED|PREEMPTED, and comes back like any other.

Faults (`World.faults`):

- `take-unseen`: the word of the worker that has the place is changed whatever it says by then: that
  one may have left its place to another.
- `tenant-goes-on`: the worker that loses its place does not pass the lock, and goes on in user mode
  without one.
"""

from __future__ import annotations

from labkit.model import passing
from labkit.model.passing import Maker, Task, World
from labkit.model.states import ADOPT, LOCKED, PREEMPTED, RANK

FAULTS = frozenset({"take-unseen", "tenant-goes-on"})

#: The steps after the first compare-and-swap, as `machine._PLANS`.
PLANS: dict[str, tuple[str, ...]] = {
    "take": ("take: look",),
    "evict": ("take: evict",),
    "move in": ("take: place", "take: run"),
}


def permission(w: World) -> int:
    """What a server says of its place, beside IDLE."""
    return (ADOPT if w.passing else 0) | (RANK if w.ranks else 0)


def _may_be_taken(w: World, t: Task, by: int) -> bool:
    """Does worker `t`, of worse rank than `by`, have a place that may be taken?"""
    if t.tid <= by or t.state != "running" or t.flags & LOCKED or t.mode != "user" or t.todo:
        return False
    return passing.lends(w[t.next]) and bool(w[t.next].flags & RANK)


def step(m: Maker, me: Task, action: str, target: int) -> None:
    """One step of a worker that takes a place. `me` is as it was before."""
    tid = me.tid
    match action:
        case "take: look":
            found = [t for t in m.w.of("worker") if _may_be_taken(m.w, t, tid)]
            if found:
                # The worst one; its word is what the change compares with.
                m.w = m.w.put(tid, seen=(found[-1].tid, found[-1].stamp))
                m.plan(tid, "evict", found[-1].tid)
            else:
                m.plan(tid, "kernel wakes")
        case "take: evict":
            t, unseen = m.w[target], "take-unseen" in m.w.faults
            left = t.stamp != me.seen[1] or t.mode != "user" or t.todo
            if left and not unseen:
                m.plan(tid, "kernel wakes")
                return
            mode = t.mode if left or "tenant-goes-on" in m.w.faults else "asleep"
            m.change(target, "preempt", "blocked", PREEMPTED, t.next, mode=mode)
            m.plan(tid, "move in", t.next)
        case "take: place":
            m.change(target, "umcg_take", "idle", m.w[target].flags, tid, next=tid)
        case "take: run":
            m.change(tid, "run", "running", m.w[tid].flags & ~PREEMPTED, target, next=target)
