# SPDX-License-Identifier: MIT
"""The protocol as a pure state machine: worlds, and the steps that lead from one to the next.

A `World` is a value. `steps(world)` lists what may happen next, `apply(world, step)` gives the
world after it and the rows it leaves in the event table. An operation of several compare-and-swaps
is several steps, and the steps of different threads interleave freely: that is where races live.

Faults (`World.faults`) put known mistakes back in, to be found:

- `late-wake`: a worker's wake-up of an idle server compares with IDLE alone and not with the exact
  word it read before it took the server's tid; it may hit a server that is IDLE because it runs a
  worker.
- `no-recheck`: a server that goes to sleep does not look at the idle list again after it has
  published its tid: a wake-up is lost.
- `unlocked-swap`: the worker swapped to is made RUNNING without LOCKED, so it can start before the
  worker before it has left the place.

Where servers permit that their places pass on (`World.passing`), `passing` has the steps, and
faults of its own; where ranks decide, too (`World.ranks`), `ranks` has.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from labkit.model import passing, ranks
from labkit.model.states import FREE, LOCKED, PREEMPTED

FAULTS = frozenset({"late-wake", "no-recheck", "unlocked-swap"}) | passing.FAULTS | ranks.FAULTS


class Step(NamedTuple):
    """Something that can happen: `actor` (a tid) does `action` to `target` (0: none)."""

    actor: int
    action: str
    target: int = 0

    def __str__(self) -> str:
        return f"{self.actor}: {self.action}" + (f" → {self.target}" if self.target else "")


@dataclass(frozen=True)
class Task:
    """One task. `mode` says where its thread is, which its state word need not yet say.

    Attributes:
        tid: thread id, not 0.
        role: `server` or `worker`.
        state: the state word's state.
        flags: the state word's flags.
        stamp: the state word's timestamp; differs between any two values of the word.
        next: `next_tid`: in a RUNNING worker its server, in a server the worker it runs.
        owner: server that holds this idle worker and alone may run it, 0 none.
        mode: `out` (an ordinary thread), `user`, `wait` (in umcg_wait), `asleep` (in the kernel).
        todo: steps that its current operation has still to make, or the kernel for it.
        seen: (tid, stamp) of the idle server that a wake-up has read.
    """

    tid: int
    role: str
    state: str = "none"
    flags: int = 0
    stamp: int = 0
    next: int = 0
    owner: int = 0
    mode: str = "out"
    todo: tuple[Step, ...] = ()
    seen: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class World:
    """All tasks of one group, its idle list (last pushed first), its slot for an idle server.

    Where places pass on (`passing`) every server has a slot of its own; `slots` are the servers
    that stand in theirs.
    """

    tasks: tuple[Task, ...]
    idle_list: tuple[int, ...] = ()
    slot: int = 0
    faults: frozenset[str] = frozenset()
    passing: bool = False
    ranks: bool = False
    slots: frozenset[int] = frozenset()

    def __getitem__(self, tid: int) -> Task:
        for task in self.tasks:
            if task.tid == tid:
                return task
        raise KeyError(f"no task {tid} in this world")

    def put(self, tid: int, **changes: Any) -> World:
        """The world with changes to one task."""
        new = tuple(replace(t, **changes) if t.tid == tid else t for t in self.tasks)
        return replace(self, tasks=new)

    def of(self, role: str) -> tuple[Task, ...]:
        """The tasks of one role."""
        return tuple(t for t in self.tasks if t.role == role)


Row = dict[str, Any]


def world(
    servers: int = 1,
    workers: int = 2,
    faults: frozenset[str] = frozenset(),
    places_pass: bool = False,
    by_rank: bool = False,
) -> World:
    """A world whose tasks have not registered; servers are 1, 2, ..., workers 101, 102, ...

    Args:
        servers: how many.
        workers: how many.
        faults: mistakes to make, of `FAULTS`.
        places_pass: servers permit that their places pass on.
        by_rank: and that a worker of better rank takes one; the first worker has the best.

    Raises:
        ValueError: less than one server, or an unknown fault.
    """
    if servers < 1 or workers < 0:
        raise ValueError("a world needs at least one server and no negative number of workers")
    if unknown := set(faults) - FAULTS:
        raise ValueError(f"unknown fault {', '.join(unknown)}; known: {', '.join(sorted(FAULTS))}")
    listed = [Task(1 + i, "server") for i in range(servers)]
    listed += [Task(101 + i, "worker") for i in range(workers)]
    passes = places_pass or by_rank
    return World(tuple(listed), faults=frozenset(faults), passing=passes, ranks=by_rank)


def task_rows(w: World) -> list[Row]:
    """The world's tasks as rows of the task table, series `model`."""
    return [
        {"tid": t.tid, "role": t.role, "name": f"{t.role} {t.tid % 100 - 1}", "series": "model"}
        for t in w.tasks
    ]


