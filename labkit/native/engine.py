# SPDX-License-Identifier: MIT
"""The C engine from Python: start a measurement, watch it, stop it, take its data.

The engine runs in a thread of its own without the interpreter lock; this thread looks at its
progress and ends it when asked to, or when it is itself interrupted.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from labkit.native._engine import ffi, lib

#: One row of the event table as the engine writes it (`struct lab_event`).
EVENT_DTYPE = np.dtype(
    {
        "names": ["t", "arg", "tid", "peer", "flags", "cpu", "kind", "old", "new"],
        "formats": ["i8", "i8", "i4", "i4", "i4", "i2", "u1", "u1", "u1"],
        "offsets": [0, 8, 16, 20, 24, 28, 30, 31, 32],
        "itemsize": 40,
    }
)

_NO_LIMIT = 2**64 - 1

ROLES = ("server", "worker", "thread", "basic")

METHODS = {
    "umcg-swap": lib.LAB_UMCG_SWAP,
    "umcg-wake-wait": lib.LAB_UMCG_WAKE_WAIT,
    "umcg-worker-swap": lib.LAB_UMCG_WORKER_SWAP,
    "umcg-server-worker": lib.LAB_UMCG_SERVER_WORKER,
    "futex": lib.LAB_FUTEX,
    "condvar": lib.LAB_CONDVAR,
    "pipe": lib.LAB_PIPE,
    "eventfd": lib.LAB_EVENTFD,
    "sched_yield": lib.LAB_SCHED_YIELD,
}

WORKS = {
    "spin": lib.LAB_WORK_SPIN,
    "sleep": lib.LAB_WORK_SLEEP,
    "pipe": lib.LAB_WORK_PIPE,
    "socketpair": lib.LAB_WORK_SOCKETPAIR,
    "lock": lib.LAB_WORK_LOCK,
    "fault": lib.LAB_WORK_FAULT,
    "mixed": lib.LAB_WORK_MIXED,
    "storm-futex": lib.LAB_WORK_STORM_FUTEX,
    "storm-wait": lib.LAB_WORK_STORM_WAIT,
}


class EngineError(RuntimeError):
    """A measurement failed in the engine; `str()` says what and why."""


class Stopped(Exception):
    """The measurement was asked to stop before it was complete."""


@dataclass(frozen=True)
class Progress:
    """What a running measurement is doing.

    Attributes:
        ops: finished operations (hand-offs) of all threads so far.
        live: threads at work.
        blocked: of those, how many are in a call that blocks.
    """

    ops: int
    live: int
    blocked: int


@dataclass(frozen=True)
class Task:
    """One thread that took part.

    Attributes:
        tid: its thread id.
        role: `server`, `worker`, `thread` or `basic`.
        ops: operations it finished.
        cpu_ns: CPU time it used between its start and its end.
        lost: events that did not fit its ring.
        urgent: it did urgent requests or, a server, finds places for those who do.
    """

    tid: int
    role: str
    ops: int
    cpu_ns: int
    lost: int
    urgent: bool


@dataclass
class Outcome:
    """What a measurement left behind.

    Attributes:
        tasks: the threads.
        events: their events, `EVENT_DTYPE`, by time.
        values: the measurement's own out fields by name.
    """

    tasks: list[Task]
    events: npt.NDArray[np.void]
    values: dict[str, int] = field(default_factory=dict)


Watcher = Callable[[Progress], None]


@cache
def enabled() -> bool:
    """Does the running kernel have our UMCG?"""
    return bool(lib.umcg_enabled())


@cache
def turns_per_us() -> float:
    """Turns of the engine's spin loop in a microsecond (measured once, takes milliseconds)."""
    return float(lib.lab_spin_rate())


def turns(us: float) -> int:
    """Turns of the spin loop that take `us` microseconds of an undisturbed CPU."""
    return max(0, round(us * turns_per_us()))


def swap(
    method: str,
    *,
    cpu: int | None,
    other_cpu: int | None = None,
    rounds: int = _NO_LIMIT,
    duration_s: float = 0.0,
    warmup: int = 0,
    events: int = 0,
    stop: threading.Event | None = None,
    watch: Watcher | None = None,
) -> Outcome:
    """Two threads hand one turn back and forth.

    Args:
        method: one of `METHODS`.
        cpu: both threads on this CPU; None: the kernel places them.
        other_cpu: with `cpu`: the second thread on this one; None: as the first.
        rounds: round trips to measure at the most; one is two switches.
        duration_s: seconds to measure, after a warm-up of a twentieth of them; 0: until `rounds`
            are done.
        warmup: round trips before the clock starts.
        events: room for so many events a thread; 0: no tracing.
        stop: ends the measurement when set.
        watch: called about twenty times a second with the progress, and once at the end.

    Returns:
        `values`: `rounds` done, `elapsed_ns` they took.

    Raises:
        EngineError: a system call failed.
        Stopped: `stop` was set.
    """
    spec = ffi.new("struct lab_swap *")
    spec.method = METHODS[method]
    spec.cpu = -1 if cpu is None else cpu
    spec.other_cpu = -1 if other_cpu is None else other_cpu
    spec.rounds, spec.warmup = rounds, warmup
    spec.duration_ns = round(duration_s * 1e9)
    outcome = measure(3, events, lambda run: lib.lab_swap(run, spec), stop, watch)
    outcome.values = {"rounds": int(spec.done), "elapsed_ns": int(spec.elapsed_ns)}
    return outcome


