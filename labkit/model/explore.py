# SPDX-License-Identifier: MIT
"""Walking the model: every world within reach, or one random walk as an event table."""

from __future__ import annotations

import random
from collections import deque
from typing import NamedTuple

import polars as pl

from labkit.model.machine import Step, World, apply, steps, task_rows, violations
from labkit.trace import schema


class Finding(NamedTuple):
    """A broken property and the shortest way to it."""

    violation: str
    path: tuple[Step, ...]


class Exploration(NamedTuple):
    """What `explore` saw: the number of different worlds, whether that was all, and findings."""

    worlds: int
    complete: bool
    findings: tuple[Finding, ...]


def _key(w: World) -> World:
    """The world with timestamps reduced to what still matters: whose compare would fail."""
    for t in w.tasks:
        server, stamp = t.seen
        relevant = bool(t.todo) and t.todo[0].action in ("wake: take", "wake: server")
        w = w.put(t.tid, seen=(server, int(w[server].stamp == stamp)) if relevant else (0, 0))
    for t in w.tasks:
        w = w.put(t.tid, stamp=min(t.stamp, 1))
    return w


def explore(start: World, limit: int = 20_000, stop_at_first: bool = True) -> Exploration:
    """Visit worlds breadth first, each once, and check `machine.violations` in each.

    A finding's path is a shortest one. Worlds beyond a finding are not visited.
    """
    seen = {_key(start)}
    back: dict[World, tuple[World, Step]] = {}
    queue = deque([start])
    findings: dict[str, Finding] = {}
    while queue:
        w = queue.popleft()
        if broken := violations(w):
            path: list[Step] = []
            at = w
            while at in back:
                at, step = back[at]
                path.append(step)
            for name in broken:
                findings.setdefault(name, Finding(name, tuple(reversed(path))))
            if stop_at_first:
                return Exploration(len(seen), False, tuple(findings.values()))
            continue
        for step in steps(w):
            new, _ = apply(w, step)
            key = _key(new)
            if key in seen:
                continue
            if len(seen) >= limit:
                return Exploration(len(seen), False, tuple(findings.values()))
            seen.add(key)
            back[new] = (w, step)
            queue.append(new)
    return Exploration(len(seen), True, tuple(findings.values()))


def walk(
    start: World, length: int, rng: random.Random, cpus: int = 2, tick_ns: int = 1000
) -> tuple[World, pl.DataFrame, pl.DataFrame]:
    """One random walk of at most `length` steps: the last world, its events, its tasks.

    Times start at 1 ms and advance by 1 to `tick_ns` ns a step; a server's number gives its CPU,
    modulo `cpus`. Workers and servers unregister only now and then, so that long walks stay long.
    """
    w, t, rows = start, 1_000_000, []
    for _ in range(length):
        possible = steps(w)
        if not possible:
            break
        step = rng.choice(possible)
        if step.action == "unregister" and rng.random() > 0.02:
            continue
        w, made = apply(w, step)
        t += rng.randint(1, tick_ns)
        for row in made:
            task = w[row["tid"]]
            place = task.tid if task.role == "server" else task.next
            arg = rng.randint(100, 100_000) if row["kind"] == "op" else 0
            rows.append(row | {"t": t, "cpu": place % cpus if place else -1, "arg": arg})
    return w, schema.events(rows), schema.tasks(task_rows(start))
