# SPDX-License-Identifier: MIT
"""block: M workers over N servers in calls that block, beside M threads on N CPUs."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from labkit.experiments.common import (
    Collector,
    ProgressCallback,
    Spec,
    conduct,
    first_cpus,
    latencies,
)
from labkit.native import engine
from labkit.run import Run
from labkit.trace.errors import WriteFailed

WORKS = ("sleep", "pipe", "socketpair", "lock", "fault", "mixed")
_PAGE = 4096
#: Pages of the file for each worker; at the most so many for all of them.
_OWN_PAGES, _MOST_PAGES = 64, 4096


@dataclass(frozen=True, kw_only=True)
class BlockSpec(Spec):
    """What `block` measures.

    Attributes:
        works: what an operation does after computing: `sleep`; `pipe`, `socketpair` (a device
            answers after `idle_us`); `lock` (half of the computing under one futex lock); `fault`
            (a page of a file that left memory); `mixed` (sleep, one operation in ten computes ten
            times as long).
        workers: threads that work, 1 to 512.
        servers: servers of the UMCG series and CPUs of both, 1 to the machine's CPUs.
        busy_us: computing of one operation, 0 to 100000 microseconds.
        idle_us: sleep or device latency, 10 to 1000000 microseconds.
        duration_s: each value, 0.01 to 60 seconds.
        repetitions: values for each series, 1 to 1000; the series alternate.
        events: room for events of each thread in the traced measurement, 0 (none) to 1000000.
    """

    experiment = "block"
    choices: ClassVar = {"works": WORKS}
    limits: ClassVar = {
        "workers": (1, 512),
        "servers": (1, 64),
        "busy_us": (0, 100_000),
        "idle_us": (10, 1_000_000),
        "duration_s": (0.01, 60),
        "repetitions": (1, 1000),
        "events": (0, 1_000_000),
    }

    works: tuple[str, ...] = ("sleep", "pipe", "fault")
    workers: int = 8
    servers: int = 1
    busy_us: float = 100.0
    idle_us: float = 1000.0
    duration_s: float = 0.2
    repetitions: int = 5
    events: int = 4000


@contextmanager
def _pages(count: int) -> Iterator[int]:
    """A file of `count` pages on the disk, not only in memory.

    Raises:
        WriteFailed: there is no room for it.
    """
    with tempfile.TemporaryFile() as file:
        try:
            file.write(os.urandom(count * _PAGE))
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise WriteFailed(
                error.errno,
                f"cannot write {count * _PAGE >> 10} KiB of pages to fault on in "
                f"{tempfile.gettempdir()}: {error.strerror}; free space or set TMPDIR",
            ) from error
        yield file.fileno()


def run(
    spec: BlockSpec,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Measure. Series `umcg/WORK` and `pthread/WORK`; samples of each:

    - `op/s`: finished operations a second; `n` operations
    - `cpu`: CPUs kept busy by workers and servers together, 0 to N; `n` operations
    - `ns`: of `SERIES/detection` (UMCG only): median time from the call that blocks to the server
      running again; `n` blocks

    Counters `SERIES:probe_cost`: untraced over traced throughput.

    Raises:
        EngineError: a system call failed.
        WriteFailed: no room for the file whose pages fault.
    """
    backends = ("umcg", "pthread") if engine.enabled() else ("pthread",)
    series = {f"{b}/{work}": (b == "umcg", work) for work in spec.works for b in backends}
    own = min(_OWN_PAGES, _MOST_PAGES // spec.workers) if "fault" in spec.works else 1
    with _pages(spec.workers * own) as file:
        measure = partial(_measure, spec, series, file)
        return conduct(spec, len(series) * (spec.repetitions + 1), measure, progress, stop)


def _once(
    spec: BlockSpec, umcg: bool, work: str, collect: Collector, file: int, events: int
) -> engine.Outcome:
    return engine.load(
        work,
        umcg=umcg,
        workers=spec.workers,
        servers=spec.servers if umcg else 0,
        cpus=first_cpus(spec.servers),
        duration_s=spec.duration_s,
        busy_us=spec.busy_us,
        idle_us=spec.idle_us,
        file=file,
        events=events,
        stop=collect.stop,
        watch=collect.watch,
    )


def operations(outcome: engine.Outcome) -> int:
    """Operations finished by workers or threads (a server's count is of turns)."""
    return sum(task.ops for task in outcome.tasks if task.role != "server")


def _measure(
    spec: BlockSpec, series: dict[str, tuple[bool, str]], file: int, collect: Collector
) -> None:
    rates: dict[str, list[float]] = {name: [] for name in series}
    for repetition in range(spec.repetitions):
        for name, (umcg, work) in series.items():
            collect.begin(name)
            outcome = _once(spec, umcg, work, collect, file, 0)
            ops, ns = operations(outcome), outcome.values["elapsed_ns"]
            used = sum(task.cpu_ns for task in outcome.tasks)
            collect.sample(name, repetition, ops * 1e9 / ns, "op/s", ops)
            collect.sample(name, repetition, used / ns, "cpu", ops)
            rates[name].append(ops * 1e9 / ns)
            collect.end()
    for name, (umcg, work) in series.items():
        if not spec.events:
            break
        collect.begin(f"{name} (traced)")
        outcome = _once(spec, umcg, work, collect, file, spec.events)
        collect.trace(name, outcome)
        rate = operations(outcome) * 1e9 / outcome.values["elapsed_ns"]
        collect.counters[f"{name}:probe_cost"] = float(np.median(rates[name])) / max(rate, 1e-9)
        if umcg:
            _detection(name, outcome, collect)
        collect.end()


def _detection(name: str, outcome: engine.Outcome, collect: Collector) -> None:
    late = latencies(outcome, "block")
    late = late[late > 0]
    if len(late):
        collect.sample(f"{name}/detection", 0, float(np.median(late)), "ns", len(late))
