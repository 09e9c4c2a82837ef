# SPDX-License-Identifier: MIT
"""preempt: runaway workers, urgent requests among them, a policy; beside CFS time slices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

import numpy as np
import numpy.typing as npt

from labkit.experiments import policy as policies
from labkit.experiments.common import Collector, first_cpus, latencies
from labkit.experiments.own import Own
from labkit.experiments.spec import EVENTS, POLICY, REPETITIONS, SLICE, Spec, param
from labkit.native import engine, threads

BASELINES = THREADS, SIGNAL = ("pthread", "signal")


@dataclass(frozen=True, kw_only=True)
class PreemptSpec(Spec):
    """Runaway workers, urgent requests among them, a watchdog; beside CFS time slices.

    Series `umcg`, and `pthread` if it is asked for; samples:

    - `umcg/latency` in `ns`: median from the preemption call to the server running; `n` of them
    - `SERIES/urgent` and `SERIES/urgent p99` in `ns`: median and 99th percentile of an urgent
      request's response, from the end of its sleep to its answer; `n` requests
    - `SERIES` in `jain`: fairness of the CPU time among the runaways; `n` runaways
    - `SERIES` in `op/s`: chunks a second of all runaways; `n` chunks

    Beside them, where that is asked for and there is a second CPU, `signal/latency` in `ns`: median
    from sending a signal to a thread that computes to its handler; `n` signals.

    Counters `SERIES:probe_cost`: chunks a second untraced over traced; `umcg:preempts`.
    """

    experiment = "preempt"
    question = "How soon is a runaway worker taken off its server, and how fair is the rest?"
    place = 4
    baselines = BASELINES
    grows_with = "runaways, urgent, servers or events"
    more_is_better = ("op/s",)
    neither_is_better = ("jain",)
    demo: ClassVar = {"repetitions": 5, "duration_s": 0.3}

    runaways: int = param(4, "workers that never stop computing", limits=(1, 256))
    urgent: int = param(
        2,
        "workers that sleep, then have a short request. Under a policy that lets them, they take a "
        "runaway's place at once: they do not wait for the end of a slice",
        limits=(0, 256),
    )
    beside: tuple[str, ...] = param(
        (THREADS,),
        "what UMCG is set against. pthread: as many threads under CFS; signal: what a signal from "
        "another CPU takes to interrupt a thread that computes",
        choices=BASELINES,
        free=True,
    )
    servers: int = param(
        1,
        "servers of the UMCG series and CPUs of both; at most this machine's",
        limits=(1, 64),
        cpus=True,
    )
    slice_us: float = param(2000.0, SLICE, limits=(200, 1_000_000))
    urgent_every_us: float = param(
        5000.0, "sleep of an urgent worker between requests", limits=(100, 1_000_000)
    )
    urgent_us: float = param(100.0, "computing of one request", limits=(1, 100_000))
    chunk_us: float = param(
        200.0,
        "a runaway's progress is counted in chunks of so much computing",
        limits=(10, 100_000),
    )
    duration_s: float = param(0.4, "each value takes so long", limits=(0.05, 60), measuring=True)
    signals: int = param(
        300, "signals of one value, with beside signal", limits=(10, 100_000), measuring=True
    )
    repetitions: int = param(7, REPETITIONS, limits=(1, 1000), measuring=True, free=True)
    events: int = param(20_000, EVENTS, limits=(1000, 1_000_000), measuring=True, free=True)
    policy: Any = param(
        "priority",
        f"{POLICY}; urgent workers have priority 1 and tenant 0, runaways priority 0 and tenant 1",
        policy=True,
    )

    def chosen_policy(self) -> str | Own:
        """The policy as the engine takes it, with the length of its slices."""
        return policies.check("policy", self.policy, slice_us=f"{self.slice_us:.0f}")

    def room(self) -> engine.Room:
        """A ring for each worker, and larger ones for the servers."""
        workers = self.runaways + self.urgent
        shortest = (self.chunk_us, self.urgent_us)
        return engine.load_room(workers, self.servers, self.events, self.duration_s, *shortest)

    def measurements(self) -> int:
        """Each series' repetitions, and one of threads that is not traced."""
        signals = SIGNAL in self.interrupted()
        return len(self.series()) * (self.repetitions + 1) + signals * self.repetitions

    def series(self) -> dict[str, bool]:
        """Is it over UMCG? Of each series of threads by its name."""
        found = {"umcg": True} if engine.enabled() else {}
        return found | ({THREADS: False} if THREADS in self.beside else {})

    def interrupted(self) -> list[str]:
        """The series in which a thread that computes is interrupted, by preemption or a signal."""
        signals = SIGNAL in self.beside and len(first_cpus(2)) > 1
        return [*(name for name, umcg in self.series().items() if umcg), *[SIGNAL] * signals]

    def once(
        self,
        name: str,
        *,
        events: int = 0,
        **hooks: Unpack[engine.Hooks],
    ) -> engine.Outcome:
        """One measurement of a series; `events`: room for a trace."""
        umcg = self.series()[name]
        return engine.load(
            "spin",
            umcg=umcg,
            workers=self.runaways + self.urgent,
            urgent=self.urgent,
            servers=self.servers if umcg else 0,
            cpus=first_cpus(self.servers),
            duration_s=self.duration_s,
            busy_us=self.chunk_us,
            urgent_us=self.urgent_us,
            idle_us=self.urgent_every_us,
            policy=self.chosen_policy(),
            events=events,
            **hooks,
        )

    def interruptions(self, name: str, **hooks: Unpack[engine.Hooks]) -> npt.NDArray[np.int64]:
        """ns of each: from the call to the server running, or from the signal to its handler."""
        if name != SIGNAL:
            return preemptions(self.once(name, events=self.events, **hooks))
        cpu, sender = first_cpus(2)
        return threads.interrupt(cpu=cpu, sender_cpu=sender, count=self.signals, **hooks)

    def measure(self, collect: Collector) -> None:
        """The series in turn, threads traced, and then each of these untraced."""
        series = self.series()
        rates: dict[str, list[float]] = {name: [] for name in series}
        for repetition in range(self.repetitions):
            for name, umcg in series.items():
                collect.begin(name)
                outcome = self.once(name, events=self.events, **collect.hooks)
                _samples(name, repetition, outcome, collect)
                rates[name].append(_rate(outcome))
                if umcg:
                    counters = collect.counters
                    counters["umcg:preempts"] = (
                        counters.get("umcg:preempts", 0) + outcome.values["preempts"]
                    )
                collect.trace(name, outcome, keep=repetition == 0)
                collect.end()
            if SIGNAL in self.interrupted():
                collect.begin(SIGNAL)
                late = self.interruptions(SIGNAL, **collect.hooks)
                _sample_latency(SIGNAL, repetition, late, collect)
                collect.end()
        for name in series:
            collect.begin(f"{name} (untraced)")
            rate = _rate(self.once(name, **collect.hooks))
            collect.counters[f"{name}:probe_cost"] = rate / max(float(np.median(rates[name])), 1e-9)
            collect.end()


