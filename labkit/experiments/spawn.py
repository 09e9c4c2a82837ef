# SPDX-License-Identifier: MIT
"""spawn: what it costs to make a thread, have it register as a worker, and join it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Unpack

from labkit.experiments.common import Collector, first_cpus
from labkit.experiments.spec import REPETITIONS, Spec, param
from labkit.names import counted
from labkit.native import engine, threads


class _Series(NamedTuple):
    umcg: bool
    crowd: int
    cpus: int


@dataclass(frozen=True, kw_only=True)
class SpawnSpec(Spec):
    """What it costs to make a thread, have it register as a worker, and join it.

    Series `umcg/N at once/M cpus` (registers with a server, unregisters before it ends) and
    `pthread/N at once/M cpus`. Samples in `ns/thread`; `n` threads. Nothing is traced: there is no
    timeline.
    """

    experiment = "spawn"
    question = "What does it cost to make a worker and to end it?"
    place = 7
    baselines = ("pthread",)
    operations = "threads"

    crowds: tuple[int, ...] = param(
        (1, 64), "threads that live at the same time", limits=(1, 10_000), free=True
    )
    cpus: tuple[int, ...] = param(
        (1,), "numbers of CPUs that they stay on", limits=(1, 64), cpus=True, free=True
    )
    value_ms: float = param(
        100.0, "each value is measured for at least this long", limits=(1, 10_000), measuring=True
    )
    repetitions: int = param(7, REPETITIONS, limits=(1, 1000), measuring=True, free=True)

    def measurements(self) -> int:
        """Each series' repetitions, and one that tells how many crowds take `value_ms`."""
        return len(self.series()) * (self.repetitions + 1)

    def series(self) -> dict[str, _Series]:
        """What each series is, by its name."""
        return {
            f"{crew}/{crowd} at once/{counted(cpus, 'cpu')}": _Series(crew == "umcg", crowd, cpus)
            for cpus in self.cpus
            for crowd in self.crowds
            for crew in ("umcg", "pthread")
            if crew != "umcg" or engine.enabled()
        }

    def once(
        self,
        name: str,
        *,
        crowds: int = 1,
        **hooks: Unpack[engine.Hooks],
    ) -> int:
        """The ns that so many crowds of a series take, one after the other."""
        umcg, crowd, cpus = self.series()[name]
        return threads.spawn(umcg=umcg, crowd=crowd, crowds=crowds, cpus=first_cpus(cpus), **hooks)

    def measure(self, collect: Collector) -> None:
        """How many crowds take about as long as asked for, and then the series in turn."""
        crowds = {}
        for name in self.series():
            collect.begin(f"{name} (calibration)")
            crowds[name] = self._calibrated(name, collect)
            collect.end()
        for repetition in range(self.repetitions):
            for name, what in self.series().items():
                collect.begin(name)
                took = made = 0
                while took < self.value_ms * 1e6:
                    took += self.once(name, crowds=crowds[name], **collect.hooks)
                    made += crowds[name] * what.crowd
                collect.sample(name, repetition, took / made, "ns/thread", made)
                collect.end()

    def _calibrated(self, name: str, collect: Collector) -> int:
        crowds, wanted = 1, self.value_ms * 1e6
        while (took := self.once(name, crowds=crowds, **collect.hooks)) < wanted / 4:
            crowds *= 4
        # A little more: what takes a little less is measured twice.
        return max(1, round(crowds * wanted * 1.1 / took))
