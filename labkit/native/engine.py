# SPDX-License-Identifier: MIT
"""The C engine from Python: start a measurement, watch it, stop it, take its data.

The engine runs in a thread of its own without the interpreter lock; this thread looks at its
progress and ends it when asked to, or when it is itself interrupted.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, Protocol, TypedDict

import numpy as np
import numpy.typing as npt

from labkit.native import checks

try:
    from labkit.native._engine import ffi as ffi
    from labkit.native._engine import lib as lib
except ImportError:  # not built, as where there is no Linux: what is saved can be looked at
    ffi = lib = None

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
_MOST_ROWS = 2**32 - 1

#: Rows of a worker's turn, whose server waited for work before it: the wait (2), the run (2),
#: why it is back (2), and that the worker was woken.
_TURN_ROWS = 7
#: Rows of one server, at most.
_MOST_SERVER_ROWS = 1_000_000
#: Bytes that tracing takes beside a row: of a worker's, when it waited (`struct lab_wait`); of a
#: server's, what its scheduler decided (`struct umcg_sched_event`).
_WAIT_BYTES, _DECISION_BYTES = 24, 48

ROLES = ("server", "worker", "thread", "basic")

METHODS = {
    "umcg-swap": "LAB_UMCG_SWAP",
    "umcg-wake-wait": "LAB_UMCG_WAKE_WAIT",
    "umcg-worker-swap": "LAB_UMCG_WORKER_SWAP",
    "umcg-server-worker": "LAB_UMCG_SERVER_WORKER",
    "futex": "LAB_FUTEX",
    "condvar": "LAB_CONDVAR",
    "pipe": "LAB_PIPE",
    "eventfd": "LAB_EVENTFD",
    "sched_yield": "LAB_SCHED_YIELD",
}

WORKS = {
    "spin": "LAB_WORK_SPIN",
    "sleep": "LAB_WORK_SLEEP",
    "pipe": "LAB_WORK_PIPE",
    "socketpair": "LAB_WORK_SOCKETPAIR",
    "lock": "LAB_WORK_LOCK",
    "fault": "LAB_WORK_FAULT",
    "mixed": "LAB_WORK_MIXED",
    "storm-futex": "LAB_WORK_STORM_FUTEX",
    "storm-wait": "LAB_WORK_STORM_WAIT",
}


class EngineError(RuntimeError):
    """A measurement failed in the engine; `str()` says what and why."""


class NoPolicy(EngineError, ValueError):
    """There is no such policy, it has no such option, or its file cannot be used."""


class PolicyFault(EngineError):
    """The policy is wrong: it lost a worker, ran one twice, crashed, spun, ...

    `str()` is the whole report: one sentence, then servers, threads and the policy's own dump.
    """


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
        urgent: it did urgent requests.
        faults: pages it waited for, as they had to be read from a disk (major faults).
        lost: events that did not fit its ring. The first server's takes the state changes of all
            workers and servers, a worker's only its operations; any other thread's its own.
        lost_states: ns, time of the earliest lost state change; 0: none was lost.
        lost_ops: ns, time of the earliest lost operation; 0: none was lost.
        lost_last: ns, time of the last lost event; 0: none was lost.
    """

    tid: int
    role: str
    ops: int
    cpu_ns: int
    urgent: bool
    faults: int = 0
    lost: int = 0
    lost_states: int = 0
    lost_ops: int = 0
    lost_last: int = 0


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


class Hooks(TypedDict, total=False):
    """What looks after a measurement while it runs.

    Attributes:
        stop: ends it when set.
        watch: is called about twenty times a second with its progress.
    """

    stop: threading.Event | None
    watch: Watcher | None


class Asked(NamedTuple):
    """A call of a policy that is not in C; addresses are of umcg-policy.h's structures.

    Attributes:
        call: one of `CALLS`.
        why: number in `enum umcg_why`; of ready and stopped.
        sched: the `struct umcg_sched`.
        thread: the `struct umcg_sched_thread` that it is about; 0.
        other: before: the one that runs.
        ran_ns: stopped: how long the turn was.
        server: next: who asks.
    """

    call: str
    why: int
    sched: int
    thread: int
    other: int
    ran_ns: int
    server: int


CALLS = ("init", "ready", "next", "stopped", "slice", "before", "dump")


