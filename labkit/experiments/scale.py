# SPDX-License-Identifier: MIT
"""scale: what a wait and a wake-up cost among many threads, over one to several servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Unpack

from labkit.experiments import policy as policies
from labkit.experiments.common import Collector, first_cpus
from labkit.experiments.spec import POLICY, REPETITIONS, Spec, param
from labkit.names import counted
from labkit.native import engine, threads

#: How many times as long a ring is given that has not hopped once, as on a busy machine.
_PATIENCE = (1, 10, 100)


class _Series(NamedTuple):
    umcg: bool
    workers: int
    servers: int


@dataclass(frozen=True, kw_only=True)
class ScaleSpec(Spec):
    """What a wait and a wake-up cost among many threads, over one to several servers.

    Threads stand in a ring and wait; a thread that is woken wakes the next and waits again, which
    is a hop. Twice as many hops are under way as there are servers. Series `umcg/N on M servers`
    (N workers, `umcg_wait` and `umcg_wake`) and `pthread/N on M cpus` (N threads, futex). Samples
    in `ns/hop`; `n` hops. Nothing is traced: there is no timeline.
    """

    experiment = "scale"
    question = "Does a wake-up cost more among many threads than among few?"
    place = 8
    baselines = ("pthread",)
    operations = "hops"

    workers: tuple[int, ...] = param(
        (1, 10, 100, 1000), "numbers of threads in the ring to try", limits=(1, 50_000), free=True
    )
    servers: tuple[int, ...] = param(
        (1, 2),
        "numbers of servers to try. More than there are CPUs take turns on them; threads are tried "
        "on as many CPUs as there are",
        limits=(1, 64),
        free=True,
    )
    value_ms: float = param(
        100.0,
        "each value is measured for so long, and longer only where nothing happened",
        limits=(1, 10_000),
        measuring=True,
    )
    repetitions: int = param(7, REPETITIONS, limits=(1, 1000), measuring=True, free=True)
    policy: str = param("fifo", POLICY, policy=True)

    def measurements(self) -> int:
        """Each series' repetitions."""
        return len(self.series()) * self.repetitions

    def measurement_s(self) -> float:
        """A quarter of the time goes by before it counts."""
        return 1.25 * self.value_ms / 1e3

    def series(self) -> dict[str, _Series]:
        """What each series is, by its name."""
        series = {}
        for workers in self.workers:
            for servers in self.servers:
                crowd = (workers, servers)
                if engine.enabled():
                    over = counted(servers, "server")
                    series[f"umcg/{workers} on {over}"] = _Series(True, *crowd)
                if servers == len(first_cpus(servers)):
                    on = counted(servers, "cpu")
                    series[f"pthread/{workers} on {on}"] = _Series(False, *crowd)
        return series

    def once(
        self,
        name: str,
        **hooks: Unpack[engine.Hooks],
    ) -> tuple[int, int]:
        """The hops of one value of a series, and the ns they took; 0: none in all that time."""
        umcg, workers, servers = self.series()[name]
        for times in _PATIENCE:
            hops, ns = threads.ring(
                umcg=umcg,
                workers=workers,
                servers=servers,
                tokens=min(workers, 2 * servers),
                cpus=first_cpus(servers),
                duration_s=self.value_ms / 1e3 * times,
                policy=policies.check("policy", self.policy),
                **hooks,
            )
            if hops:
                break
        return hops, ns

    def measure(self, collect: Collector) -> None:
        """The series in turn."""
        for repetition in range(self.repetitions):
            for name in self.series():
                collect.begin(name)
                hops, ns = self.once(name, **collect.hooks)
                if hops:
                    collect.sample(name, repetition, ns / hops, "ns/hop", hops)
                collect.end()
