# SPDX-License-Identifier: MIT
"""deadline: frames that come again and again and must be done in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labkit.experiments import contest, rounds
from labkit.experiments.common import Collector
from labkit.experiments.contest import Arena, Contest
from labkit.experiments.outcome import Kind, Result
from labkit.experiments.spec import POLICY, REPETITIONS, SLICE, Spec, param
from labkit.native import engine
from labkit.workload import Class, Compute, Periodic, Uniform, Workload
from labkit.workload.drawn import Jobs

KEEP, DROP = "keep", "drop"


@dataclass(frozen=True, kw_only=True)
class DeadlineSpec(Spec):
    """Frames of several streams, each with a period and a deadline, beside batch.

    Each stream asks for the same part of the CPU time; what a frame computes varies. Frames of all
    streams begin together. Series `umcg-POLICY` and baselines; samples:

    - `SERIES/met` in `share`: frames that were done in time; `n` frames
    - `SERIES/late` and `SERIES/dropped` in `%` of the frames: done after their deadline; not done
    - `SERIES/8 ms`, `SERIES/8 ms p99` in `ns`: from a frame's coming to its end, of each period; a
      quantile that takes more frames than there are is left out. In `op/s`: frames done a second
    - `SERIES/batch` in `op/s`, and in `share` of the CPU time that frames leave
    - `SERIES` in `cpu`: CPUs kept busy by work and scheduler together

    Counters `SERIES:probe_cost`: CPU time of a frame, traced over untraced. A baseline that is not
    permitted here is in `environment["left_out"]`, with the reason.
    """

    experiment = "deadline"
    question = "How many frames miss their deadline, and who can say which need not be done?"
    place = 6
    baselines = contest.BASELINES
    more_is_better = ("op/s", "share")
    grows_with = "duration_ms"
    neither_is_better = ("cpu",)
    operations = "frames"

    policy: tuple[Any, ...] = param(
        ("edf", "priority"),
        f"{POLICY}; a frame has its deadline, and the higher a priority the shorter its period, as "
        "with nice and SCHED_FIFO; batch has neither",
        policy=True,
    )
    beside: tuple[str, ...] = param(
        ("cfs", "pool", "sched-fifo"), contest.BESIDE, choices=contest.BASELINES, free=True
    )
    where: str = param(contest.KERNEL, contest.WHERE, choices=contest.PLACES)
    servers: int = param(
        1, "CPUs for the work, and servers; at most this machine's", limits=(1, 64), cpus=True
    )
    periods_ms: tuple[int, ...] = param((8, 20, 40), "of each stream", limits=(1, 10_000))
    load_percent: float = param(
        90.0, "CPU time that all frames ask for, of `servers` CPUs", limits=(1, 300)
    )
    spread_percent: float = param(
        20.0, "a frame computes up to so much more or less than the average", limits=(0, 100)
    )
    deadline_percent: float = param(
        100.0, "of a frame after its coming, of its period", limits=(1, 1000)
    )
    late: str = param(
        KEEP,
        "a frame whose deadline is over when its turn comes is done anyway (keep) or not (drop; "
        "kernel only). What a policy drops is not done either, as under edf:late=drop",
        choices=(KEEP, DROP),
    )
    batch: int = param(1, "threads that compute all the time", limits=(0, 256))
    slice_us: float = param(2000.0, SLICE, limits=(200, 1_000_000))
    duration_ms: float = param(
        400.0, "frames come for so long in each value", limits=(10, 1_000_000), measuring=True
    )
    repetitions: int = param(5, REPETITIONS, limits=(1, 1000), measuring=True, free=True)

    def contest(self) -> Contest:
        """Who serves what."""
        shortest_last = sorted(self.periods_ms, reverse=True)
        streams = [
            Kind(
                name=f"{period} ms",
                # A frame that is late runs beside the next ones.
                threads=8,
                priority=1 + shortest_last.index(period),
                nice=max(-20, -1 - shortest_last.index(period)),
                weight=1000 * (1 + shortest_last.index(period)),
                fifo=min(1 + shortest_last.index(period), 49),
            )
            for period in self.periods_ms
        ]
        return Contest(
            policies=self.policy,
            beside=self.beside,
            where=self.where,
            servers=self.servers,
            kinds=[*streams, *contest.batch(self.batch)],
            options={"slice_us": f"{self.slice_us:.0f}"},
            drop_late=self.late == DROP,
        )

    def workload(self, seed: int) -> Workload:
        """The frames, as data; batch is not among them."""
        part = self.servers * self.load_percent / 100 / len(self.periods_ms)
        classes = []
        for period in self.periods_ms:
            period_ns = period * 1_000_000
            usual, spread = period_ns * part, self.spread_percent / 100
            classes.append(
                Class(
                    name=f"{period} ms",
                    arrivals=Periodic(period_ns),
                    phases=(
                        Compute(Uniform(round(usual * (1 - spread)), round(usual * (1 + spread)))),
                    ),
                    jobs=max(round(self.duration_ms / period), 1),
                    deadline=max(round(period_ns * self.deadline_percent / 100), 1),
                )
            )
        return Workload(name="deadline", classes=tuple(classes), seed=seed)

    def room(self) -> engine.Room:
        """Room for what each thread does, and for the servers' turns."""
        frames = sum(self.duration_ms / period for period in self.periods_ms)
        return rounds.room(self.contest(), round(frames), self.duration_ms / 1e3)

    def measurements(self) -> int:
        """Each series' repetitions, and on the kernel one that is traced."""
        return rounds.measurements(self.contest(), self.repetitions)

    def measurement_s(self) -> float:
        """For so long frames come."""
        return self.duration_ms / 1e3

    def measure(self, collect: Collector) -> None:
        """The series in turn, and then each traced."""

        def sample(head: str, case: str, repetition: int, jobs: Jobs, result: Result) -> None:
            rounds.sample_latencies(collect, head, repetition, result)
            for name, value, unit in frames(result):
                asked = sum(count.asked for count in result.counts.values())
                collect.sample(f"{head}/{name}", repetition, value, unit, asked)

        def draw(arena: Arena, number: int) -> dict[str, Jobs]:
            return {"": arena.contest.draw(self.workload(number))}

        rounds.measure(self.contest(), draw, self.repetitions, collect, sample)


def frames(result: Result) -> list[tuple[str, float, str]]:
    """What became of all frames: name, value and unit of each sample."""
    counts = result.counts.values()
    asked = sum(count.asked for count in counts)
    late = sum(count.late for count in counts)
    dropped = sum(count.dropped + count.refused for count in counts)
    return [
        ("met", 1 - (late + dropped) / asked, "share"),
        ("late", 100 * late / asked, "%"),
        ("dropped", 100 * dropped / asked, "%"),
    ]
