# SPDX-License-Identifier: MIT
"""User-Managed Concurrency Groups for Python threads: libumcg, Pythonic.

    with umcg.Group() as group:
        group.start_worker(print, "on a server's time")
        group.serve(workers=1)

The interpreter lock is released around every call that may wait. A Python worker may block, or be
preempted, while it holds that lock; so the server that is to run it again must not need the lock.
`Group.serve` and `Server.serve` schedule in C and never do. A policy written in Python
(`Server.next_idle`, `Server.run`) is for workers that are not Python threads, such as the engine's
(`Group.native_workers`); with Python workers in the group these calls refuse.

For the same reason servers never leave Python workers behind. Whatever ends a service early
(Ctrl-C, an exception, `Group.close`), the workers are stopped: `Stopped` is raised in them, and
servers in the background run them to their end. One that is in a long call, such as `time.sleep`,
ends after it; no thread of a group keeps the process from ending.
"""

from __future__ import annotations

import enum
import errno
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from labkit.environment import GET_UMCG
from labkit.joinable import Joinable
from labkit.native import engine
from labkit.native._engine import ffi, lib
from labkit.umcg_members import Member, Members, Stopped

__all__ = [
    "Group",
    "Server",
    "State",
    "Stopped",
    "Task",
    "TaskState",
    "UmcgError",
    "basic_task",
    "current",
    "enabled",
    "swap",
    "wait",
    "wake",
]

enabled = engine.enabled

#: Seconds that workers, and servers after them, get to leave before the caller goes on without.
_PATIENCE_S = 0.4

#: Seconds that servers get whose workers have gone, however busy the machine is.
_FOLLOW_S = 60.0

#: A service without any worker for so many seconds has lost count.
_LONELY_S = 0.5

#: Workers of a service that is ended from outside.
_NO_COUNT = 2**32 - 1


class UmcgError(OSError):
    """A libumcg call failed; `errno` says why."""


class State(enum.IntEnum):
    """The state of a task as the kernel and libumcg see it."""

    NONE = 0
    RUNNING = 1
    IDLE = 2
    BLOCKED = 3


@dataclass(frozen=True)
class TaskState:
    """A task's state word without its timestamp.

    Attributes:
        state: see `State`.
        locked: user space is in the middle of a transition.
        preempted: a preemption was asked for.
        in_wait: a worker that sleeps in `wait` rather than on the idle list.
        wakeup_queued: the next `wait` or `swap` will not sleep.
    """

    state: State
    locked: bool
    preempted: bool
    in_wait: bool
    wakeup_queued: bool


def _check(result: int, call: str) -> None:
    if result:
        _raise(ffi.errno, call)


def _raise(number: int, call: str) -> None:
    reasons = {
        errno.ENOSYS: f"this kernel has no UMCG: {GET_UMCG}",
        errno.ETIMEDOUT: "the time is over",
        errno.EBUSY: "busy: it still has tasks, or the worker runs already",
        errno.ESRCH: "no such task",
    }
    if number == errno.ETIMEDOUT:
        raise TimeoutError(number, f"{call}: {reasons[number]}")
    raise UmcgError(number, f"{call}: {reasons.get(number, os.strerror(number))}")


def _deadline(timeout: float | None) -> int:
    """Seconds from now as libumcg's absolute time; 0 for none."""
    if timeout is None:
        return 0
    return max(1, int(lib.umcg_get_time_ns()) + round(timeout * 1e9))


@dataclass(frozen=True)
class Task:
    """A thread by its UMCG id, valid from before its registration to its end."""

    tid: int

    @property
    def state(self) -> TaskState:
        """The state right now; it may have changed when you read it."""
        word = int(lib.umcg_get_task_state(self.tid))
        return TaskState(
            State(word & 0x3F),
            bool(word & 0x40),
            bool(word & 0x80),
            bool(word & 0x10000),
            bool(word & 0x20000),
        )

    @property
    def tag(self) -> int:
        """The value attached to the task."""
        return int(lib.umcg_get_task_tag(self.tid))

    @tag.setter
    def tag(self, value: int) -> None:
        lib.umcg_set_task_tag(self.tid, value)

    def wake(self, *, here: bool = False) -> None:
        """Wake it from `wait`, or let its next `wait` return at once; see `wake`."""
        wake(self, here=here)

    def preempt(self) -> bool:
        """Take a running worker off its server; False when it was not running.

        Raises:
            UmcgError: it is no worker of this process, or its group has no preemption.
        """
        if lib.umcg_preempt_worker(self.tid) == 0:
            return True
        if ffi.errno == errno.EAGAIN:
            return False
        _raise(ffi.errno, "preempt")
        return False