class Own(Protocol):
    """A policy whose calls are carried out in Python, by the thread that measures.

    Attributes:
        name: for reports.
        flags: UMCG_MAY_STARVE, UMCG_MAY_IDLE.
        has_slice: it has `slice`.
        has_before: it has `before`.
    """

    name: str
    flags: int
    has_slice: bool
    has_before: bool

    def answer(self, asked: Asked) -> int:
        """Carry a call out. What is raised ends the measurement, with that.

        Returns:
            next: the thread's address, or 0; slice: ns; before: 0 or 1; of the others 0.
        """

    def watched(self, seconds: float) -> AbstractContextManager[None]:
        """Within, raise in this thread when a call lasts longer than this; what is raised says so.

        A measurement begins and ends with it.
        """

    def close(self, error: BaseException) -> tuple[str, str]:
        """It is not asked any more, as the measurement ends with this.

        Returns:
            Why, in one sentence, and what it tells of itself, for the scheduler's report.
        """

    def blame(self, error: BaseException) -> str:
        """What the policy has done wrong, when `answer` raised this; "" for an error of its own."""


def thread_tid(asked: Asked, number: int) -> int:
    """While a call is carried out: the kernel thread id of the thread with this id."""
    return int(lib.lab_proxy_tid(asked.sched, number))


class Running:
    """A load that runs, for a server that must get at its workers."""

    def __init__(self) -> None:
        self._run: Any = None
        self._lock = threading.Lock()

    def hand_back(self) -> None:
        """Put workers that a server took and never ran back on the list; from a server's thread."""
        with self._lock:
            if self._run is not None:
                lib.lab_hand_back(self._run)

    def measure(self, run: Any, body: Callable[[Any], int]) -> int:
        """Call `body` with `run`, which must outlive `hand_back`."""
        with self._lock:
            self._run = run
        try:
            return body(run)
        finally:
            with self._lock:
                self._run = None


def _need() -> None:
    """Raise `EngineError` where the engine was not built."""
    if lib is None:
        raise EngineError("the C engine is not built: make deps, in the project's folder, on Linux")


@cache
def enabled() -> bool:
    """Does the running kernel have our UMCG?"""
    return lib is not None and bool(lib.umcg_enabled())


