# SPDX-License-Identifier: MIT
"""The benchmark suite's own C workloads from Python; `bench.h` describes them.

Like `labkit.native.engine`, whose threads, stop and errors these share.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labkit.native import checks, engine

try:
    from labkit.native._engine import ffi, lib
except ImportError:  # as in `engine`
    ffi = lib = None


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The threads that answer requests, and what computes beside them.

    Attributes:
        umcg: workers over servers; else plain threads under the kernel's scheduler.
        workers: threads for requests: many for one a request, few for a pool.
        servers: of the UMCG crew.
        batch: further threads that compute all the time.
        policy: UMCG: which runs next, as in `engine.load`. Threads for requests have priority 1,
            the batch priority 0, class 1 and tenant 1.
        nice: of the threads for requests; `batch_nice` of the others.
        batch_nice: see `nice`.
        fifo: SCHED_FIFO priority of the threads for requests; 0: none.
        cgroup: descriptor of the `cgroup.threads` that these threads enter; -1: none.
        batch_cgroup: the same for batch.
    """

    umcg: bool
    workers: int
    servers: int = 0
    batch: int = 0
    policy: str = "fifo"
    nice: int = 0
    batch_nice: int = 0
    fifo: int = 0
    cgroup: int = -1
    batch_cgroup: int = -1


@dataclass(frozen=True)
class Answers:
    """What became of the requests.

    Attributes:
        latency_ns: of each answered request, from its arrival to its answer.
        elapsed_ns: from the first possible arrival to the last answer.
        cpu_ns: CPU time of crew, batch and the scheduler together.
        batch_ops: batch operations finished meanwhile.
        preempts: preemptions asked for and accepted.
    """

    latency_ns: npt.NDArray[np.int64]
    elapsed_ns: int
    cpu_ns: int
    batch_ops: int
    preempts: int


def _check_crew(crew: Crew) -> None:
    checks.whole(1, checks.MOST_THREADS, workers=crew.workers)
    checks.whole(int(crew.umcg), checks.MOST_THREADS, servers=crew.servers)
    checks.whole(0, checks.MOST_THREADS, batch=crew.batch)
    checks.whole(-20, 19, nice=crew.nice, batch_nice=crew.batch_nice)
    checks.whole(0, 99, fifo=crew.fifo)
    checks.whole(-1, 2**31 - 1, cgroup=crew.cgroup, batch_cgroup=crew.batch_cgroup)


def _is_endless(policy: str) -> bool:
    """Does this policy of ours let a worker run until it blocks?"""
    name, _, options = policy.partition(":")
    return name in ("fifo", "lifo", "edf") or (name == "priority" and "slice_us" not in options)