def current() -> Task:
    """The calling thread, registered or not."""
    return Task(int(lib.umcg_get_utid()))


def wait(timeout: float | None = None) -> None:
    """Sleep until woken; a worker gives its server back.

    Args:
        timeout: seconds; None: no end.

    Raises:
        TimeoutError: it was not woken in time.
        UmcgError: the thread is not registered.
    """
    deadline = _deadline(timeout)
    while lib.umcg_wait(deadline):
        # EINTR: Python runs the signal's handler before the next turn of this loop.
        if ffi.errno != errno.EINTR:
            _raise(ffi.errno, "wait")


def wake(task: Task, *, here: bool = False) -> None:
    """Wake `task` from its `wait`, or queue one wake-up for the next.

    Args:
        task: which.
        here: advise the kernel to run it on this CPU.

    Raises:
        UmcgError: there is no such task.
    """
    _check(lib.umcg_wake(task.tid, here), "wake")


def swap(task: Task, timeout: float | None = None) -> None:
    """Wake `task` and wait, as one switch on this CPU; a worker hands its server over.

    Args:
        task: server to server, or worker to worker of the same group.
        timeout: seconds; None: no end.

    Raises:
        TimeoutError: this thread was not woken in time.
        UmcgError: not registered, no such task, or not of the same kind.
    """
    if lib.umcg_swap(task.tid, _deadline(timeout)):
        if ffi.errno != errno.EINTR:
            _raise(ffi.errno, "swap")
        wait(timeout)  # the switch is done, a signal ended the waiting half


@contextmanager
def basic_task(tag: int = 0) -> Iterator[Task]:
    """The calling thread as a basic task: it can wait, wake and swap, and runs no workers.

    Raises:
        UmcgError: no UMCG here, or the thread is registered already.
    """
    if not lib.umcg_register_basic_task(tag):
        _raise(ffi.errno, "register a basic task")
    with _until_unregistered():
        yield current()


def _service(workers: int, servers: int) -> Any:
    """A service in C; it is there as long as anything refers to it."""
    if workers < 1 or servers < 1:
        raise ValueError(f"{workers} workers over {servers} servers: give 1 or more of each")
    service = lib.lab_service_new(workers, servers)
    if service == ffi.NULL:
        _raise(ffi.errno, "serve")
    return ffi.gc(service, lib.lab_service_free)


def _serve(service: Any) -> None:
    while lib.lab_serve(service):
        if ffi.errno != errno.EINTR:
            _raise(ffi.errno, "serve")


@contextmanager
def _until_unregistered() -> Iterator[None]:
    """The calling thread's task ends with the block, and its error never hides the block's."""
    try:
        yield
    except BaseException as error:
        if lib.umcg_unregister_task():
            error.add_note(f"unregister: {os.strerror(ffi.errno)}")
        raise
    _check(lib.umcg_unregister_task(), "unregister")


