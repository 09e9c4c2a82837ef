# SPDX-License-Identifier: MIT
"""wake: a crowd is woken at once; when does each of it run, over one to several servers?"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import numpy as np

from labkit.experiments.common import (
    Collector,
    ProgressCallback,
    Spec,
    SpecError,
    conduct,
    first_cpus,
    latencies,
)
from labkit.native import engine
from labkit.run import Run

HOWS = ("futex", "umcg")


@dataclass(frozen=True, kw_only=True)
class WakeSpec(Spec):
    """What `wake` measures.

    Attributes:
        hows: what the crowd waits in: `futex` (the kernel wakes: wake detection and idle list),
            `umcg` (umcg_wait and umcg_wake, UMCG series only).
        workers: the crowd, 1 to 512.
        servers: numbers of servers to try, each 1 to 64. A series runs on as many CPUs as it has
            servers, or on all when there are fewer: its name then says on how many.
        storms: wake-ups of the whole crowd in one value, 1 to 10000.
        pause_us: between "all arrived" and the next storm, 50 to 1000000 microseconds: time to
            fall asleep.
        repetitions: values for each series, 1 to 1000; the series alternate.
    """

    experiment = "wake"
    choices: ClassVar = {"hows": HOWS}
    limits: ClassVar = {
        "workers": (1, 512),
        "storms": (1, 10_000),
        "pause_us": (50, 1_000_000),
        "repetitions": (1, 1000),
    }

    hows: tuple[str, ...] = HOWS
    workers: int = 16
    servers: tuple[int, ...] = (1, 2, 4)
    storms: int = 20
    pause_us: float = 300.0
    repetitions: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        servers = self.servers
        if isinstance(servers, int) or not servers:
            raise SpecError(f"servers is {servers!r}; give one or more numbers of servers")
        for count in servers:
            if not isinstance(count, int) or not 1 <= count <= 64:
                raise SpecError(f"servers: {count!r} is not allowed; each is 1 to 64")
        object.__setattr__(self, "servers", tuple(servers))


class _Series(NamedTuple):
    umcg: bool
    how: str
    servers: int


def _series(spec: WakeSpec) -> dict[str, _Series]:
    series = {}
    for servers in spec.servers:
        places = len(first_cpus(servers))
        over = f"{servers} servers" + (f" on {places} cpus" if places < servers else "")
        for how in spec.hows:
            if engine.enabled():
                series[f"umcg-{how}/{over}"] = _Series(True, how, servers)
        series.setdefault(f"futex/{places} cpus", _Series(False, "futex", places))
    return series


def run(
    spec: WakeSpec,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Measure. Series `umcg-futex/N servers`, `umcg-umcg/N servers`, baseline `futex/N cpus`.

    Samples in `ns` from the wake-up call until a woken thread runs in user mode: of `SERIES` the
    median over threads and storms, of `SERIES/last` the median over storms of the last one's; `n`
    wake-ups. Counters `SERIES:probe_cost`: time of the same storms traced over untraced.

    A woken thread is switched to and runs. A worker that the kernel woke is switched to, goes to
    the idle list and wakes its server, which runs it and is back when it blocks again: four
    switches where the thread has one. From `umcg` it goes to the list without running: two.

    Raises:
        EngineError: a system call failed.
    """
    series = _series(spec)
    measure = partial(_measure, spec, series)
    return conduct(spec, len(series) * (spec.repetitions + 1), measure, progress, stop)


def _once(spec: WakeSpec, series: _Series, collect: Collector, events: int) -> engine.Outcome:
    return engine.load(
        "storm-wait" if series.how == "umcg" else "storm-futex",
        umcg=series.umcg,
        workers=spec.workers,
        servers=series.servers if series.umcg else 0,
        cpus=first_cpus(series.servers),
        max_ops=spec.storms,
        idle_us=spec.pause_us,
        events=events,
        stop=collect.stop,
        watch=collect.watch,
    )


def _measure(spec: WakeSpec, series: dict[str, _Series], collect: Collector) -> None:
    # A server's ring takes the events of everybody it runs: up to six a wake-up.
    room = 8 * (spec.storms + 2) * spec.workers
    for repetition in range(spec.repetitions):
        for name, what in series.items():
            collect.begin(name)
            outcome = _once(spec, what, collect, room)
            late = latencies(outcome, "op")
            full = late[: len(late) // spec.workers * spec.workers]
            if len(full):
                last = np.median(full.reshape(-1, spec.workers).max(axis=1))
                collect.sample(name, repetition, float(np.median(full)), "ns", len(full))
                collect.sample(f"{name}/last", repetition, float(last), "ns", len(full))
            if repetition == 0:
                collect.trace(name, outcome)
                collect.counters[f"{name}:probe_cost"] = float(outcome.values["elapsed_ns"])
            collect.end()
    for name, what in series.items():
        collect.begin(f"{name} (untraced)")
        outcome = _once(spec, what, collect, 0)
        collect.counters[f"{name}:probe_cost"] /= outcome.values["elapsed_ns"]
        collect.end()
