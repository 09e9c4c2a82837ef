# SPDX-License-Identifier: MIT
"""wake: a crowd is woken at once; when does each of it run, over one to several servers?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt

from labkit.experiments import policy as policies
from labkit.experiments.common import Collector, first_cpus, latencies
from labkit.experiments.spec import POLICY, REPETITIONS, Spec, param
from labkit.names import counted
from labkit.native import engine

HOWS = ("futex", "umcg")


class _Series(NamedTuple):
    umcg: bool
    pass_on: bool
    how: str
    servers: int


@dataclass(frozen=True, kw_only=True)
class WakeSpec(Spec):
    """A crowd is woken at once; when does each of it run, over one to several servers?

    Series `umcg-futex/N servers`, `umcg-umcg/N servers`, the same as `umcg-futex-pass-on` and
    `umcg-umcg-pass-on` (see `told`), baseline `futex/N cpus`. Samples in `ns` from the wake-up call
    until a woken thread runs in user mode: of `SERIES` the median over threads and storms, of
    `SERIES/last` the median over storms of the last one's; `n` wake-ups. Counters
    `SERIES:probe_cost`: time of the same storms traced over untraced.

    A woken thread is switched to and runs. A worker that the kernel woke is switched to, goes to
    the idle list and wakes its server, which runs it and is back when it blocks again: four
    switches where the thread has one. From `umcg` it goes to the list without running: two. Where
    places pass on, the server has no part in it while no other worker is ready.
    """

    experiment = "wake"
    question = "How long does it take until woken threads run, one or many at once?"
    place = 2
    baselines = ("futex",)
    grows_with = "workers, storms or servers"
    operations = "wake-ups"
    demo: ClassVar = {"servers": (1, 2), "storms": 10, "repetitions": 5}

    hows: tuple[str, ...] = param(
        HOWS,
        "what the crowd waits in: futex (the kernel wakes: wake detection and idle list), umcg "
        "(umcg_wait and umcg_wake, UMCG series only)",
        choices=HOWS,
    )
    workers: int = param(16, "the crowd", limits=(1, 512))
    servers: tuple[int, ...] = param(
        (1, 2, 4),
        "numbers of servers to try. A series runs on as many CPUs as it has servers, or on all "
        "when there are fewer: its name then says on how many",
        limits=(1, 64),
    )
    storms: int = param(20, "wake-ups of the whole crowd in one value", limits=(1, 10_000))
    pause_us: float = param(
        300.0,
        'between "all arrived" and the next storm: time to fall asleep',
        limits=(50, 1_000_000),
    )
    repetitions: int = param(7, REPETITIONS, limits=(1, 1000), measuring=True, free=True)
    told: tuple[str, ...] = param(
        tuple(policies.TOLD), policies.TOLD_HELP, choices=tuple(policies.TOLD)
    )
    policy: Any = param("fifo", POLICY, policy=True)

    def room(self) -> engine.Room:
        """Blocked, woken, done: three rows a storm; one more may be under way at the end."""
        return engine.load_room(self.workers, max(self.servers), 3 * (self.storms + 2) + 2)

    def measurements(self) -> int:
        """Each series' repetitions, and one that is not traced."""
        return len(self.series()) * (self.repetitions + 1)

    def measurement_s(self) -> float:
        """The pauses between its storms."""
        return self.storms * self.pause_us / 1e6

    def series(self) -> dict[str, _Series]:
        """What each series is, by its name."""
        series = {}
        ways = policies.ways(self.told, self.policy)
        for servers in self.servers:
            places = len(first_cpus(servers))
            on, over = counted(places, "cpu"), counted(servers, "server")
            if places < servers:
                over += f" on {on}"
            for how in self.hows:
                for way, pass_on in ways.items():
                    series[f"umcg-{how}{way}/{over}"] = _Series(True, pass_on, how, servers)
            series.setdefault(f"futex/{on}", _Series(False, False, "futex", places))
        return series

    def once(
        self,
        name: str,
        *,
        events: int = 0,
        **hooks: Unpack[engine.Hooks],
    ) -> engine.Outcome:
        """The storms of one value of a series; `events`: room for a trace."""
        series = self.series()[name]
        return engine.load(
            "storm-wait" if series.how == "umcg" else "storm-futex",
            umcg=series.umcg,
            workers=self.workers,
            servers=series.servers if series.umcg else 0,
            cpus=first_cpus(series.servers),
            max_ops=self.storms,
            idle_us=self.pause_us,
            policy=policies.check("policy", self.policy),
            pass_on=series.pass_on,
            events=events,
            **hooks,
        )

    def storms_of(self, outcome: engine.Outcome) -> npt.NDArray[np.int64]:
        """ns from each wake-up until that thread ran: a row a storm, a column a thread.

        Of a traced measurement; the last storm may be incomplete, and is left out.
        """
        late = latencies(outcome, "op")
        full: npt.NDArray[np.int64] = late[: len(late) // self.workers * self.workers]
        return full.reshape(-1, self.workers)

    def measure(self, collect: Collector) -> None:
        """The series in turn, all traced, and then each untraced."""
        series = self.series()
        room = self.room().events
        for repetition in range(self.repetitions):
            for name in series:
                collect.begin(name)
                outcome = self.once(name, events=room, **collect.hooks)
                late = self.storms_of(outcome)
                if late.size:
                    last = float(np.median(late.max(axis=1)))
                    collect.sample(name, repetition, float(np.median(late)), "ns", late.size)
                    collect.sample(f"{name}/last", repetition, last, "ns", late.size)
                if not series[name].pass_on:
                    collect.trace(name, outcome, keep=repetition == 0)
                if repetition == 0:
                    collect.counters[f"{name}:probe_cost"] = float(outcome.values["elapsed_ns"])
                collect.end()
        for name in series:
            collect.begin(f"{name} (untraced)")
            outcome = self.once(name, **collect.hooks)
            collect.counters[f"{name}:probe_cost"] /= outcome.values["elapsed_ns"]
            collect.end()