def requests(
    crew: Crew,
    *,
    arrival_ns: npt.NDArray[np.uint64],
    service_us: npt.NDArray[np.float64],
    cpus: Sequence[int],
    client_cpu: int | None,
    priority: npt.NDArray[np.int32] | None = None,
    deadline_ns: npt.NDArray[np.uint64] | None = None,
    batch_us: float = 100.0,
    stop: threading.Event | None = None,
    watch: engine.Watcher | None = None,
) -> Answers:
    """Send requests to a crew at given times, whether earlier ones are answered or not.

    Args:
        crew: the threads that answer.
        arrival_ns: when each arrives, ascending.
        service_us: computing that each asks for.
        cpus: where the crew, batch and servers stay.
        client_cpu: where the client and what ends slices stay; None: wherever.
        priority: UMCG: of each; None: 1.
        deadline_ns: UMCG: of each, after its arrival, 0: none; None: none has one.
        batch_us: computing of one batch operation.
        stop: ends the measurement when set.
        watch: called about twenty times a second with the progress.

    Raises:
        ValueError: an argument is not allowed; or UMCG with batch and a policy without slices:
            nothing would take batch off its server.
        NoPolicy: there is no such policy or option.
        PolicyFault: the policy is wrong.
        EngineError: a system call failed.
        Stopped: `stop` was set.
    """
    if crew.umcg and crew.batch and _is_endless(crew.policy):
        raise ValueError(
            f"batch beside a UMCG crew never gives its server back under {crew.policy}: "
            "give a policy with slices, such as rr or priority:slice_us=2000"
        )
    _check_crew(crew)
    checks.cpus(cpus, needed=crew.umcg)
    checks.cpus(() if client_cpu is None else (client_cpu,))
    checks.times(1e-6, batch_us=batch_us)
    arrival, service = np.asarray(arrival_ns), np.asarray(service_us)
    count = arrival.size
    if arrival.ndim != 1 or service.shape != arrival.shape or not count:
        raise ValueError(
            f"arrival_ns is {arrival.shape}, service_us {service.shape}; give one or more requests "
            "with a time of arrival and of service each"
        )
    if (arrival < 0).any() or (np.diff(arrival.astype(np.float64)) < 0).any():
        raise ValueError("arrival_ns is not ascending from 0 on")
    if not np.isfinite(service).all() or (service < 0).any():
        raise ValueError("service_us has values that are no times; give numbers from 0 on")
    turns = np.maximum(1, np.round(service * engine.turns_per_us())).astype(np.uint64)
    latency = np.full(count, -1, np.int64)
    arrival = np.ascontiguousarray(arrival, np.uint64)
    spec = ffi.new("struct lab_requests *")
    spec.crew = lib.LAB_CREW_UMCG if crew.umcg else lib.LAB_CREW_THREADS
    spec.workers, spec.batch = crew.workers, crew.batch
    spec.servers = crew.servers if crew.umcg else 0
    spec.nr_cpus = _cpus(spec.cpus, cpus)
    spec.client_cpu = -1 if client_cpu is None else client_cpu
    spec.requests = count
    spec.arrival_ns = ffi.cast("uint64_t *", ffi.from_buffer(arrival))
    spec.turns = ffi.cast("uint64_t *", ffi.from_buffer(turns))
    told = []
    for name, kind, values in (
        ("priority", "int32_t *", priority),
        ("deadline_ns", "uint64_t *", deadline_ns),
    ):
        if values is None:
            continue
        if values.shape != arrival.shape:
            raise ValueError(f"{name} is {values.shape}; give one for each of {count} requests")
        told.append(np.ascontiguousarray(values, kind.split("_t")[0]))
        setattr(spec, name, ffi.cast(kind, ffi.from_buffer(told[-1])))
    spec.latency_ns = ffi.cast("int64_t *", ffi.from_buffer(latency))
    spec.batch_turns = engine.turns(batch_us)
    kept = engine.choose(spec.policy, crew.policy)
    spec.nice, spec.batch_nice, spec.fifo = crew.nice, crew.batch_nice, crew.fifo
    spec.cgroup, spec.batch_cgroup = crew.cgroup, crew.batch_cgroup
    threads = crew.workers + crew.batch + spec.servers + 2
    engine.measure(engine.Room(threads), lambda run: lib.lab_requests(run, spec), stop, watch)
    del kept, told
    return Answers(
        latency[latency >= 0],
        int(spec.elapsed_ns),
        int(spec.cpu_ns),
        int(spec.batch_ops),
        int(spec.preempts),
    )


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


def park(threads: int, *, umcg: bool, look: Callable[[], None]) -> None:
    """Make `threads` threads that wait; call `look` once when all do; let them go.

    Raises:
        ValueError: an argument is not allowed; says what is.
        EngineError: a thread or registration failed.
    """
    checks.whole(1, checks.MOST_THREADS, threads=threads)
    stop = threading.Event()

    def watch(progress: engine.Progress) -> None:
        if progress.ops == threads and not stop.is_set():
            look()
            stop.set()

    with contextlib.suppress(engine.Stopped):
        engine.measure(
            engine.Room(threads), lambda run: lib.lab_park(run, threads, umcg), stop, watch
        )


def ring(
    *,
    umcg: bool,
    workers: int,
    servers: int,
    tokens: int,
    cpus: Sequence[int],
    duration_s: float,
    policy: str = "fifo",
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
    kept = engine.choose(spec.policy, policy)
    threads = workers + spec.servers + 1
    engine.measure(engine.Room(threads), lambda run: lib.lab_ring(run, spec), stop, watch)
    del kept
    return int(spec.hops), int(spec.elapsed_ns)


def interrupt(
    *, cpu: int, sender_cpu: int, count: int, stop: threading.Event | None = None
) -> npt.NDArray[np.int64]:
    """Interrupt a thread that computes with a signal; ns from sending it to its handler.

    Args:
        cpu: where it computes, alone.
        sender_cpu: where the sender is.
        count: how often.
        stop: ends the measurement when set.

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
    engine.measure(engine.Room(2), lambda run: lib.lab_interrupt(run, spec), stop, None)
    return latency


def _cpus(field: object, cpus: Sequence[int]) -> int:
    for index, cpu in enumerate(cpus):
        field[index] = cpu  # type: ignore[index]
    return len(cpus)