def steps(w: World) -> list[Step]:
    """Everything that may happen next. Empty only when every task has unregistered."""
    found: list[Step] = []
    for t in w.tasks:
        if t.todo:
            found.append(t.todo[0])
        elif t.mode == "out" and t.stamp == 0:
            found.append(Step(t.tid, "register"))
        elif t.mode == "wait" and t.state == "running" and not t.flags & LOCKED:
            found.append(Step(t.tid, "resume"))
        elif t.role == "server" and t.mode == "wait" and t.state == "idle" and _all_gone(w):
            found.append(Step(t.tid, "dismiss"))
        elif t.role == "server" and t.mode == "wait" and passing.lends(t):
            found.append(Step(t.tid, "revoke"))
        elif t.mode == "asleep":
            found.append(Step(t.tid, "kernel wakes"))
        elif t.mode == "user" and t.state == "running":
            found += _server_starts(w, t) if t.role == "server" else _worker_starts(w, t)
    return found


def _all_gone(w: World) -> bool:
    """Every worker has come and left, and its server knows."""
    return all(x.mode == "out" and x.stamp and not x.todo for x in w.of("worker"))


def _held(w: World, server: int) -> list[int]:
    return [x.tid for x in w.tasks if x.owner == server and x.state == "idle" and x.mode == "wait"]


def _server_starts(w: World, s: Task) -> list[Step]:
    held = _held(w, s.tid)
    # A worker may still be on its way into its wait: the server spins and does not sleep on it.
    mine = any(x.owner == s.tid for x in w.of("worker"))
    found = [Step(s.tid, "run", x) for x in held]
    if w.idle_list:
        found.append(Step(s.tid, "take list"))
    if not mine and not w.idle_list:
        if w.slot == 0 or w.passing:
            found.append(Step(s.tid, "sleep"))
        if _all_gone(w):
            found.append(Step(s.tid, "unregister"))
    return found


def _worker_starts(w: World, t: Task) -> list[Step]:
    if t.flags & PREEMPTED:
        return [Step(t.tid, "kick"), Step(t.tid, "block")]
    found = [Step(t.tid, a) for a in ("op", "yield", "block", "unregister", "preempt")]
    return found + [Step(t.tid, "swap", x) for x in _held(w, t.next)]


#: What an operation does, compare-and-swap by compare-and-swap. The first step starts it.
_PLANS: dict[str, tuple[str, ...]] = {
    "register worker": (
        "wake: idle",
        "wake: push",
        "wake: read slot",
        "wake: take",
        "wake: server",
    ),
    "kernel wakes": ("wake: idle", "wake: push", "wake: read slot", "wake: take", "wake: server"),
    "run": ("run: mark", "run: unlock", "wait"),
    "yield": ("free server: yield", "wait"),
    "swap": ("swap: leave", "swap: hand over", "wait"),
    "block": ("free server: block",),
    "kick": ("free server: preempt", "wait"),
    "unregister worker": ("free server: unregister",),
    "sleep": ("sleep: publish", "sleep: look again"),
    **passing.PLANS,
    **ranks.PLANS,
}


