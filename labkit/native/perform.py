# SPDX-License-Identifier: MIT
"""A workload by its description on this kernel's threads; `perform.h` describes it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.native import checks, engine

try:
    from labkit.native._engine import ffi, lib
except ImportError:  # as in `engine`
    ffi = lib = None

#: One job that is over (`struct lab_job`); times in ns after the begin.
JOB_DTYPE = np.dtype(
    [
        *(("arrived", "i8"), ("began", "i8"), ("ended", "i8"), ("number", "u8")),
        *(("tid", "i4"), ("klass", "u2"), ("dropped", "u2")),
    ]
)


@dataclass
class Performance:
    """What became of a workload.

    Attributes:
        jobs: those that are over, `JOB_DTYPE`, in the order of their ends.
        come: how many ended, also beyond the room for them.
        threads: of each class.
        outcome: threads and, if it was traced, events; first the threads of the classes, in order.
            `values`: `elapsed_ns`, `preempts`, `helpers_ns`.
    """

    jobs: npt.NDArray[np.void]
    come: int
    threads: tuple[int, ...]
    outcome: engine.Outcome


def threads_of(description: int, classes: int) -> tuple[int, ...]:
    """How many threads each class needs.

    Raises:
        ValueError: together more than this machine is asked for.
    """
    engine._need()
    found = [
        int(lib.lab_perform_threads(description, number, checks.MOST_THREADS))
        for number in range(classes)
    ]
    if sum(found) > checks.MOST_THREADS:
        raise ValueError(
            f"the workload needs more than {checks.MOST_THREADS:,} threads; give its classes"
            " threads, fewer jobs or a shorter duration"
        )
    return tuple(found)


def perform(
    description: int,
    classes: int,
    *,
    umcg: bool,
    servers: int,
    cpus: Sequence[int],
    client_cpu: int | None,
    policy: str | engine.Own = "fifo",
    watchdog_s: float = 0.0,
    seed: int = 0,
    file: int = -1,
    events: int = 0,
    server_events: int = 0,
    room: int = 1_000_000,
    stop: threading.Event | None = None,
    watch: engine.Watcher | None = None,
) -> Performance:
    """Carry out what a description says.

    Args:
        description: address of a `struct sim_spec`, which has to stay.
        classes: how many it has.
        umcg: threads are workers over servers; or plain threads.
        servers: UMCG only; server i stays on the i-th of `cpus`.
        cpus: where threads and servers stay; empty: wherever.
        client_cpu: where the one stays that lets jobs come; None: wherever.
        policy: UMCG: who runs next, as in `engine.load`.
        watchdog_s: see `engine.load`.
        seed: of the policy's random numbers.
        file: an open file of pages to fault on; see `engine.load`.
        events: room for so many events a thread; 0: no tracing.
        server_events: the same of each server.
        room: for so many jobs.
        stop: ends it when set.
        watch: called about twenty times a second with the progress.

    Raises:
        ValueError: an argument is not allowed; says what is.
        NoPolicy, PolicyFault, EngineError, Stopped: as `engine.load`.
    """
    threads = threads_of(description, classes)
    checks.whole(int(umcg), checks.MOST_THREADS, servers=servers)
    checks.cpus(cpus)
    checks.cpus(() if client_cpu is None else (client_cpu,))
    checks.whole(0, 2**32 - 1, events=events, server_events=server_events)
    checks.whole(1, 2**32, room=room)
    jobs = np.zeros(room, JOB_DTYPE)
    spec = ffi.new("struct lab_perform *")
    spec.description, spec.turns_per_ns = description, engine.turns_per_us() / 1e3
    spec.umcg, spec.servers = umcg, servers if umcg else 0
    spec.nr_cpus = len(cpus)
    for index, cpu in enumerate(cpus):
        spec.cpus[index] = cpu
    spec.client_cpu = -1 if client_cpu is None else client_cpu
    spec.file = file
    spec.jobs = ffi.cast("struct lab_job *", ffi.from_buffer(jobs))
    spec.room = room
    need = engine.Room(sum(threads) + 1, events, spec.servers, server_events if events else 0)
    with engine.choose(spec.policy, policy, watchdog_s, seed) as host:
        outcome = engine.measure(
            need, lambda run: int(lib.lab_perform(run, spec)), stop, watch, host
        )
    outcome.values = {
        name: int(getattr(spec, name)) for name in ("elapsed_ns", "preempts", "helpers_ns")
    }
    return Performance(jobs[: spec.done].copy(), int(spec.done), threads, outcome)
