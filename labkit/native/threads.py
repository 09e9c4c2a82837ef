# SPDX-License-Identifier: MIT
"""What threads cost, from Python; `threads.h` describes it.

Like `labkit.native.engine`, whose threads, stop and errors these share.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from labkit.native import checks, engine

try:
    from labkit.native._engine import ffi, lib
except ImportError:  # as in `engine`
    ffi = lib = None


def spawn(
    *,
    umcg: bool,
    crowd: int,
    crowds: int,
    cpus: Sequence[int] = (),
    stop: threading.Event | None = None,
    watch: engine.Watcher | None = None,
) -> int:
    """Make `crowd` threads, join them, and that `crowds` times; the time it took in ns.

    Args:
        umcg: each thread registers as a worker and unregisters before it ends.
        crowd: threads that live at the same time.
        crowds: how often.
        cpus: where all of them stay; empty: wherever.
        stop: when set before, nothing is measured.
        watch: called about twenty times a second.

    Raises:
        ValueError: an argument is not allowed; says what is.
        EngineError: a thread or registration failed.
        Stopped: `stop` was set.
    """
    checks.whole(1, checks.MOST_THREADS, crowd=crowd)
    checks.whole(1, 2**63, crowds=crowds)
    checks.cpus(cpus)
    spec = ffi.new("struct lab_spawn *")
    spec.umcg, spec.crowd, spec.crowds = umcg, crowd, crowds
    spec.nr_cpus = _cpus(spec.cpus, cpus)
    engine.measure(engine.Room(1), lambda run: lib.lab_spawn(run, spec), stop, watch)
    return int(spec.elapsed_ns)


def park(
    threads: int,
    *,
    umcg: bool,
    look: Callable[[], None],
    stop: threading.Event | None = None,
    watch: engine.Watcher | None = None,
) -> None:
    """Make `threads` threads that wait; call `look` once when all do; let them go.

    Args:
        threads: how many.
        umcg: as workers in `umcg_wait`.
        look: what is to be done when all wait.
        stop: ends the measurement when set.
        watch: called about twenty times a second with the progress.

    Raises:
        ValueError: an argument is not allowed; says what is.
        EngineError: a thread or registration failed.
        Stopped: `stop` was set.
    """
    checks.whole(1, checks.MOST_THREADS, threads=threads)
    over = threading.Event()

    def watched(progress: engine.Progress) -> None:
        if watch:
            watch(progress)
        if stop is not None and stop.is_set():
            over.set()
        elif progress.ops == threads and not over.is_set():
            look()
            over.set()

    with contextlib.suppress(engine.Stopped):
        engine.measure(
            engine.Room(threads), lambda run: lib.lab_park(run, threads, umcg), over, watched
        )
    if stop is not None and stop.is_set():
        raise engine.Stopped


def ring(
    *,
    umcg: bool,
    workers: int,
    servers: int,
    tokens: int,
    cpus: Sequence[int],
    duration_s: float,
    policy: str | engine.Own = "fifo",
    stop: threading.Event | None = None,
    watch: engine.Watcher | None = None,
) -> tuple[int, int]:
    """Tokens go round a ring of threads; every hop is one wait and one wake-up.

    Args:
        umcg: as workers over `servers` servers.
        workers: threads in the ring.
        servers: UMCG only; server i stays on the i-th of `cpus`.
        tokens: threads that are awake at a time, at most.
        cpus: where the threads stay.
        duration_s: how long to count, in seconds, after all are there.
        policy: UMCG only: which runs next, as in `engine.load`.
        stop: ends the measurement when set.
        watch: called about twenty times a second with the progress.

    Returns:
        Hops, and the ns they took.

    Raises:
        ValueError: an argument is not allowed; says what is.
        EngineError: a thread could not be made or registered.
        Stopped: `stop` was set.
    """
    checks.whole(1, checks.MOST_THREADS, workers=workers)
    checks.whole(int(umcg), checks.MOST_THREADS, servers=servers)
    checks.whole(1, workers, tokens=tokens)
    checks.cpus(cpus, needed=umcg)
    checks.times(duration_s=duration_s)
    spec = ffi.new("struct lab_ring *")
    spec.umcg, spec.workers, spec.tokens = umcg, workers, tokens
    spec.servers = servers if umcg else 0
    spec.nr_cpus = _cpus(spec.cpus, cpus)
    spec.duration_ns = round(duration_s * 1e9)
    threads = workers + spec.servers + 1
    with engine.choose(spec.policy, policy) as host:
        room = engine.Room(threads)
        engine.measure(room, lambda run: lib.lab_ring(run, spec), stop, watch, host)
    return int(spec.hops), int(spec.elapsed_ns)


def interrupt(
    *,
    cpu: int,
    sender_cpu: int,
    count: int,
    stop: threading.Event | None = None,
    watch: engine.Watcher | None = None,
) -> npt.NDArray[np.int64]:
    """Interrupt a thread that computes with a signal; ns from sending it to its handler.

    Args:
        cpu: where it computes, alone.
        sender_cpu: where the sender is.
        count: how often.
        stop: ends the measurement when set.
        watch: called about twenty times a second with the progress.

    Raises:
        EngineError: a system call failed.
        Stopped: `stop` was set.
    """
    checks.whole(1, 2**31 - 1, count=count)
    checks.cpus((cpu, sender_cpu))
    latency = np.zeros(count, np.int64)
    spec = ffi.new("struct lab_interrupt *")
    spec.cpu, spec.sender_cpu, spec.count = cpu, sender_cpu, count
    spec.latency_ns = ffi.cast("int64_t *", ffi.from_buffer(latency))
    engine.measure(engine.Room(2), lambda run: lib.lab_interrupt(run, spec), stop, watch)
    return latency


def _cpus(field: object, cpus: Sequence[int]) -> int:
    for index, cpu in enumerate(cpus):
        field[index] = cpu  # type: ignore[index]
    return len(cpus)
