# SPDX-License-Identifier: MIT
"""Places that pass on without their server: what `machine` does where servers permit it.

A server that lends its place with ADOPT is not told of a block while the idle list is empty: it
becomes FREE, and its tid stands in a slot of its own, where the next worker that comes back finds
it. Every compare-and-swap is a step, as in `machine`.

Faults (`World.faults`):

- `no-look-again`: a worker that blocks does not look at the list again after it has filled the
  slot: a wake-up is lost.
- `adopt-unseen`: a worker that has taken a server out of its slot takes the place whatever the
  server's word says by then: two workers may have it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from labkit.model.states import ADOPT, FREE, PREEMPTED

# What `machine`, which imports this module, has under these names.
Task: TypeAlias = Any
World: TypeAlias = Any
Maker: TypeAlias = Any

FAULTS = frozenset({"no-look-again", "adopt-unseen"})

#: The steps after the first compare-and-swap, as `machine._PLANS`.
PLANS: dict[str, tuple[str, ...]] = {
    "pass": ("pass: look",),
    "offer": ("pass: offer", "pass: look again"),
    "adopt": ("adopt: look",),
    "take place": ("adopt: lend",),
    "have place": ("adopt: run",),
}


def lends(t: Task) -> bool:
    """It lends its place, which may pass on."""
    return bool(t.state == "idle" and t.flags & (ADOPT | FREE) == ADOPT)


def offers(t: Task) -> bool:
    """Nobody has its place."""
    return bool(t.state == "idle" and t.flags & FREE)


def free_server(w: World) -> int:
    """A server that a worker finds in a slot, or 0."""
    return min(w.slots, default=0)


def forgotten(w: World) -> bool:
    """A worker is on the list beside a free place, and no task is about to use it."""
    if not (w.passing and w.idle_list and any(offers(t) for t in w.of("server"))):
        return False
    return not any(t.todo for t in w.tasks) and all(t.state == "idle" for t in w.of("server"))


def step(m: Maker, me: Task, action: str, target: int) -> None:
    """One compare-and-swap of a place that passes on. `me` is as it was before."""
    tid = me.tid
    match action:
        case "pass: look":
            if m.w.idle_list or not lends(m.w[target]):
                m.plan(tid, "block", target)
            else:
                m.change(target, "umcg_pass", "idle", m.w[target].flags | FREE, tid)
                m.plan(tid, "offer", target)
        case "pass: offer":
            m.fill(target)
        case "pass: look again":
            # Whoever has taken it out of the slot claims it.
            if m.w.idle_list and target in m.w.slots and "no-look-again" not in m.w.faults:
                m.empty(target)
                claim(m, target, tid)
        case "adopt: look":
            server = free_server(m.w)
            if m.w.idle_list or not server:
                m.plan(tid, "take" if m.w.ranks else "kernel wakes")
            else:
                m.empty(server)
                m.plan(tid, "take place", server)
        case "adopt: lend":
            if offers(m.w[target]) or "adopt-unseen" in m.w.faults:
                m.change(target, "umcg_adopt", "idle", m.w[target].flags & ~FREE, tid, next=tid)
                m.plan(tid, "have place", target)
            else:
                m.plan(tid, "kernel wakes")
        case "adopt: run":
            m.change(tid, "run", "running", m.w[tid].flags & ~PREEMPTED, target, next=target)


def claim(m: Maker, server: int, by: int) -> None:
    """A server whose place no worker has is made RUNNING, whatever has happened to it since."""
    if offers(m.w[server]):
        m.change(server, "wake", "running", 0, by)
