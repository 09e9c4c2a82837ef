# SPDX-License-Identifier: MIT
"""mixed: urgent requests, reports and batch on the same CPUs, under policies and without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from labkit.experiments import contest, rounds
from labkit.experiments.common import Collector
from labkit.experiments.contest import Arena, Contest
from labkit.experiments.outcome import Kind, Result
from labkit.experiments.spec import POLICY, REPETITIONS, SLICE, Spec, param
from labkit.native import engine
from labkit.sim.policies import split
from labkit.workload import Class, Compute, Exponential, Poisson, Workload
from labkit.workload.drawn import Jobs

#: Tenant of reports and batch, beside those that have urgent requests.
_REST = 9


@dataclass(frozen=True, kw_only=True)
class MixedSpec(Spec):
    """A database's day: urgent requests, long reports, and batch that takes what is left.

    Requests arrive by themselves (Poisson), whether earlier ones are answered or not; each
    repetition has other ones, the same for all series. Series `umcg-POLICY` and baselines; samples:

    - `SERIES/urgent`, `SERIES/urgent p99`, `SERIES/urgent p99.9` in `ns`, and the same of `report`:
      from arrival to answer, `n` requests; a quantile that takes more than there are is left out.
      With several tenants they are `urgent 0`, `urgent 1` and so on
    - `SERIES/urgent` and `SERIES/report` in `op/s`: answers a second; `SERIES/batch`: operations
    - `SERIES/batch` in `share`: CPU time of batch over what answering requests left
    - `SERIES` in `cpu`: CPUs kept busy by work and scheduler together
    - `SERIES/report refused` in `%`, with `most_waiting`

    In the simulator a batch operation is a job of its own, which policies that go by attained
    service, as las, take for short. Counters `SERIES:probe_cost`: CPU time of an answer, traced
    over untraced. A baseline that is not permitted here is in `environment["left_out"]`, with the
    reason.
    """

    experiment = "mixed"
    question = "How long do urgent requests wait beside work that fills every CPU?"
    place = 5
    baselines = contest.BASELINES
    more_is_better = ("op/s", "share")
    grows_with = "requests or threads"
    neither_is_better = ("cpu",)
    operations = "answers"
    demo: ClassVar = {
        "policy": ("priority", "las", "reserve"),
        "beside": ("cfs", "sched-fifo"),
        "requests": 200,
    }

    policy: tuple[Any, ...] = param(
        ("priority",),
        f"{POLICY}; urgent requests have priority 1 and their tenant, all else priority 0 and "
        f"tenant {_REST}",
        policy=True,
    )
    beside: tuple[str, ...] = param(
        contest.BASELINES, contest.BESIDE, choices=contest.BASELINES, free=True
    )
    where: str = param(contest.KERNEL, contest.WHERE, choices=contest.PLACES)
    servers: int = param(
        1, "CPUs for the work, and servers; at most this machine's", limits=(1, 64), cpus=True
    )
    urgent_percent: float = param(
        50.0, "CPU time that urgent requests ask for, of `servers` CPUs", limits=(0.01, 300)
    )
    urgent_us: float = param(500.0, "computing of an urgent request", limits=(1, 1_000_000))
    tenants: int = param(
        1, "who has urgent requests; each asks for the same part", limits=(1, _REST - 1)
    )
    greed: float = param(
        1.0, "tenants after the first ask for so many times their part", limits=(0.1, 100)
    )
    reserved: int = param(
        1,
        "CPUs of the first tenant under the policy reserve, if that does not say cpusN itself",
        limits=(0, 64),
    )
    report_percent: float = param(
        20.0, "CPU time that reports ask for, of `servers` CPUs; 0: none", limits=(0, 300)
    )
    report_us: float = param(
        5000.0, "computing of a report, on average (exponential)", limits=(1, 10_000_000)
    )
    most_waiting: int = param(
        0, "a report that finds so many waiting is refused (kernel only); 0: none is",
        limits=(0, 1_000_000),
    )  # fmt: skip
    batch: int = param(2, "threads that compute all the time", limits=(0, 256))
    batch_us: float = param(100.0, "computing of one batch operation", limits=(10, 100_000))
    slice_us: float = param(2000.0, SLICE, limits=(200, 1_000_000))
    threads: int = param(8, "threads for the requests of each kind", limits=(1, 256))
    requests: int = param(
        300,
        "urgent requests of one value, of the first tenant; all others in proportion",
        limits=(20, 100_000),
        measuring=True,
    )
    repetitions: int = param(5, REPETITIONS, limits=(1, 1000), measuring=True, free=True)

    def contest(self) -> Contest:
        """Who serves what."""
        several = self.tenants > 1
        urgent = [
            Kind(
                name=f"urgent {tenant}" if several else "urgent",
                threads=self.threads,
                priority=1,
                tenant=tenant,
                nice=-20,
                weight=10_000,
                fifo=20,
            )
            for tenant in range(self.tenants)
        ]
        report = Kind(
            name="report",
            threads=self.threads,
            tenant=_REST,
            weight=100,
            fifo=10,
            most_waiting=self.most_waiting,
        )
        return Contest(
            policies=[self._with_reserve(policy) for policy in self.policy],
            beside=self.beside,
            where=self.where,
            servers=self.servers,
            kinds=[
                *urgent,
                *[report] * (self.report_percent > 0),
                *contest.batch(self.batch, _REST),
            ],
            options={"slice_us": f"{self.slice_us:.0f}"},
            endless_us=self.batch_us,
        )

    def _with_reserve(self, policy: Any) -> Any:
        name, options = split(policy) if isinstance(policy, str) else ("", "")
        if name != "reserve" or "cpus" in options or not self.reserved:
            return policy
        return f"reserve:{options}{',' if options else ''}cpus0={self.reserved}"

    def _rate(self, percent: float, us: float) -> float:
        """Requests a second of so many microseconds that ask for this part of the CPU time."""
        return self.servers * percent / 100 / (us / 1e6)

    def _span_s(self) -> float:
        """For so long requests come."""
        first = self._rate(self.urgent_percent, self.urgent_us) / self.tenants
        return self.requests / first

    def workload(self, seed: int) -> Workload:
        """The requests, as data; batch is not among them."""
        whole, span = self._rate(self.urgent_percent, self.urgent_us), self._span_s()
        classes = []
        parts = [1.0, *[self.greed] * (self.tenants - 1)]
        for kind, part in zip(self.contest().kinds, parts, strict=False):
            rate = whole * part / self.tenants
            classes.append(
                Class(
                    name=kind.name,
                    arrivals=Poisson(rate),
                    phases=(Compute(round(self.urgent_us * 1e3)),),
                    jobs=max(round(rate * span), 1),
                )
            )
        if self.report_percent:
            rate = self._rate(self.report_percent, self.report_us)
            classes.append(
                Class(
                    name="report",
                    arrivals=Poisson(rate),
                    phases=(Compute(Exponential(round(self.report_us * 1e3))),),
                    jobs=max(round(rate * span), 1),
                )
            )
        return Workload(name="mixed", classes=tuple(classes), seed=seed)

    def room(self) -> engine.Room:
        """Room for what each thread does, and for the servers' turns."""
        span_s = self._span_s()
        others = self.requests * self.greed * (self.tenants - 1)
        others += self._rate(self.report_percent, self.report_us) * span_s
        return rounds.room(self.contest(), self.requests + round(others), span_s)

    def measurements(self) -> int:
        """Each series' repetitions, and on the kernel one that is traced."""
        return rounds.measurements(self.contest(), self.repetitions)

    def measurement_s(self) -> float:
        """For so long requests come."""
        return self._span_s()

    def measure(self, collect: Collector) -> None:
        """The series in turn, and then each traced."""

        def sample(head: str, case: str, repetition: int, jobs: Jobs, result: Result) -> None:
            rounds.sample_latencies(collect, head, repetition, result)
            for name, count in result.counts.items():
                if self.most_waiting and name == "report" and count.asked:
                    refused = 100 * (count.refused + count.dropped) / count.asked
                    collect.sample(f"{head}/report refused", repetition, refused, "%", count.asked)

        def draw(arena: Arena, number: int) -> dict[str, Jobs]:
            return {"": arena.contest.draw(self.workload(number))}

        rounds.measure(self.contest(), draw, self.repetitions, collect, sample)
