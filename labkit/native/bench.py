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

from labkit.native import checks, engine, serving

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
    policy: str | engine.Own = "fifo"
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
    _check_crew(crew)
    checks.times(1e-6, batch_us=batch_us)
    groups = [
        serving.Group(
            threads=crew.workers, priority=1, nice=crew.nice, fifo=crew.fifo, cgroup=crew.cgroup
        )
    ]
    if crew.batch:
        groups.append(
            serving.Group(
                threads=crew.batch,
                endless=True,
                tenant=1,
                nice=crew.batch_nice,
                cgroup=crew.batch_cgroup,
            )
        )
    served = serving.serve(
        groups,
        serving.Requests(
            arrival_ns=np.asarray(arrival_ns),
            service_us=np.asarray(service_us),
            priority=priority,
            deadline_ns=deadline_ns,
        ),
        policy=crew.policy if crew.umcg else None,
        servers=crew.servers,
        cpus=cpus,
        client_cpu=client_cpu,
        endless_us=batch_us,
        stop=stop,
        watch=watch,
    )
    return Answers(
        served.latency_ns[served.latency_ns >= 0],
        served.elapsed_ns,
        served.cpu_ns,
        served.group_ops[1] if crew.batch else 0,
        served.preempts,
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