def wake(tid: int) -> None:
    """Wake a task from `umcg_wait()`, from any thread; nothing if a wake-up is queued already."""
    lib.lab_wake(tid)


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
        duration_s: seconds to measure, after a warm-up of a twentieth of them, and one round trip
            at least; 0: until `rounds` are done.
        warmup: round trips before the clock starts.
        events: room for so many events a thread; 0: no tracing.
        stop: ends the measurement when set.
        watch: called about twenty times a second with the progress, and once at the end.

    Returns:
        `values`: `rounds` done, `elapsed_ns` they took.

    Raises:
        ValueError: an argument is not allowed; says what is.
        EngineError: a system call failed.
        Stopped: `stop` was set.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; choose from {', '.join(METHODS)}")
    checks.cpus(number for number in (cpu, other_cpu) if number is not None)
    if cpu is None and other_cpu is not None:
        raise ValueError(f"other_cpu is {other_cpu} without a cpu; give both")
    checks.whole(1, _NO_LIMIT, rounds=rounds)
    checks.whole(0, _NO_LIMIT, warmup=warmup)
    checks.whole(0, _MOST_ROWS, events=events)
    checks.times(duration_s=duration_s)
    _need()
    spec = ffi.new("struct lab_swap *")
    spec.method = getattr(lib, METHODS[method])
    spec.cpu = -1 if cpu is None else cpu
    spec.other_cpu = -1 if other_cpu is None else other_cpu
    spec.rounds, spec.warmup = rounds, warmup
    spec.duration_ns = round(duration_s * 1e9)
    outcome = measure(Room(3, events), lambda run: lib.lab_swap(run, spec), stop, watch)
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
    policy: str | Own = "fifo",
    pass_on: bool = False,
    watchdog_s: float = 0.0,
    seed: int = 0,
    file: int = -1,
    group: int = 0,
    events: int = 0,
    stop: threading.Event | None = None,
    watch: Watcher | None = None,
    running: Running | None = None,
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
        policy: over servers: which worker runs next, as `umcg_choose()` reads it: a name or the
            path of a shared object, then `:OPTIONS` or nothing; or one in Python, whose calls this
            thread carries out. Urgent workers have priority 1 and class 1, the others 0 and, beside
            urgent ones, tenant 1; each operation is a request.
        pass_on: over servers: these are not told of a block while no worker is ready, and their
            place passes on (UMCG_SCHED_PASS_ON). The states of workers are not traced then.
        watchdog_s: seconds after which a policy that is wrong is found out; 0: 5.
        seed: of the policy's random numbers.
        file: faults: an open file of at least `workers` pages; better dozens for each worker, which
            reads all of its own before it drops them from memory.
        group: make the workers for this group, whose servers are the caller's.
        events: room for so many events a thread; the servers, whose ring has the state changes of
            all workers, have more (`server_room`). 0: no tracing.
        stop: ends the measurement when set.
        watch: called about twenty times a second with the progress, and once at the end.
        running: reaches the workers while they work.

    Returns:
        `values`: `elapsed_ns`, `preempts` (asked for and accepted), `helpers_ns` (CPU time of the
        scheduler's threads beside its servers).

    Raises:
        ValueError: an argument is not allowed; says what is.
        NoPolicy: there is no such policy or option.
        PolicyFault: the policy is wrong; workers and servers are gone.
        EngineError: a system call failed.
        Stopped: `stop` was set.
    """
    if work not in WORKS:
        raise ValueError(f"work is {work!r}; choose from {', '.join(WORKS)}")
    checks.whole(1, checks.MOST_THREADS, workers=workers)
    checks.whole(int(umcg and not group), checks.MOST_THREADS, servers=servers)
    checks.whole(0, workers, urgent=urgent)
    checks.cpus(cpus)
    checks.whole(0, _NO_LIMIT, max_ops=max_ops)
    checks.whole(0, _MOST_ROWS, events=events)
    checks.times(duration_s=duration_s)
    checks.times(1e-6, busy_us=busy_us, urgent_us=urgent_us, idle_us=idle_us)
    if not duration_s and not max_ops and stop is None:
        raise ValueError("it would never end: give duration_s, max_ops or stop")
    _need()
    spec = ffi.new("struct lab_load *")
    spec.umcg, spec.work = umcg, getattr(lib, WORKS[work])
    spec.workers, spec.servers, spec.urgent = workers, servers, urgent
    spec.nr_cpus = len(cpus)
    for index, cpu in enumerate(cpus):
        spec.cpus[index] = cpu
    spec.duration_ns = round(duration_s * 1e9)
    spec.max_ops = max_ops
    spec.busy_turns, spec.urgent_turns = turns(busy_us), turns(urgent_us)
    spec.idle_ns = round(idle_us * 1e3)
    spec.file, spec.group = file, group
    room = load_room(workers, servers, events, duration_s, busy_us, urgent_us)
    reached = running or Running()

    def body(run: Any) -> int:
        return reached.measure(run, lambda run: int(lib.lab_load(run, spec)))

    spec.policy.pass_on = pass_on
    with choose(spec.policy, policy, watchdog_s, seed) as host:
        outcome = measure(room, body, stop, watch, host)
    outcome.values = {
        name: int(getattr(spec, name)) for name in ("elapsed_ns", "preempts", "helpers_ns")
    }
    return outcome


#: A call of a policy in Python that lasts longer is found out; as in libumcg-sched.
_WATCHDOG_S = 5.0


@dataclass
class Host:
    """Carries the calls of a policy in Python out while a measurement goes on."""

    own: Own
    proxy: Any
    watchdog_s: float

    def watched(self) -> AbstractContextManager[None]:
        """Calls that last too long are ended within."""
        return self.own.watched(self.watchdog_s)

    def serve(self, seconds: float) -> None:
        """Carry calls out for so long, or until the policy is closed."""
        end = time.monotonic() + seconds
        asked = ffi.new("struct lab_asked *")
        while (left := end - time.monotonic()) > 0:
            if not lib.lab_proxy_wait(self.proxy, round(left * 1e9), asked):
                return
            call = Asked(
                CALLS[asked.call], asked.why, asked.sched, asked.thread, asked.other,
                asked.ran_ns, asked.server,
            )  # fmt: skip
            lib.lab_proxy_answer(self.proxy, self.own.answer(call))

    def close(self, error: BaseException) -> None:
        """Answer no more; the scheduler goes on without it."""
        why, said = self.own.close(error)
        lib.lab_proxy_close(self.proxy, why.encode(), said.encode())


def may_pass_on(policy: str | Own) -> bool:
    """Does this policy permit that places pass on (UMCG_MAY_PASS_ON)? One in Python does not.

    Args:
        policy: as in `load`.
    """
    return isinstance(policy, str) and bool(lib.lab_may_pass_on(policy.encode()))


@contextmanager
def choose(
    field: Any, policy: str | Own, watchdog_s: float = 0.0, seed: int = 0
) -> Iterator[Host | None]:
    """Fill a `struct lab_policy`, which may be used within.

    Returns:
        Who carries a policy's calls out, to be given to `measure`; None for one in C.
    """
    checks.times(watchdog_s=watchdog_s)
    checks.whole(0, _NO_LIMIT, seed=seed)
    field.watchdog_ns, field.seed = round(watchdog_s * 1e9), seed
    if isinstance(policy, str):
        if not policy or "\0" in policy:
            raise NoPolicy(f"policy is {policy!r}; give a name, or the path of a shared object")
        text = ffi.new("char[]", policy.encode())
        field.name = text
        yield None
        return
    proxy = lib.lab_proxy_new(
        policy.name.encode(),
        policy.flags,
        policy.has_slice,
        policy.has_before,
    )
    if proxy == ffi.NULL:
        raise EngineError("no memory for a policy")
    try:
        lib.lab_proxy_use(proxy, ffi.addressof(field))
        yield Host(policy, proxy, watchdog_s or _WATCHDOG_S)
    finally:
        lib.lab_proxy_free(proxy)


def load_room(
    workers: int,
    servers: int,
    events: int,
    duration_s: float = 0.0,
    busy_us: float = 0.0,
    urgent_us: float = 0.0,
) -> Room:
    """The room that `load` makes for these arguments."""
    shortest_us = min(busy_us, urgent_us or busy_us)
    return Room(workers, events, servers, server_room(events, workers, duration_s, shortest_us))


def server_room(events: int, workers: int, duration_s: float, shortest_us: float) -> int:
    """Rows that one server needs, enough for the turns of all workers.

    They have no more turns than operations that fit their own rings (`events` each), and no more
    than there is time for. An operation may block halfway, and half a microsecond is the least
    that a turn takes anywhere.
    """
    turns = workers * events
    if duration_s:
        turns = min(turns, round(duration_s * 1e6 / (shortest_us / 2 + 0.5)) + workers)
    return min(_TURN_ROWS * turns + 8, _MOST_SERVER_ROWS) if events else 0


@dataclass(frozen=True)
class Room:
    """Room of a run: so many threads with a ring of so many events each, and the servers' ring.

    Attributes:
        threads: threads that note their own events.
        events: rows of the ring of each.
        servers: threads after them.
        server_events: rows of each of these, all of them in one ring.
    """

    threads: int
    events: int = 0
    servers: int = 0
    server_events: int = 0

    @property
    def rows(self) -> int:
        """Rows of all rings."""
        return self.threads * self.events + self.servers * self.server_events

    @property
    def bytes(self) -> int:
        """What the rings take; all of it is touched before a measurement begins."""
        decisions = self.servers * self.server_events
        waits = self.threads * self.events if decisions else 0
        rows = self.rows * EVENT_DTYPE.itemsize
        return rows + decisions * _DECISION_BYTES + waits * _WAIT_BYTES

    def why_too_large(self) -> str:
        """Why this machine has not the memory for it; "" when it has.

        Half of what is available is for the tables that are made of the rings.
        """
        have = checks.available_bytes() // 2
        if self.bytes <= have:
            return ""
        return (
            f"room for {self.rows:,} events takes {self.bytes >> 20:,} MiB, and this machine has "
            f"{have >> 20:,} MiB for them"
        )


def measure(
    room: Room,
    body: Callable[[Any], int],
    stop: threading.Event | None,
    watch: Watcher | None,
    host: Host | None = None,
) -> Outcome:
    """Make a run with this room, and call `body` with it.

    `body` calls one of the engine's measurements: 0, or -1 with errno. `values` stay empty. `host`
    carries the calls of its policy out, in this thread.

    Raises:
        EngineError: the measurement failed, or there is no memory for it.
        Stopped: `stop` was set.
        BaseException: what a policy in Python raised.
    """
    # A short measurement would be over before anybody looked at `stop` again.
    if stop is not None and stop.is_set():
        raise Stopped
    if problem := room.why_too_large():
        raise EngineError(f"no memory: {problem}; ask for fewer")
    asked = ffi.new("struct lab_room *")
    asked.threads, asked.events = room.threads, room.events
    asked.servers, asked.server_events = room.servers, room.server_events
    run = lib.lab_new(asked)
    if run == ffi.NULL:
        raise EngineError(
            f"no memory for {room.threads} threads with {room.events} events each and "
            f"{room.servers} servers with {room.server_events} each; ask for fewer"
        )
    try:
        stopped = _watch(run, body, stop, watch, host)
        if stopped:
            raise Stopped
        return _outcome(run)
    except BaseException as error:
        if host and (wrong := host.own.blame(error)):
            raise PolicyFault(f"{_said(run)}\n{wrong}") from None
        raise
    finally:
        lib.lab_free(run)


def _watch(
    run: Any,
    call: Callable[[Any], int],
    stop: threading.Event | None,
    watch: Watcher | None,
    host: Host | None,
) -> bool:
    """Run `call` in a thread, look at it meanwhile; was it stopped from outside?"""
    result: list[tuple[int, int]] = []
    claim, done = threading.Lock(), threading.Event()

    def body() -> None:
        if claim.acquire(blocking=False):
            code = call(run)
            result.append((code, ffi.errno))
            if host:  # which waits for calls
                lib.lab_proxy_close(host.proxy, b"", b"")
            # The last: whoever waits for it frees the run, and the proxy.
            done.set()

    seen = ffi.new("struct lab_progress *")

    def look() -> None:
        if watch is not None:
            lib.lab_get_progress(run, seen)
            watch(Progress(seen.ops, seen.live, seen.blocked))

    def over() -> bool:
        if host and not done.is_set():
            host.serve(0.05)
            return done.is_set()
        return done.wait(0.05)

    stopped = False
    try:
        with host.watched() if host else nullcontext():
            threading.Thread(target=body, name="labkit-engine").start()
            while not over():
                if stop is not None and stop.is_set():
                    stopped = True
                    lib.lab_stop(run)
                look()
        # A short measurement is over before the first look.
        look()
    except BaseException as error:
        # Whoever waits for an answer must not wait for ever, so that its workers can leave.
        if host:
            host.close(error)
        raise
    finally:
        # The caller frees the run: its threads must be gone, whatever interrupts us, as often as
        # it likes. Only a body that has not begun, and now never will, is not waited for.
        lib.lab_stop(run)
        while not claim.acquire(blocking=False) and not done.is_set():
            with suppress(KeyboardInterrupt):
                done.wait()
    code, number = result[0]
    if code:
        said = _said(run)
        if lib.lab_said_what(run) == lib.LAB_SAID_FAULT:
            raise PolicyFault(said)
        if lib.lab_said_what(run) == lib.LAB_SAID_CHOICE:
            raise NoPolicy(said)
        what = ffi.string(lib.lab_failure(run)).decode() or "start"
        name = errno.errorcode.get(number, str(number))
        raise EngineError(f"{what}: {os.strerror(number)} ({name})")
    return stopped


def _said(run: Any) -> str:
    """The scheduler's report, or its sentence; "" if it had nothing to say."""
    said: str = ffi.string(lib.lab_said(run)).decode(errors="replace").rstrip()
    return said


def _outcome(run: Any) -> Outcome:
    tasks = []
    parts = []
    info = ffi.new("struct lab_task *")
    for index in range(lib.lab_nr_tasks(run)):
        lib.lab_get_task(run, index, info)
        tasks.append(
            Task(
                tid=info.tid,
                role=ROLES[info.role],
                ops=info.ops,
                cpu_ns=info.cpu_ns,
                urgent=bool(info.urgent),
                faults=info.faults,
                lost=info.lost,
                lost_states=info.lost_states,
                lost_ops=info.lost_ops,
                lost_last=info.lost_last,
            )
        )
        if info.nr_events:
            size = info.nr_events * EVENT_DTYPE.itemsize
            rows = np.frombuffer(ffi.buffer(lib.lab_get_events(run, index), size), EVENT_DTYPE)
            parts.append(rows.copy())  # the ring is freed with the run
    events = np.concatenate(parts) if parts else np.empty(0, EVENT_DTYPE)
    return Outcome(tasks, events[np.argsort(events["t"], kind="stable")])
