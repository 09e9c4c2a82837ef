# SPDX-License-Identifier: MIT
"""block: M workers over N servers in calls that block, beside M threads on N CPUs."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt

from labkit.experiments import policy as policies
from labkit.experiments.common import Collector, first_cpus, latencies
from labkit.experiments.pages import pages
from labkit.experiments.spec import EVENTS, POLICY, REPETITIONS, Spec, param
from labkit.native import engine

WORKS = ("sleep", "pipe", "socketpair", "lock", "fault", "mixed")


class _Series(NamedTuple):
    umcg: bool
    pass_on: bool
    work: str


@dataclass(frozen=True, kw_only=True)
class BlockSpec(Spec):
    """M workers over N servers in calls that block, beside M threads on N CPUs.

    Series `umcg/WORK`, `umcg-pass-on/WORK` (see `told`) and `pthread/WORK`; samples of each:

    - `op/s`: finished operations a second; `n` operations
    - `cpu`: CPUs kept busy by workers and scheduler together; `n` operations
    - `ns`: of `SERIES/detection` (`umcg` only): median time from the call that blocks to the server
      running again, in a traced measurement of each repetition; `n` blocks

    Counters `SERIES:probe_cost`: untraced over traced throughput; `umcg/fault:major_faults`,
    `pthread/fault:major_faults`: pages that the untraced operations waited for.
    """

    experiment = "block"
    question = "When a worker blocks in the kernel, how soon does its server run another?"
    place = 3
    baselines = ("pthread",)
    grows_with = "workers, servers or events"
    more_is_better = ("op/s",)
    neither_is_better = ("cpu",)
    demo: ClassVar = {"works": ("sleep", "pipe")}

    works: tuple[str, ...] = param(
        ("sleep", "pipe", "fault"),
        "what an operation does after computing: sleep; pipe, socketpair (a device answers after "
        "idle_us); lock (half of the computing under one futex lock); fault (a page of a file that "
        "left memory: the wait is the disk's, not idle_us); mixed (sleep, one operation in ten "
        "computes ten times as long)",
        choices=WORKS,
        free=True,
    )
    workers: int = param(8, "threads that work", limits=(1, 512))
    servers: int = param(
        1,
        "servers of the UMCG series and CPUs of both; at most this machine's",
        limits=(1, 64),
        cpus=True,
    )
    busy_us: float = param(100.0, "computing of one operation", limits=(0, 100_000))
    idle_us: float = param(1000.0, "sleep or device latency", limits=(10, 1_000_000))
    duration_s: float = param(0.2, "each value takes so long", limits=(0.01, 60), measuring=True)
    repetitions: int = param(5, REPETITIONS, limits=(1, 1000), measuring=True, free=True)
    events: int = param(
        4000, f"{EVENTS}; 0: nothing is traced", limits=(0, 1_000_000), measuring=True, free=True
    )
    told: tuple[str, ...] = param(
        tuple(policies.TOLD), policies.TOLD_HELP, choices=tuple(policies.TOLD)
    )
    policy: Any = param("fifo", POLICY, policy=True)

    def room(self) -> engine.Room:
        """A ring for each worker, and larger ones for the servers."""
        return engine.load_room(
            self.workers, self.servers, self.events, self.duration_s, self.busy_us
        )

    def measurements(self) -> int:
        """Each series' repetitions, and those that are traced."""
        series = self.series()
        traced = sum(map(self._traces, series.values()))
        return len(series) * self.repetitions + traced

    def series(self) -> dict[str, _Series]:
        """What each series is, by its name."""
        ways = policies.ways(self.told, self.policy)
        heads = {f"umcg{way}": (True, pass_on) for way, pass_on in ways.items()}
        heads["pthread"] = (False, False)
        return {
            f"{head}/{work}": _Series(*what, work)
            for work in self.works
            for head, what in heads.items()
        }

    def _traces(self, series: _Series) -> int:
        """Traced measurements of a series: one for a timeline, but detection is a value of each."""
        if series.pass_on or not self.events:
            return 0
        return self.repetitions if series.umcg else 1

    def once(
        self,
        name: str,
        *,
        file: int,
        events: int = 0,
        **hooks: Unpack[engine.Hooks],
    ) -> engine.Outcome:
        """One measurement of a series; `file`: see `pages`, `events`: room for a trace."""
        series = self.series()[name]
        return engine.load(
            series.work,
            umcg=series.umcg,
            workers=self.workers,
            servers=self.servers if series.umcg else 0,
            cpus=first_cpus(self.servers),
            duration_s=self.duration_s,
            busy_us=self.busy_us,
            idle_us=self.idle_us,
            policy=policies.check("policy", self.policy),
            pass_on=series.pass_on,
            file=file,
            events=events,
            **hooks,
        )

    def measure(self, collect: Collector) -> None:
        """The series in turn, each untraced and then traced.

        Raises:
            NothingFaults: `fault`, and pages of files stay in memory here.
            WriteFailed: no room for the file whose pages fault.
        """
        with pages(self.workers) if "fault" in self.works else nullcontext(-1) as file:
            self._measure(file, collect)

    def _measure(self, file: int, collect: Collector) -> None:
        series = self.series()
        rates: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in series}
        for repetition in range(self.repetitions):
            for name, what in series.items():
                collect.begin(name)
                outcome = self.once(name, file=file, **collect.hooks)
                ops, ns = operations(outcome), outcome.values["elapsed_ns"]
                used = cpu_ns(outcome)
                collect.sample(name, repetition, ops * 1e9 / ns, "op/s", ops)
                collect.sample(name, repetition, used / ns, "cpu", ops)
                rates[name][0].append(ops * 1e9 / ns)
                if what.work == "fault":
                    faults = sum(task.faults for task in outcome.tasks)
                    counter = f"{name}:major_faults"
                    collect.counters[counter] = collect.counters.get(counter, 0) + faults
                collect.end()
                if repetition >= self._traces(what):
                    continue
                collect.begin(f"{name} (traced)")
                outcome = self.once(
                    name,
                    file=file,
                    events=self.events,
                    **collect.hooks,
                )
                collect.trace(name, outcome, keep=repetition == 0)
                rates[name][1].append(operations(outcome) * 1e9 / outcome.values["elapsed_ns"])
                if what.umcg:
                    late = detections(outcome)
                    if len(late):
                        median = float(np.median(late))
                        collect.sample(f"{name}/detection", repetition, median, "ns", len(late))
                collect.end()
        for name, (untraced, traced) in rates.items():
            if traced:
                cost = float(np.median(untraced)) / max(float(np.median(traced)), 1e-9)
                collect.counters[f"{name}:probe_cost"] = cost


def operations(outcome: engine.Outcome) -> int:
    """Operations finished by workers or threads (a server's count is of turns)."""
    return sum(task.ops for task in outcome.tasks if task.role != "server")


def cpu_ns(outcome: engine.Outcome) -> int:
    """CPU time of workers, or threads, and scheduler together."""
    return sum(task.cpu_ns for task in outcome.tasks) + outcome.values["helpers_ns"]


def detections(outcome: engine.Outcome) -> npt.NDArray[np.int64]:
    """ns from each call that blocked to the server running again; of a traced measurement."""
    late: npt.NDArray[np.int64] = latencies(outcome, "block")
    return late[late > 0]