class Server:
    """The calling thread while it is a server of `group`; made by `Group.server`."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.task = current()

    def serve(self, workers: int) -> None:
        """Run workers of the group until `workers` of them have unregistered: `Group.serve`.

        A server that serves Python workers must not need the interpreter lock, and this thread
        needs it when a signal comes; so it waits while a thread in C serves.

        Raises:
            UmcgError: the group is broken, or has fewer than `workers` workers (ESRCH).
        """
        self.group.serve(workers)

    def next_idle(self, *, wait: bool = True) -> Task | None:
        """The next worker that may run; None when there is none and `wait` is false.

        Raises:
            UmcgError: the group has Python workers (see the module), or is broken.
        """
        self.group._refuse_python_workers()
        while True:
            tid = int(lib.umcg_get_idle_worker(wait))
            if tid:
                return Task(tid)
            if not wait:
                return None
            if ffi.errno != errno.EINTR:
                _raise(ffi.errno, "next idle worker")

    def put_idle(self, worker: Task) -> None:
        """Put a worker from `next_idle`, or a preempted one, back on the list, behind the others.

        Raises:
            UmcgError: `worker` is not in a server's hands, or not of this group.
        """
        _check(lib.umcg_put_idle_worker(worker.tid), "put a worker back on the idle list")

    def has_preempted(self, worker: Task) -> bool:
        """Was `worker`, which `run` returned, preempted here? Call it from the server's thread.

        Its `state` alone does not tell: after a block here it may have been preempted elsewhere.
        """
        return bool(lib.umcg_is_preempted(worker.tid))

    def run(self, worker: Task) -> Task | None:
        """Lend this server's place to `worker` until it blocks, yields or is preempted.

        Returns:
            The worker that gave the place back (not always the one started: workers swap), or
            None when it unregistered. `state` says why: BLOCKED; IDLE and `in_wait` (it waits).
            If `has_preempted` says so it was preempted: it is on no list, run it again when it
            is its turn, or `put_idle` it.

        Raises:
            UmcgError: the group has Python workers (see the module), or `worker` cannot run.
        """
        self.group._refuse_python_workers()
        ffi.errno = 0
        back = int(lib.umcg_run_worker(worker.tid))
        if back:
            return Task(back)
        if ffi.errno:
            _raise(ffi.errno, "run a worker")
        return None


class Group:
    """Servers and workers that may interact. Use as a context, or call `close`.

    Args:
        preemption: workers may be preempted.

    Raises:
        UmcgError: no UMCG here, or no memory.
    """

    def __init__(self, *, preemption: bool = False) -> None:
        if not enabled():
            _raise(errno.ENOSYS, "create a group")
        # UMCG_GROUP_ENABLE_PREEMPTION | UMCG_GROUP_KEEP_PREEMPTED, see `Server.run`
        self.handle = int(lib.umcg_create_group(1 | 4 if preemption else 0))
        if not self.handle:
            _raise(ffi.errno, "create a group")
        self._members = Members()
        self._servers: set[int] = set()
        self._farewells: list[threading.Event] = []

    def close(self) -> None:
        """Destroy the group; Python workers that are left are stopped before.

        Raises:
            UmcgError: it has tasks that do not end, or had workers to stop.
        """
        if not self.handle:
            return
        for gone in self._farewells:
            # Workers may be in calls that do not end; servers whose workers have gone follow.
            if not gone.wait(_PATIENCE_S) and not self._members.any:
                gone.wait(_FOLLOW_S)
        left = self._members.python
        if left:
            self._members.stop()  # before there is a server to run them
            self._see_off(*self._relieve())
        if lib.umcg_destroy_group(self.handle):
            number = ffi.errno
            in_a_call = (
                f"; {n} workers are in calls that do not end" if (n := self._members.python) else ""
            )
            raise UmcgError(number, f"destroy the group: it still has tasks{in_a_call}")
        self.handle = 0
        if left:
            raise UmcgError(
                errno.EBUSY,
                f"{left} workers were left when the group was closed, and were stopped; serve them "
                "to their end first",
            )

    def __enter__(self) -> Group:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.close()
        except UmcgError as late:
            if error is None:
                raise
            error.add_note(str(late))  # what went wrong first is what the caller must see

    def _relieve(self, running: engine.Running | None = None) -> tuple[Any, list[Joinable]]:
        """A server in the background for workers whose own servers have gone, and its service."""
        service = _service(_NO_COUNT, 1)

        def body() -> None:
            with self.server():
                if running:
                    running.hand_back()
                _serve(service)

        thread = Joinable(body, "umcg relief server")
        thread.start()
        return service, [thread]

    def _see_off(self, service: Any, servers: list[Joinable]) -> None:
        """Stop the workers; the service goes on until they have gone, if need be without us."""
        gone = threading.Event()
        self._farewells.append(gone)

        def body() -> None:
            self._members.wait_gone()
            lib.lab_service_end(service)
            for server in servers:
                server.join()
            gone.set()

        threading.Thread(target=body, name="umcg-exit", daemon=True).start()
        self._members.stop()
        gone.wait(_PATIENCE_S)

    def _attend(self, service: Any, workers: int, over: Callable[[float], bool]) -> None:
        """Watch a service until it is `over`.

        Raises:
            UmcgError: workers are missing, and there is no thread that could start them.
        """
        lonely, said, waits = 0.0, False, threading.current_thread()
        while not over(0.1):
            left = lib.lab_service_left(service)
            if self._members.any or not left:
                lonely = 0.0
                continue
            lonely = lonely or time.monotonic()
            if time.monotonic() - lonely < _LONELY_S:
                continue
            what = (
                f"serve waits for {workers} workers, but {left} of them never came and none is "
                "there: start them before, or ask for fewer"
            )
            if not any(not t.daemon and t is not waits for t in threading.enumerate()):
                raise UmcgError(errno.ESRCH, what)
            if not said:  # one of these threads may yet start a worker
                warnings.warn(what, RuntimeWarning, stacklevel=3)
                said = True

    def _refuse_python_workers(self) -> None:
        if self._members.python:
            raise UmcgError(
                errno.EDEADLK,
                "a Python policy cannot run Python workers: one that blocks with the interpreter "
                "lock would never run again; use Server.serve",
            )

    @contextmanager
    def server(self, tag: int = 0) -> Iterator[Server]:
        """The calling thread as a server.

        Raises:
            UmcgError: the thread is registered already.
        """
        if not lib.umcg_register_server(self.handle, tag):
            _raise(ffi.errno, "register a server")
        thread = threading.get_ident()
        self._servers.add(thread)
        try:
            with _until_unregistered():
                yield Server(self)
        finally:
            self._servers.discard(thread)

    def serve(self, workers: int, servers: int = 1) -> None:
        """Run `servers` threads as servers until `workers` workers have unregistered.

        Workers that became ready, and those that were preempted, take turns in order of arrival.
        Returns when the servers are gone.

        Raises:
            ValueError: less than one of either.
            UmcgError: the group is broken, or has fewer than `workers` workers (ESRCH).
        """
        errors: list[BaseException] = []
        service = _service(workers, servers)

        def body() -> None:
            try:
                with self.server():
                    _serve(service)
            except UmcgError as error:
                errors.append(error)

        threads = [Joinable(body, f"umcg server {i}") for i in range(servers)]

        def over(seconds: float) -> bool:
            if errors:
                raise errors[0]
            busy = [thread for thread in threads if thread.is_alive()]
            if busy:
                busy[0].join(seconds)
            return not busy

        try:
            for thread in threads:
                thread.start()
            self._attend(service, workers, over)
        except BaseException:
            self._see_off(service, [thread for thread in threads if thread.ident])
            raise
        if errors:
            raise errors[0]

    @contextmanager
    def worker(self, tag: int = 0) -> Iterator[Task]:
        """The calling thread as a worker; the body starts when a server first runs it.

        Raises:
            UmcgError: the thread is registered already.
        """
        with self._work(Member(), tag) as task:
            yield task

    @contextmanager
    def _work(self, member: Member, tag: int = 0) -> Iterator[Task]:
        with self._members.one(member):
            if not lib.umcg_register_worker(self.handle, tag):
                _raise(ffi.errno, "register a worker")
            task = current()
            with _until_unregistered(), member.works(task.tid):
                yield task

    def start_worker(self, function: Callable[..., Any], *args: Any) -> threading.Thread:
        """Start a thread that calls `function(*args)` as a worker; join it as any thread."""
        member = Member()

        def body() -> None:
            with suppress(Stopped), self._work(member):
                function(*args)

        # Not waited for at the end of the process: without a server it would never begin.
        thread = Joinable(body, f"umcg worker {function}")
        self._members.add(member)
        try:
            thread.start()
        except RuntimeError:  # no more threads may be made
            self._members.remove(member)
            raise
        return thread

    @contextmanager
    def native_workers(
        self, work: str, count: int, *, duration_s: float = 0.0, **load: Any
    ) -> Iterator[threading.Event]:
        """Start `count` of the engine's workers, for a policy written in Python to run.

        Args:
            work: what they do, one of `labkit.native.engine.WORKS`.
            count: how many.
            duration_s: seconds until they leave; 0: when the event is set.
            load: further arguments of `labkit.native.engine.load`.

        Yields:
            An event; set it to make them leave. The body's server must go on running them until
            `count` have unregistered. When the body raises, its workers are run to their end by a
            server in the background.

        Raises:
            EngineError: the workers could not be made.
        """
        stop, running = threading.Event(), engine.Running()
        errors: list[engine.EngineError] = []

        def body() -> None:
            try:
                engine.load(
                    work,
                    umcg=True,
                    workers=count,
                    duration_s=duration_s,
                    group=self.handle,
                    stop=stop,
                    running=running,
                    **load,
                )
            except engine.Stopped:
                pass
            except engine.EngineError as error:
                errors.append(error)

        thread = Joinable(body, "umcg native workers")
        with self._members.natives(count):
            thread.start()
            try:
                yield stop
                stop.set()
                # Another thread's policy counts those that leave: no other may take them from it.
                if self._others_serve():
                    thread.join()
            except BaseException:
                stop.set()
                self._fetch(thread, running, _PATIENCE_S if self._others_serve() else 0.0)
                raise
            self._fetch(thread, running, 0.05)
        if errors:
            raise errors[0]

    def _others_serve(self) -> bool:
        return bool(self._servers - {threading.get_ident()})

    def _fetch(self, thread: Joinable, running: engine.Running, patience: float) -> None:
        """Wait for the engine's workers, which are to leave; run those that no server runs."""
        thread.join(patience)
        if not thread.is_alive():
            return
        service, servers = self._relieve(running)
        try:
            thread.join()
        finally:
            lib.lab_service_end(service)
            for server in servers:
                server.join()