def jain(shares: list[int]) -> float:
    """Jain's fairness index of what each got: 1 all the same, 1/n one got everything.

    R. Jain, D. Chiu, W. Hawe: A Quantitative Measure of Fairness, DEC-TR-301, 1984.
    """
    squares = len(shares) * sum(share * share for share in shares)
    return sum(shares) ** 2 / squares if squares else 0.0


def preemptions(outcome: engine.Outcome) -> npt.NDArray[np.int64]:
    """ns from each call that preempted to the server running; of a traced measurement."""
    late: npt.NDArray[np.int64] = latencies(outcome, "preempt")
    return late[late > 0]


def _runaways(outcome: engine.Outcome) -> list[engine.Task]:
    return [task for task in outcome.tasks if task.role != "server" and not task.urgent]


def _rate(outcome: engine.Outcome) -> float:
    chunks = sum(task.ops for task in _runaways(outcome))
    return chunks * 1e9 / outcome.values["elapsed_ns"]


def _samples(name: str, repetition: int, outcome: engine.Outcome, collect: Collector) -> None:
    runaways = _runaways(outcome)
    chunks = sum(task.ops for task in runaways)
    fair = jain([task.cpu_ns for task in runaways])
    collect.sample(name, repetition, fair, "jain", len(runaways))
    collect.sample(name, repetition, _rate(outcome), "op/s", chunks)
    urgent = latencies(outcome, "op", {task.tid for task in outcome.tasks if task.urgent})
    if len(urgent):
        median, tail = np.percentile(urgent, [50, 99])
        collect.sample(f"{name}/urgent", repetition, median, "ns", len(urgent))
        collect.sample(f"{name}/urgent p99", repetition, tail, "ns", len(urgent))
    _sample_latency(name, repetition, preemptions(outcome), collect)


def _sample_latency(
    name: str, repetition: int, late: npt.NDArray[np.int64], collect: Collector
) -> None:
    if len(late):
        collect.sample(f"{name}/latency", repetition, float(np.median(late)), "ns", len(late))