def load(
    work: str,
    *,
    umcg: bool,
    workers: int,
    servers: int = 0,
    urgent: int = 0,
    cpus: tuple[int, ...] = (),
    duration_s: float = 0.0,
    max_ops: int = 0,
    busy_us: float = 0.0,
    urgent_us: float = 0.0,
    idle_us: float = 0.0,
    slice_us: float = 0.0,
    file: int = -1,
    group: int = 0,
    events: int = 0,
    stop: threading.Event | None = None,
    watch: Watcher | None = None,
) -> Outcome:
    """Many threads work for a while, as UMCG workers over servers or as plain threads.

    Args:
        work: one of `WORKS`, what an ordinary worker does.
        umcg: over servers, or as plain threads.
        workers: how many threads work, `urgent` of them on urgent requests.
        servers: how many lend their place.
        urgent: see `workers`.
        cpus: all threads stay on these, server i on the i-th; empty: wherever.
        duration_s: seconds; 0: until `max_ops` or a stop.
        max_ops: end after so many storms or, in other works, soon after so many operations of all
            workers together; 0: no limit.
        busy_us: computing of one operation.
        urgent_us: computing of one urgent request.
        idle_us: sleep, device latency, or pause between storms.
        slice_us: preempt a worker that runs longer; 0: never.
        file: faults: an open file of at least `workers` pages; better dozens for each worker, which
            reads all of its own before it drops them from memory.
        group: make the workers for this group, whose servers are the caller's.
        events: room for so many events a thread.
        stop: ends the measurement when set.
        watch: called about twenty times a second with the progress, and once at the end.

    Returns:
        `values`: `elapsed_ns`, `preempts`.

    Raises:
        EngineError: a system call failed.
        Stopped: `stop` was set.
    """
    spec = ffi.new("struct lab_load *")
    spec.umcg, spec.work = umcg, WORKS[work]
    spec.workers, spec.servers, spec.urgent = workers, servers, urgent
    spec.nr_cpus = len(cpus)
    for index, cpu in enumerate(cpus):
        spec.cpus[index] = cpu
    spec.duration_ns = round(duration_s * 1e9)
    spec.max_ops = max_ops
    spec.busy_turns, spec.urgent_turns = turns(busy_us), turns(urgent_us)
    spec.idle_ns, spec.slice_ns = round(idle_us * 1e3), round(slice_us * 1e3)
    spec.file, spec.group = file, group
    # One more than asked for: the dispatcher of urgent work.
    outcome = measure(
        workers + servers + 1, events, lambda run: lib.lab_load(run, spec), stop, watch
    )
    outcome.values = {"elapsed_ns": int(spec.elapsed_ns), "preempts": int(spec.preempts)}
    return outcome


def measure(
    threads: int,
    events: int,
    body: Callable[[Any], int],
    stop: threading.Event | None,
    watch: Watcher | None,
) -> Outcome:
    """Make a run with room for `threads` threads and their events, and call `body` with it.

    `body` calls one of the engine's measurements: 0, or -1 with errno. `values` stay empty.

    Raises:
        EngineError: the measurement failed, or there is no memory for it.
        Stopped: `stop` was set.
    """
    # A short measurement would be over before anybody looked at `stop` again.
    if stop is not None and stop.is_set():
        raise Stopped
    run = lib.lab_new(threads, events)
    if run == ffi.NULL:
        raise EngineError(
            f"no memory for {threads} threads with {events} events each; ask for fewer"
        )
    try:
        stopped = _watch(run, body, stop, watch)
        if stopped:
            raise Stopped
        return _outcome(run)
    finally:
        lib.lab_free(run)


def _watch(
    run: Any, call: Callable[[Any], int], stop: threading.Event | None, watch: Watcher | None
) -> bool:
    """Run `call` in a thread, look at it meanwhile; was it stopped from outside?"""
    result: list[tuple[int, int]] = []
    claim, done = threading.Lock(), threading.Event()

    def body() -> None:
        if claim.acquire(blocking=False):
            code = call(run)
            result.append((code, ffi.errno))
            done.set()

    seen = ffi.new("struct lab_progress *")

    def look() -> None:
        if watch is not None:
            lib.lab_get_progress(run, seen)
            watch(Progress(seen.ops, seen.live, seen.blocked))

    stopped = False
    try:
        threading.Thread(target=body, name="labkit-engine").start()
        while not done.wait(0.05):
            if stop is not None and stop.is_set():
                stopped = True
                lib.lab_stop(run)
            look()
        # A short measurement is over before the first look.
        look()
    finally:
        # The caller frees the run: its threads must be gone, whatever interrupts us, as often as
        # it likes. Only a body that has not begun, and now never will, is not waited for.
        lib.lab_stop(run)
        while not claim.acquire(blocking=False) and not done.is_set():
            with suppress(KeyboardInterrupt):
                done.wait()
    code, number = result[0]
    if code:
        what = ffi.string(lib.lab_failure(run)).decode() or "start"
        name = errno.errorcode.get(number, str(number))
        raise EngineError(f"{what}: {os.strerror(number)} ({name})")
    return stopped


def _outcome(run: Any) -> Outcome:
    tasks = []
    parts = []
    info = ffi.new("struct lab_task *")
    for index in range(lib.lab_nr_tasks(run)):
        lib.lab_get_task(run, index, info)
        tasks.append(
            Task(info.tid, ROLES[info.role], info.ops, info.cpu_ns, info.lost, bool(info.urgent))
        )
        if info.nr_events:
            size = info.nr_events * EVENT_DTYPE.itemsize
            rows = np.frombuffer(ffi.buffer(lib.lab_get_events(run, index), size), EVENT_DTYPE)
            parts.append(rows.copy())  # the ring is freed with the run
    events = np.concatenate(parts) if parts else np.empty(0, EVENT_DTYPE)
    return Outcome(tasks, events[np.argsort(events["t"], kind="stable")])