class _Maker:
    """One step in the making: the world so far and the rows it leaves."""

    def __init__(self, w: World) -> None:
        self.w = w
        self.rows: list[Row] = []

    def change(self, tid: int, kind: str, new: str, flags: int, peer: int, **more: Any) -> None:
        """One successful compare-and-swap of a state word, and its row."""
        t = self.w[tid]
        self.note(tid, kind, t.state, new, flags, peer)
        self.w = self.w.put(tid, state=new, flags=flags, stamp=t.stamp + 1, **more)

    def note(self, tid: int, kind: str, old: str, new: str, flags: int, peer: int) -> None:
        self.rows.append(
            {"tid": tid, "kind": kind, "old": old, "new": new, "flags": flags, "peer": peer}
        )

    def fill(self, server: int) -> None:
        """The server stands in its slot."""
        if self.w.passing:
            self.w = replace(self.w, slots=self.w.slots | {server})
        else:
            self.w = replace(self.w, slot=server)

    def empty(self, server: int) -> None:
        """The server does not stand in its slot, or in the one slot, any more."""
        slot = 0 if self.w.slot == server else self.w.slot
        self.w = replace(self.w, slot=slot, slots=self.w.slots - {server})

    def plan(self, actor: int, name: str, target: int = 0) -> None:
        self.w = self.w.put(actor, todo=tuple(Step(actor, a, target) for a in _PLANS[name]))


def apply(w: World, step: Step) -> tuple[World, list[Row]]:
    """The world after `step`, and the rows (without time and CPU) that it leaves.

    Raises:
        ValueError: the step is not one of `steps(w)`.
    """
    if step not in steps(w):
        raise ValueError(f"step {step} cannot happen here; see steps(world)")
    m, me = _Maker(w), w[step.actor]
    if me.todo:
        m.w = w.put(me.tid, todo=me.todo[1:])
        _continue(m, me, step)
    else:
        _start(m, me, step)
    return m.w, m.rows


def _start(m: _Maker, me: Task, step: Step) -> None:
    """The first compare-and-swap of an operation. `me` is as it was before."""
    tid, action, target = step
    match action:
        case "register" if me.role == "server":
            m.change(tid, "register", "running", 0, 0, mode="user")
        case "register":
            m.change(tid, "register", "blocked", 0, 0, mode="wait")
            m.plan(tid, "register worker")
        case "unregister" if me.role == "server":
            m.change(tid, "unregister", "none", 0, 0, mode="out")
        case "unregister":
            m.change(tid, "unregister", "none", 0, me.next, mode="out")
            m.plan(tid, "unregister worker", me.next)
        case "resume":
            m.w = m.w.put(tid, mode="user")
            # A server that does not sleep is in no slot of its own.
            if m.w.passing and me.role == "server":
                m.empty(tid)
        case "kernel wakes":
            m.w = m.w.put(tid, mode="wait")
            m.plan(tid, "adopt" if m.w.passing else "kernel wakes")
        case "revoke":
            m.change(tid, "wait", "idle", 0, 0)
        case "take list":
            for x in m.w.idle_list:
                m.w = m.w.put(x, owner=tid)
            m.w = replace(m.w, idle_list=())
        case "run":
            m.change(tid, "run", "idle", ranks.permission(m.w), target, next=target)
            m.plan(tid, "run", target)
        case "sleep":
            free = FREE if m.w.passing else 0
            m.change(tid, "wait", "idle", ranks.permission(m.w) | free, 0, next=0)
            m.plan(tid, "sleep")
        case "dismiss":
            # A sleeping server is told that no worker is left; without that it would sleep on.
            m.empty(tid)
            m.change(tid, "wake", "running", 0, 0)
        case "op":
            m.note(tid, "op", "running", "running", 0, 0)
        case "yield":
            m.change(tid, "yield", "idle", LOCKED, me.next, owner=me.next)
            m.plan(tid, "yield", me.next)
        case "swap":
            lock = 0 if "unlocked-swap" in m.w.faults else LOCKED
            m.change(target, "swap", "running", lock, tid, owner=0)
            m.plan(tid, "swap", target)
        case "block":
            m.change(tid, "block", "blocked", me.flags & PREEMPTED, me.next, mode="asleep")
            m.plan(tid, "pass" if m.w.passing else "block", me.next)
        case "preempt":
            m.change(tid, "preempt", "running", PREEMPTED, me.next)
        case "kick":
            m.change(tid, "preempt", "idle", PREEMPTED, me.next, owner=me.next)
            m.plan(tid, "kick", me.next)


