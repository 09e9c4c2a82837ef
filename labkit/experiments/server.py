# SPDX-License-Identifier: MIT
"""server: a thread for each request, most of them short, some very long, at rising load."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from labkit.experiments import contest, generator, rounds
from labkit.experiments.common import Collector
from labkit.experiments.contest import Arena, Contest
from labkit.experiments.outcome import Kind, Result
from labkit.experiments.spec import POLICY, REPETITIONS, Spec, param
from labkit.native import engine
from labkit.workload import Class, Compute, Trace, Workload
from labkit.workload.drawn import Jobs

#: The published load: 99.5 % of the requests 10 µs, 0.5 % 5 ms, and slices of 30 µs (ghOSt:
#: Humphries and others, SOSP 2021, after Shinjuku: Kaffes and others, NSDI 2019).
SHORT_US, LONG_US, LONG_PERCENT, SLICE_US = 10.0, 5000.0, 0.5, 30.0
#: By how much the times are longer than published where a machine takes longer for a switch.
SCALE = 10.0
SHORT, LONG = "short", "long"


@dataclass(frozen=True, kw_only=True)
class ServerSpec(Spec):
    """The dispersive load of ghOSt's and Shinjuku's papers at rising load.

    Requests come by themselves (Poisson) at parts of the load that a thread for each CPU can carry,
    which is measured before each repetition. Each repetition has other requests, with exactly the
    share of long ones, the same for all series. Series `umcg-POLICY` and baselines; samples, with
    LOAD as in `80%`:

    - `SERIES/LOAD short`, `SERIES/LOAD short p99`, `SERIES/LOAD short p99.9` in `ns`, and the same
      of `long`: from arrival to answer; `n` requests; a quantile that takes more than there are is
      left out
    - `SERIES/LOAD` in `op/s`: answers a second; `offered/LOAD` in `op/s`: requests that came
    - `SERIES/LOAD` in `cpu`: CPUs kept busy, and in `cpu ns/op`: CPU time of each (kernel)
    - `SERIES/LOAD antagonist` in `share`: what batch got of the CPU time that requests left

    What the generator did is in counters, the worst of the repetitions: `SERIES/LOAD:arrivals`,
    `:client` and `:queue`, above 1 where it cannot be relied on (`labkit.experiments.generator`).
    Counters `SERIES:probe_cost`: CPU time of an answer, traced over untraced, at the highest load.
    `labkit.plots.plot_load_curve` draws latency over load, and says up to which load the 99.9th
    percentile of short requests stays below `limit_us`.
    """

    experiment = "server"
    question = "How much load does a server carry before its slowest requests take too long?"
    place = 7
    baselines = ("cfs", "pool", "nice", "cgroup", "sched-fifo")
    more_is_better = ("op/s", "share")
    grows_with = "requests or threads"
    neither_is_better = ("cpu",)
    operations = "answers"

    policy: tuple[Any, ...] = param(
        ("rr", "las"),
        f"{POLICY}. rr with the slice is what was published; las is told nothing either",
        policy=True,
    )
    beside: tuple[str, ...] = param(
        ("cfs", "pool"), contest.BESIDE, choices=contest.BASELINES, free=True
    )
    where: str = param(contest.KERNEL, contest.WHERE, choices=contest.PLACES)
    servers: int = param(
        1, "CPUs for the work, and servers; at most this machine's", limits=(1, 64), cpus=True
    )
    loads: tuple[int, ...] = param(
        (50, 70, 85), "percent of what a thread for each CPU can carry", limits=(1, 200), free=True
    )
    short_us: float = param(SHORT_US, "a short request, before `scale`", limits=(1, 100_000))
    long_us: float = param(LONG_US, "a long request, before `scale`", limits=(1, 1_000_000))
    long_percent: float = param(LONG_PERCENT, "of the requests are long", limits=(0, 100))
    slice_us: float = param(
        SLICE_US,
        "before `scale`: who runs longer is preempted if others wait: a policy's option slice_us "
        "or quantum_us, if it has one and it is not set there",
        limits=(1, 100_000),
    )
    scale: float = param(
        SCALE,
        "all times are so many times as long as published. 1: as published; where one CPU "
        "instruction is many, as under TCG, 10 us are less than a switch takes and mean nothing",
        limits=(0.1, 1000),
    )
    limit_us: float = param(
        500.0,
        "before `scale`: a 99.9th percentile of short requests above this is too long",
        limits=(1, 10_000_000),
        measuring=True,
        free=True,
    )
    batch: int = param(
        0, "antagonist: threads that compute all the time, at priority 0", limits=(0, 256)
    )
    threads: int = param(64, "threads for the requests", limits=(1, 512))
    requests: int = param(
        1020, "of one value; a 99.9th percentile takes 1000", limits=(20, 100_000), measuring=True
    )
    repetitions: int = param(5, REPETITIONS, limits=(1, 1000), measuring=True, free=True)

    def contest(self) -> Contest:
        """Who serves what."""
        # Nobody is told which are short: no policy of labkit looks at classes.
        requests = [
            Kind(name=name, threads=self.threads, priority=1, nice=-20, weight=1000, fifo=20)
            for name in (SHORT, *[LONG] * (self._longs() > 0))
        ]
        length = f"{max(self.slice_us * self.scale, 1):.0f}"
        return Contest(
            policies=self.policy,
            beside=self.beside,
            where=self.where,
            servers=self.servers,
            kinds=[*requests, *contest.batch(self.batch)],
            options={"slice_us": length, "quantum_us": length},
        )

    def _longs(self) -> int:
        return min(round(self.requests * self.long_percent / 100), self.requests - 1)

    def mean_us(self) -> float:
        """The computing of a request, on average."""
        share = self._longs() / self.requests
        return self.scale * (self.short_us * (1 - share) + self.long_us * share)

    def nominal(self) -> float:
        """Requests a second that their computing alone allows."""
        return self.servers * 1e6 / self.mean_us()

    def workload(self, seed: int) -> Workload:
        """The requests at full load, as data."""
        random = np.random.default_rng(seed)
        comes = np.rint(np.cumsum(random.exponential(1e9 / self.nominal(), self.requests)))
        long = np.zeros(self.requests, bool)
        # Exactly the share, at random places: a lucky draw must not decide.
        long[random.permutation(self.requests)[: self._longs()]] = True
        kinds = ((SHORT, ~long, self.short_us), (LONG, long, self.long_us))
        classes = [
            Class(
                name=name,
                arrivals=Trace(tuple(comes[which].astype(int).tolist())),
                phases=(Compute(round(us * self.scale * 1e3)),),
            )
            for name, which, us in kinds
            if which.any()
        ]
        return Workload(name="server", classes=tuple(classes), seed=seed)

    def room(self) -> engine.Room:
        """Room for what each thread does, and for the servers' turns."""
        span_s = self.requests / self.nominal() * 100 / min(self.loads)
        return rounds.room(self.contest(), self.requests, span_s)

    def measurements(self) -> int:
        """Each series at each load in each repetition, and on the kernel one that is traced."""
        return rounds.measurements(self.contest(), self.repetitions, len(self.loads))

    def measurement_s(self) -> float:
        """For so long requests come, on average over the loads."""
        slower = sum(100 / load for load in self.loads) / len(self.loads)
        return self.requests / self.nominal() * slower

    def draw(self, arena: Arena, number: int) -> dict[str, Jobs]:
        """The jobs of a repetition by load; full load is what this machine carries now."""
        full = arena.contest.draw(self.workload(number))
        simulated = arena.contest.where == contest.SIMULATOR
        carried = self.nominal() if simulated else arena.capacity(full)
        stretch = self.nominal() / carried
        return {f"{load}%": at(full, stretch * 100 / load) for load in self.loads}

    def sample(
        self, collect: Collector, name: str, repetition: int, jobs: Jobs, result: Result
    ) -> None:
        """What came of one measurement, and what the generator did."""
        for kind, found in result.quantiles.items():
            for suffix, value in found.items():
                n = result.counts[kind].answered
                collect.sample(f"{name} {kind}{suffix}", repetition, value, "ns", n)
        n = sum(count.answered for count in result.counts.values())
        collect.sample(name, repetition, n * 1e9 / result.elapsed_ns, "op/s", n)
        collect.sample(name, repetition, result.busy, "cpu", n)
        if result.work_ns and n:
            collect.sample(name, repetition, result.work_ns / n, "cpu ns/op", n)
        if self.batch:
            collect.sample(f"{name} antagonist", repetition, result.endless_share, "share", n)
        for what, value in generator.checks(jobs, result).items():
            counter = f"{name}:{what}"
            collect.counters[counter] = max(float(collect.counters.get(counter, 0)), value)

    def measure(self, collect: Collector) -> None:
        """The series in turn at each load, and then each traced at the highest."""
        offered: set[tuple[str, int]] = set()

        def sample(head: str, case: str, repetition: int, jobs: Jobs, result: Result) -> None:
            self.sample(collect, f"{head}/{case}", repetition, jobs, result)
            if (case, repetition) not in offered:
                offered.add((case, repetition))
                n = len(jobs.arrival_ns)
                rate = n * 1e9 / float(jobs.arrival_ns[-1])
                collect.sample(f"offered/{case}", repetition, rate, "op/s", n)

        rounds.measure(self.contest(), self.draw, self.repetitions, collect, sample)


def at(jobs: Jobs, stretch: float) -> Jobs:
    """The same jobs, whose arrivals lie so many times as far apart."""
    arrival = np.rint(jobs.arrival_ns * stretch).astype(np.uint64)
    classes = tuple(
        dataclasses.replace(each, arrivals=Trace(tuple(arrival[jobs.klass == i].tolist())))
        for i, each in enumerate(jobs.workload.classes)
    )
    workload = dataclasses.replace(jobs.workload, classes=classes)
    return dataclasses.replace(jobs, workload=workload, arrival_ns=arrival)
