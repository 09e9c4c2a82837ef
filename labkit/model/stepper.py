# SPDX-License-Identifier: MIT
"""The model with a memory: choose which task goes next, go back, let dice or search choose."""

from __future__ import annotations

import random
from typing import Any

import polars as pl

from labkit.model import passing, ranks
from labkit.model.explain import BROKEN, by_kernel, explain, label, name_of
from labkit.model.explore import explore
from labkit.model.machine import Step, World, apply, steps, task_rows, violations, world
from labkit.model.stage import Actor, Choice
from labkit.trace import schema

#: One step is this long in the event table, ns.
STEP_NS = 1000

_WHERE = {
    "out": "not in the group",
    "user": "in user mode",
    "wait": "in umcg_wait",
    "asleep": "blocked in the kernel",
}


class Stepper:
    """A walk through the worlds of `labkit.model.machine`; a `stage.Stage`.

    Attributes:
        path: the steps made, and after `at` those one went back over.
    """

    def __init__(
        self, servers: int = 1, workers: int = 2, faults: frozenset[str] = frozenset()
    ) -> None:
        """Begin with tasks that have not registered. A fault of places that pass on lets them.

        Raises:
            ValueError: no server, or an unknown fault.
        """
        passes, by_rank = bool(faults & passing.FAULTS), bool(faults & ranks.FAULTS)
        self._worlds = [world(servers, workers, faults, places_pass=passes, by_rank=by_rank)]
        self._rows: list[list[dict[str, Any]]] = []
        self.path: list[Step] = []
        self._at = 0

    @property
    def world(self) -> World:
        """The world of now."""
        return self._worlds[self._at]

    @property
    def at(self) -> int:
        """Steps made so far."""
        return self._at

    @property
    def length(self) -> int:
        """Steps that are known."""
        return len(self.path)

    @property
    def tasks(self) -> pl.DataFrame:
        """The task table, series `model`."""
        return schema.tasks(task_rows(self._worlds[0]))

    def go(self, at: int) -> None:
        """Be after this many of the known steps."""
        self._at = min(max(at, 0), len(self.path))

    def possible(self) -> list[Step]:
        """What may happen now; see `machine.steps`."""
        return steps(self.world)

    def take(self, step: Step) -> None:
        """Make a step. Another than one went back over begins a new way from here.

        Raises:
            ValueError: it cannot happen here.
        """
        if self._at < len(self.path) and self.path[self._at] == step:
            self._at += 1
            return
        new, made = apply(self.world, step)
        del self.path[self._at :], self._worlds[self._at + 1 :], self._rows[self._at :]
        t = (self._at + 1) * STEP_NS
        self._rows.append([row | self._place(new, row["tid"], t) for row in made])
        self._worlds.append(new)
        self.path.append(step)
        self._at += 1

    def _place(self, w: World, tid: int, t: int) -> dict[str, int]:
        """Time and CPU of a row: every server is a CPU, and a worker is where its server is."""
        task = w[tid]
        place = task.tid if task.role == "server" else task.next
        return {"t": t, "cpu": place - 1 if place else -1, "arg": 0}

    def on(self) -> int:
        """To the next choice; the steps that were made.

        What has no alternative happens, and so does the rest of the operation that is under way:
        its thread goes on, and no other task comes between.
        """
        made = 0
        while not self.broken():
            possible = self.possible()
            last = self.path[self._at - 1].actor if self._at else 0
            mine = [s for s in possible if s.actor == last and self.world[last].todo]
            if len(possible) != 1 and not mine:
                break
            self.take((mine or possible)[0])
            made += 1
        return made

    def wander(self, count: int, seed: int) -> int:
        """Up to `count` steps that the dice choose; the steps made. The same seed, the same way.

        It ends early where a property is broken, and where all have left. Tasks unregister
        only now and then, so that a long walk stays long.
        """
        rng = random.Random(seed)
        made = 0
        while made < count and not self.broken():
            possible = self.possible()
            stay = [s for s in possible if s.action != "unregister"]
            if not possible:
                break
            self.take(rng.choice(stay if stay and rng.random() > 0.02 else possible))
            made += 1
        return made

    def seek(self, limit: int = 20_000) -> str:
        """Go a shortest way from here to a broken property; what came of it, in words.

        Args:
            limit: worlds to look at, at most.
        """
        if self.broken():
            return "Something is broken here already."
        found = explore(self.world, limit)
        if not found.findings:
            if found.complete:
                return f"No way leads to a fault: all {found.worlds:,} worlds from here are sound."
            return f"No fault within the nearest {found.worlds:,} worlds; there are more."
        for step in found.findings[0].path:
            self.take(step)
        count = len(found.findings[0].path)
        return (
            f"{count} steps from here, and no shorter way: {found.worlds:,} worlds were looked at."
        )

    def told(self) -> pl.DataFrame:
        """The way so far, one row a step: `step`, `who`, `does`, `meaning`."""
        rows = [
            (i, name_of(w, s.actor), label(w, s), explain(w, s))
            for i, (w, s) in enumerate(zip(self._worlds, self.path[: self._at], strict=False), 1)
        ]
        return pl.DataFrame(rows, ["step", "who", "does", "meaning"], orient="row")

    def actors(self) -> list[Actor]:
        """Every task as it is now."""
        w = self.world
        return [
            Actor(
                t.tid,
                name_of(w, t.tid),
                t.role,
                t.state,
                t.flags,
                name_of(w, t.next),
                _WHERE[t.mode],
                tuple(label(w, s) for s in t.todo),
            )
            for t in w.tasks
        ]

    def idle_list(self) -> list[str]:
        """What waits on the idle list, last pushed first."""
        return [name_of(self.world, tid) for tid in self.world.idle_list]

    def slot(self) -> str:
        """The server in the slot, empty: none."""
        return name_of(self.world, self.world.slot)

    def choices(self) -> list[Choice]:
        """What may happen now, in the order of `possible`."""
        w = self.world
        return [
            Choice(
                name_of(w, s.actor) + (" (the kernel)" if by_kernel(s) else ""),
                label(w, s),
                explain(w, s),
            )
            for s in self.possible()
        ]

    def said(self) -> str:
        """What the last step did."""
        if not self._at:
            return "Nobody has registered yet."
        return explain(self._worlds[self._at - 1], self.path[self._at - 1])

    def broken(self) -> list[str]:
        """Sentences about what is wrong now."""
        return [BROKEN[name] for name in violations(self.world)]

    def rows(self) -> pl.DataFrame:
        """The event table so far; one step lasts `STEP_NS`."""
        return schema.events([row for made in self._rows[: self._at] for row in made])
