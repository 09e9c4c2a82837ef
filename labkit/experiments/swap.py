# SPDX-License-Identifier: MIT
"""swap: the price of handing one turn from a thread to another, by every means there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from labkit import environment
from labkit.experiments.common import Collector, first_cpus
from labkit.experiments.errors import NoUmcgError, SpecError
from labkit.experiments.spec import REPETITIONS, Spec, param
from labkit.native import engine

METHODS = tuple(engine.METHODS)
PLACEMENTS = ("pinned", "unpinned", "apart")


@dataclass(frozen=True, kw_only=True)
class SwapSpec(Spec):
    """The price of handing one turn from a thread to another, by every means there is.

    Samples: `METHOD/PLACEMENT` in `ns/switch`, `n` the switches of a value. Counters
    `SERIES:probe_cost`: how many times as long a switch takes when traced.
    """

    experiment = "swap"
    question = "What does it cost to hand one turn from a thread to another?"
    place = 1
    baselines = ("futex", "condvar", "pipe", "eventfd", "sched_yield")
    grows_with = "traced_rounds"
    operations = "hand-offs"
    demo: ClassVar = {"repetitions": 5, "value_ms": 100.0}

    methods: tuple[str, ...] = param(
        METHODS,
        "means of hand-off. umcg-swap, umcg-wake-wait: two basic tasks; umcg-worker-swap: two "
        "workers over one server; umcg-server-worker: a server lends its place to a worker and "
        "gets it back; the rest are the baselines",
        choices=METHODS,
        free=True,
    )
    placements: tuple[str, ...] = param(
        PLACEMENTS[:2],
        "pinned (both threads on one CPU), unpinned (the kernel places them), apart (each on a CPU "
        "of its own, where there are two)",
        choices=PLACEMENTS,
        free=True,
    )
    value_ms: float = param(
        100.0,
        "each value is measured for at least this long; what takes less than 100 is doubtful, and "
        "the run says so",
        limits=(1, 10_000),
        measuring=True,
    )
    repetitions: int = param(7, REPETITIONS, limits=(1, 1000), measuring=True, free=True)
    traced_rounds: int = param(
        200,
        "round trips of one further, traced measurement of each series, from which the events "
        "come; 0 for none",
        limits=(0, 100_000),
        measuring=True,
        free=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not engine.enabled() and all(name.startswith("umcg") for name in self.methods):
            raise NoUmcgError(f"this kernel has no UMCG, so nothing runs: {environment.GET_UMCG}")
        if "apart" in self.placements and len(first_cpus(2)) < 2:
            raise SpecError("placements: apart takes two CPUs, and here is one: leave it out")

    def room(self) -> engine.Room:
        """Two threads and perhaps a server, three rows a round trip."""
        return engine.Room(3, 3 * self.traced_rounds + 8)

    def measurements(self) -> int:
        """Each series' repetitions, and one that is traced."""
        return len(self.series()) * (self.repetitions + 1)

    def series(self) -> dict[str, tuple[str, str]]:
        """Method and placement of each series by its name."""
        methods = [m for m in self.methods if engine.enabled() or not m.startswith("umcg")]
        return {
            f"{method}/{placement}": (method, placement)
            for placement in self.placements
            for method in methods
        }

    def once(
        self,
        name: str,
        *,
        rounds: int = 0,
        events: int = 0,
        **hooks: Unpack[engine.Hooks],
    ) -> engine.Outcome:
        """One measurement of a series, of so many round trips; 0: as many as take `value_ms`."""
        method, placement = self.series()[name]
        cpus = first_cpus(2)
        common: dict[str, Any] = {
            "cpu": None if placement == "unpinned" else cpus[0],
            "other_cpu": cpus[1] if placement == "apart" else None,
            "events": events,
            **hooks,
        }
        if rounds:
            return engine.swap(method, rounds=rounds, warmup=max(20, rounds // 20), **common)
        return engine.swap(method, duration_s=self.value_ms / 1e3, **common)

    def measure(self, collect: Collector) -> None:
        """The series in turn, and then each traced."""
        series = self.series()
        total: dict[str, tuple[int, int]] = {}
        for repetition in range(self.repetitions):
            for name in series:
                collect.begin(name)
                values = self.once(name, **collect.hooks).values
                switches = 2 * values["rounds"]
                collect.sample(
                    name, repetition, values["elapsed_ns"] / switches, "ns/switch", switches
                )
                before = total.get(name, (0, 0))
                total[name] = before[0] + values["elapsed_ns"], before[1] + switches
                collect.end()
        for name in series:
            if not self.traced_rounds:
                break
            collect.begin(f"{name} (traced)")
            outcome = self.once(
                name, rounds=self.traced_rounds, events=self.room().events, **collect.hooks
            )
            collect.trace(name, outcome)
            traced = outcome.values["elapsed_ns"] / (2 * outcome.values["rounds"])
            collect.counters[f"{name}:probe_cost"] = traced / (total[name][0] / total[name][1])
            collect.end()
