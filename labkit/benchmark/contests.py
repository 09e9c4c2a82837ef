# SPDX-License-Identifier: MIT
"""Suites that ask an experiment's contests: those of every case in turn, on the same jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Protocol

from labkit.benchmark.suite import Bench
from labkit.experiments.contest import Contest
from labkit.experiments.outcome import Result
from labkit.workload import Workload


class Asked(Protocol):
    """A spec, as `mixed` and `deadline` have it."""

    def contest(self) -> Contest:
        """Who serves what."""

    def workload(self, seed: int) -> Workload:
        """The jobs of a repetition."""


def outcomes(bench: Bench, specs: Mapping[str, Asked]) -> Iterator[tuple[str, int, Result]]:
    """Measure each spec's contest, by case: a series `HEAD/CASE`, its repetition, what came of it.

    What is not permitted here is left out, with a note that says why.
    """
    with ExitStack() as until:
        arenas = {case: until.enter_context(spec.contest().open()) for case, spec in specs.items()}
        for arena in arenas.values():
            for name, why in arena.left_out.items():
                bench.note(f"{name} was left out: {why}")
        series = [f"{head}/{case}" for case, arena in arenas.items() for head in arena.series()]
        warm = list({name.partition("/")[0]: name for name in series}.values())
        for repetition, name in bench.rounds(series, repetitions=bench.fewer, warm=warm):
            head, _, case = name.partition("/")
            arena = arenas[case]
            # Numbers of jobs are the repetition's own: the first round only warms up.
            jobs = arena.contest.draw(specs[case].workload(max(repetition, 0) + 1))
            yield name, repetition, arena.once(head, jobs, stop=bench.stop)
