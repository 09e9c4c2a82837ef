# SPDX-License-Identifier: MIT
"""Those of a contest in turn, in every repetition on the same jobs, and each once traced."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from labkit.experiments.common import Collector
from labkit.experiments.contest import KERNEL, SIMULATOR, Arena, Contest
from labkit.experiments.outcome import Result
from labkit.native import engine, serving
from labkit.sim import simulation
from labkit.sim.costs import Costs
from labkit.workload.drawn import Jobs


def sample_latencies(collect: Collector, head: str, repetition: int, result: Result) -> None:
    """Quantiles, rates, what endless work got, and CPUs kept busy, as samples of a series."""
    for name, found in result.quantiles.items():
        n = result.counts[name].answered
        for suffix, value in found.items():
            collect.sample(f"{head}/{name}{suffix}", repetition, value, "ns", n)
        collect.sample(f"{head}/{name}", repetition, n * 1e9 / result.elapsed_ns, "op/s", n)
    answered = sum(count.answered for count in result.counts.values())
    collect.sample(head, repetition, result.busy, "cpu", answered)
    if result.endless_ops is not None:
        n = round(result.endless_ops * result.elapsed_ns / 1e9)
        collect.sample(f"{head}/batch", repetition, result.endless_ops, "op/s", n)
        collect.sample(f"{head}/batch", repetition, result.endless_share, "share", n)


def room(contest: Contest, jobs: int, span_s: float) -> engine.Room:
    """The room that tracing a series takes: about so many jobs that come within this time."""
    return serving.room(contest.groups("cfs", None), jobs, round(span_s * 1e9), contest.servers)


#: Jobs of a repetition (from 1) by case; made where they meet, as what there is room for may have
#: to be measured.
Draw = Callable[[Arena, int], dict[str, Jobs]]
#: Called with head, case, repetition, jobs and what came of them; makes the samples.
Sampler = Callable[[str, str, int, Jobs, Result], None]


def measurements(contest: Contest, repetitions: int, cases: int = 1) -> int:
    """How many measurements `measure` makes."""
    traced = contest.where == KERNEL
    return len(contest.series()) * (repetitions * cases + traced)


def measure(
    contest: Contest, draw: Draw, repetitions: int, collect: Collector, sample: Sampler
) -> None:
    """All in turn, on jobs that are the same for all in a repetition; the last case once traced."""
    simulated = contest.where == SIMULATOR
    if simulated:
        costs = dataclasses.asdict(Costs.counted())
        collect.made_in(simulation.environment(contest.servers) | {"costs": costs})
    with contest.open() as arena:
        usual: dict[str, list[float]] = {head: [] for head in arena.series()}
        for repetition in range(repetitions):
            cases = draw(arena, repetition + 1)
            last = list(cases)[-1]
            if not repetition:
                _leave_out(collect, arena, measurements(contest, repetitions, len(cases)))
            for case, jobs in cases.items():
                for head in arena.series():
                    collect.begin(f"{head}/{case}" if case else head)
                    kept = simulated and repetition == 0 and case == last
                    result = arena.once(
                        head, jobs, events=kept, stop=collect.stop, watch=collect.watch
                    )
                    sample(head, case, repetition, jobs, result)
                    if case == last:
                        usual[head].append(result.answering_ns)
                    if kept and result.record is not None:
                        collect.trace_of(head, result.record)
                    collect.end()
        if not simulated:
            _trace(arena, cases[last], usual, collect)


def _leave_out(collect: Collector, arena: Arena, measured: int) -> None:
    each = measured // len(arena.contest.series())
    for name, why in arena.left_out.items():
        collect.left_out(name, why, fewer=each)


def _trace(arena: Arena, jobs: Jobs, usual: dict[str, list[float]], collect: Collector) -> None:
    for head in arena.series():
        collect.begin(f"{head} (traced)")
        result = arena.once(head, jobs, events=True, stop=collect.stop, watch=collect.watch)
        assert result.served is not None
        # The client, which comes after them, is no part of the picture.
        outcome = result.served.outcome
        there = [task for task in outcome.tasks if task.role != "basic"]
        outcome = dataclasses.replace(outcome, tasks=there)
        collect.trace(head, outcome, names=[name for name in result.served.names if name])
        cost = result.answering_ns / float(np.median(usual[head]))
        collect.counters[f"{head}:probe_cost"] = cost
        collect.end()