def _continue(m: _Maker, me: Task, step: Step) -> None:
    """One further compare-and-swap of an operation under way."""
    tid, action, target = step
    match action:
        case "run: mark":
            m.change(target, "run", "running", LOCKED, tid, owner=0, next=tid)
        case "run: unlock":
            m.change(target, "run", "running", 0, tid)
        case "wait":
            # The kernel clears LOCKED before the task sleeps, in whatever state it finds it.
            now = m.w[tid]
            if now.flags & LOCKED:
                m.change(tid, "wait", now.state, now.flags & ~LOCKED, 0)
            m.w = m.w.put(tid, mode="wait")
        case "swap: leave":
            m.change(tid, "swap", "idle", LOCKED, target, owner=me.next)
            m.w = m.w.put(target, next=me.next).put(me.next, next=target)
        case "swap: hand over" if m.w[target].flags & LOCKED:
            m.change(target, "swap", "running", 0, tid)
        case "wake: idle":
            m.change(tid, "wake", "idle", me.flags & ~PREEMPTED, 0)
        case "wake: push":
            m.w = replace(m.w, idle_list=(tid, *m.w.idle_list))
        case "wake: read slot":
            s = passing.free_server(m.w) if m.w.passing else m.w.slot
            m.w = m.w.put(tid, seen=(s, m.w[s].stamp if s else 0))
            if s == 0:
                m.w = m.w.put(tid, todo=())
        case "wake: take":
            if me.seen[0] in (m.w.slot, *m.w.slots):
                m.empty(me.seen[0])
            else:
                m.w = m.w.put(tid, todo=())
        case "wake: server" if m.w.passing:
            passing.claim(m, me.seen[0], tid)
        case "wake: server":
            s, stamp = me.seen
            exact = m.w[s].stamp == stamp or "late-wake" in m.w.faults
            if m.w[s].state == "idle" and exact:
                m.change(s, "wake", "running", 0, tid)
        case "sleep: publish":
            m.fill(tid)
        case "sleep: look again":
            looks = "no-recheck" not in m.w.faults
            free = m.w[tid].state == "idle" and not passing.lends(m.w[tid])
            if looks and m.w.idle_list and free:
                # Whoever took the tid will compare with the word we leave here, and fail.
                m.empty(tid)
                m.change(tid, "wait", "running", 0, 0)
            else:
                m.w = m.w.put(tid, mode="wait")
        case _ if action.startswith(("pass: ", "adopt: ")):
            passing.step(m, me, action, target)
        case _ if action.startswith("take: "):
            ranks.step(m, me, action, target)
        case _ if action.startswith("free server: ") and m.w[target].state == "idle":
            m.change(target, action.removeprefix("free server: "), "running", 0, tid)


def violations(w: World) -> list[str]:
    """Names of the properties that this world breaks; empty when all hold.

    - `worker-without-server`: a worker in user mode whose server is not registered
    - `two-workers-on-a-server`: two workers in user mode on one server
    - `server-and-worker-both-run`: a server in user mode while its worker is
    - `lost-wake-up`: a worker could run, and every server sleeps without a worker and without
      any task on the way to wake it
    - `worker-beside-free-place`: a worker is on the list beside a place that no worker has
    - `runs-without-place`: a worker in user mode that has lost its place
    """
    found: list[str] = []
    active = [x for x in w.of("worker") if x.mode == "user" and x.state == "running" and not x.todo]
    for x in active:
        server = next((s for s in w.of("server") if s.tid == x.next), None)
        if server is None or server.state == "none":
            found.append("worker-without-server")
        elif server.mode == "user" and server.state == "running" and not server.todo:
            found.append("server-and-worker-both-run")
    if len({x.next for x in active}) < len(active):
        found.append("two-workers-on-a-server")
    on_the_way = any(x.todo or x.mode in ("user", "asleep") for x in w.tasks)
    resuming = any(x.mode == "wait" and x.state == "running" for x in w.tasks)
    starting = any(x.mode == "out" and x.stamp == 0 for x in w.tasks)
    waiting = any(x.mode == "wait" and x.state == "idle" for x in w.of("worker"))
    if waiting and not on_the_way and not resuming and not starting:
        found.append("lost-wake-up")
    if passing.forgotten(w):
        found.append("worker-beside-free-place")
    if any(x.mode == "user" and x.state == "blocked" for x in w.of("worker")):
        found.append("runs-without-place")
    return found


__all__ = [
    "FAULTS",
    "Step",
    "Task",
    "World",
    "apply",
    "steps",
    "task_rows",
    "violations",
    "world",
]
