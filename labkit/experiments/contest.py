# SPDX-License-Identifier: MIT
"""Who serves requests that come by themselves: policies over servers, and what one had without.

The same jobs before each of them, on the kernel or in the simulator, and what came of it in the
same words. The experiments that ask this say which kinds of work there are.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from labkit.experiments import policy as policies
from labkit.experiments.cgroups import NoCgroups, Weights
from labkit.experiments.common import first_cpus
from labkit.experiments.errors import SpecError
from labkit.experiments.outcome import Kind, Result, served_result, simulated_result
from labkit.experiments.own import Own
from labkit.native import engine, serving
from labkit.sim import simulate, simulation
from labkit.sim.costs import Costs
from labkit.sim.policies import split
from labkit.workload import Class, Closed, Compute, Workload
from labkit.workload.drawn import Jobs, draw

KERNEL, SIMULATOR = PLACES = ("kernel", "simulator")
WHERE = (
    "kernel (policies need the patched one), or simulator: virtual time on any machine, switching "
    "costs what the patched kernel's instruction counts say at one instruction a nanosecond"
)

#: What one would do without UMCG.
BASELINES = ("cfs", "pool", "nice", "cgroup", "sched-fifo")
BESIDE = (
    "what the policies are set against. cfs: a thread for each request; pool: a thread a CPU for "
    "all, first come, first served; nice, cgroup (CPU weights), sched-fifo: as cfs, but what is "
    "urgent is told to the kernel, where that is permitted. In the simulator cfs is the policy fair"
)
#: The simulator's twins: CFS with three milliseconds on one CPU, and a pool that nothing preempts.
_TWINS = {"cfs": "fair:slice_us=3000"}
_POOL_TWIN = {"pool": "fifo"}


def heads(asked: Sequence[Any]) -> dict[str, Any]:
    """Series' heads of these policies: `umcg-NAME`, with options where a name is there twice."""
    texts = [policies.said(one) for one in asked]
    stems = [Path(split(text)[0]).stem for text in texts]
    found = {}
    for stem, text, one in zip(stems, texts, asked, strict=True):
        options = split(text)[1]
        more = f":{options}" if stems.count(stem) > 1 and options else ""
        found[f"umcg-{stem}{more}"] = one
    if len(found) < len(texts):
        raise SpecError(f"policy: {', '.join(texts)} have the same name twice; build one anew")
    return found


def batch(threads: int, tenant: int = 1) -> list[Kind]:
    """What computes all the time and comes last everywhere; nothing without threads."""
    kind = Kind(name="batch", threads=threads, endless=True, tenant=tenant, nice=19, weight=1)
    return [kind] * (threads > 0)


def _allowed(what: Callable[[], object]) -> str:
    """Why this thread may not do that; "" if it may. Tried in a thread that ends with it."""
    said = []

    def try_it() -> None:
        try:
            what()
        except OSError as error:
            said.append(f"{error.strerror}; it takes root or CAP_SYS_NICE")

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    return "".join(said)


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Who serves, what, and where.

    Attributes:
        policies: over servers, as `labkit.experiments.policy.check` takes them.
        beside: of `BASELINES`.
        where: of `PLACES`.
        servers: CPUs for the work, and servers.
        kinds: of work; those that are not endless in the order of the workload's classes.
        options: of policies that have them and do not say them.
        endless_us: computing of one operation of endless work.
        drop_late: requests whose deadline is over when their turn comes are dropped.
    """

    policies: Sequence[Any]
    beside: Sequence[str]
    where: str
    servers: int
    kinds: Sequence[Kind]
    options: dict[str, str] = field(default_factory=dict)
    endless_us: float = 100.0
    drop_late: bool = False

    def __post_init__(self) -> None:
        for policy in self.chosen().values():
            if self.where == KERNEL and self._endless and serving.is_endless(policy):
                name = policy if isinstance(policy, str) else policy.name
                raise SpecError(
                    f"policy: {name} never takes batch off its server, so nothing else would run; "
                    "give one with slices, such as rr or priority:slice_us=2000, or no batch"
                )

    @property
    def _endless(self) -> list[Kind]:
        return [kind for kind in self.kinds if kind.endless]

    @property
    def _asked(self) -> list[Kind]:
        return [kind for kind in self.kinds if not kind.endless]

    def chosen(self) -> dict[str, str | Own]:
        """The policy of each series that has one, as the engine takes it."""
        there = self.where == SIMULATOR or engine.enabled()
        # As `groups` has them.
        classes = tuple(kind.name for kind in (*self._asked, *self._endless))
        found = {
            head: policies.check("policy", policy, classes, **self.options)
            for head, policy in (heads(self.policies) if there else {}).items()
        }
        if self.where == SIMULATOR:
            twins = _TWINS if self._endless else _TWINS | _POOL_TWIN
            found |= {name: twins[name] for name in self.beside if name in twins}
        return found

    def series(self) -> list[str]:
        """Heads of all series that are asked for."""
        return list(dict.fromkeys([*self.chosen(), *self.beside]))

    @contextmanager
    def open(self) -> Iterator[Arena]:
        """Where they meet; cgroups are there as long as it is open."""
        left_out, weights = self._left_out(), None
        with ExitStack() as until:
            if "cgroup" in self.beside and "cgroup" not in left_out:
                asked = {kind.name.replace(" ", "-"): kind.weight for kind in self.kinds}
                try:
                    weights = until.enter_context(Weights(asked))
                except NoCgroups as error:
                    left_out["cgroup"] = str(error)
            yield Arena(self, weights, left_out)

    def _left_out(self) -> dict[str, str]:
        if self.where == SIMULATOR:
            had = self.chosen()
            return {
                name: "the simulator has no twin of it" for name in self.beside if name not in had
            }
        lowest = min(kind.nice for kind in self.kinds)
        highest = os.sched_param(max(kind.fifo for kind in self.kinds) or 1)
        tried = {
            "nice": lambda: os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), lowest),
            "sched-fifo": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, highest),
        }
        found = {name: _allowed(tried[name]) for name in self.beside if name in tried}
        if "cgroup" in self.beside and os.geteuid():
            found["cgroup"] = "only root may make them here"
        return {name: why for name, why in found.items() if why}

    def draw(self, workload: Workload) -> Jobs:
        """Jobs for all of them."""
        return draw(workload, max(kind.threads for kind in self._asked))

    def groups(self, head: str, weights: Weights | None) -> list[serving.Group]:
        """The threads of a series on the kernel."""
        if head == "pool":
            pool = serving.Group(name="pool", threads=self.servers)
            return [pool, *(serving.Group(name=kind.name, threads=kind.threads, endless=True)
                            for kind in self._endless)]  # fmt: skip
        umcg = head not in BASELINES
        return [
            serving.Group(
                name=kind.name,
                threads=kind.threads,
                endless=kind.endless,
                most_waiting=kind.most_waiting,
                priority=kind.priority if umcg else 0,
                tenant=kind.tenant if umcg else 0,
                nice=kind.nice if head == "nice" else 0,
                fifo=kind.fifo if head == "sched-fifo" else 0,
                cgroup=weights.door(kind.name.replace(" ", "-"))
                if head == "cgroup" and weights
                else -1,
            )
            for kind in (*self._asked, *self._endless)
        ]

    def workload(self, jobs: Jobs) -> Workload:
        """What the simulator is given: the jobs, and the endless work until the last has come."""
        last = int(jobs.arrival_ns[-1])
        endless = [
            Class(
                name=kind.name,
                arrivals=Closed(threads=kind.threads),
                phases=(Compute(round(self.endless_us * 1e3)),),
                priority=kind.priority,
                tenant=kind.tenant,
            )
            for kind in self._endless
        ]
        classes = tuple(
            _of_kind(each, kind)
            for each, kind in zip(jobs.workload.classes, self._asked, strict=True)
        )
        return Workload(
            name=jobs.workload.name,
            classes=(*classes, *endless),
            duration=last + 1,
            seed=jobs.workload.seed,
        )


def _of_kind(each: Class, kind: Kind) -> Class:
    return dataclasses.replace(
        each, threads=kind.threads, priority=kind.priority, tenant=kind.tenant
    )


class Arena:
    """Where those of a `Contest` meet: `once` lets one of them serve."""

    def __init__(self, contest: Contest, weights: Weights | None, left_out: dict[str, str]) -> None:
        self.contest = contest
        self.left_out = left_out
        self._weights = weights
        self._chosen = contest.chosen()

    def series(self) -> list[str]:
        """Heads of the series that can be had here."""
        return [head for head in self.contest.series() if head not in self.left_out]

    def once(
        self,
        head: str,
        jobs: Jobs,
        *,
        events: bool = False,
        stop: threading.Event | None = None,
        watch: engine.Watcher | None = None,
    ) -> Result:
        """Let one serve the jobs.

        Raises:
            EngineError: a system call failed.
            PolicyFault: the policy is wrong.
            Stopped: `stop` was set.
        """
        if self.contest.where == SIMULATOR:
            return self._simulate(self._chosen[head], jobs, events, stop)
        contest = self.contest
        groups = contest.groups(head, self._weights)
        served = serving.serve(
            groups,
            serving.Requests(
                arrival_ns=jobs.arrival_ns,
                service_us=jobs.service_ns / 1e3,
                group=None if head == "pool" else jobs.klass.astype(np.uint8),
                deadline_ns=jobs.of("deadline").astype(np.uint64),
            ),
            policy=self._chosen.get(head),
            servers=contest.servers,
            cpus=first_cpus(contest.servers),
            client_cpu=self._client(),
            endless_us=contest.endless_us,
            drop_late=contest.drop_late,
            events=events,
            stop=stop,
            watch=watch,
        )
        return served_result(jobs, groups, served, contest.servers)

    def capacity(self, jobs: Jobs, stop: threading.Event | None = None) -> float:
        """Kernel: jobs a second that a thread for each CPU does when all are there at once."""
        served = serving.serve(
            [serving.Group(threads=self.contest.servers)],
            serving.Requests(
                arrival_ns=np.zeros_like(jobs.arrival_ns), service_us=jobs.service_ns / 1e3
            ),
            policy=None,
            cpus=first_cpus(self.contest.servers),
            client_cpu=self._client(),
            stop=stop,
        )
        return jobs.arrival_ns.size * 1e9 / served.elapsed_ns

    def _client(self) -> int | None:
        """A CPU beside those of the work, where there is one."""
        beyond = first_cpus(self.contest.servers + 1)[self.contest.servers :]
        return beyond[0] if beyond else None

    def _simulate(
        self, policy: str | Own, jobs: Jobs, events: bool, stop: threading.Event | None
    ) -> Result:
        record = simulate(
            policy.policy if isinstance(policy, Own) else policy,
            self.contest.workload(jobs),
            servers=self.contest.servers,
            costs=Costs.counted(),
            events=simulation.EVENTS if events else 0,
            stop=stop,
        )
        if record.counters.get("stopped"):
            raise engine.Stopped
        return simulated_result(self.contest.kinds, record, self.contest.servers)
