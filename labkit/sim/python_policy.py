# SPDX-License-Identifier: MIT
"""Policies written in Python: a class with `ready` and `next`.

They run in this process, so that their objects can be looked at afterwards and an exception in one
is an exception here. What they get are `Thread` and `Scheduler` objects over the C structures.
"""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from labkit.sim import core
from labkit.sim._simulator import ffi, lib
from labkit.sim.core import Settings
from labkit.sim.errors import ChoiceError, PolicyError
from labkit.workload import Workload

#: What `why` may be; see umcg-policy.h.
WHYS = (
    *("new", "woken", "preempted", "expired", "yielded"),
    *("blocked", "waiting", "ended"),
)
STATES = ("none", "ready", "running", "blocked")


class Thread:
    """A thread as a policy sees it. A policy may set attributes of its own.

    Attributes (times in ns of virtual time; see `struct umcg_sched_thread`): `id` (the tid of the
    event table), `klass` (name of its class), `weight`, `priority` (larger goes first),
    `deadline_ns` (of its job, 0: none), `expected_ns` (0: unknown), `tenant`, `state` (ready,
    running, blocked, none), `server` (that has it or had it last, None), `service_ns`,
    `request_service_ns`, `request_ns`, `ready_ns`, `turn_ns`.
    """

    def __init__(self, of: Any, number: int, klass: str) -> None:
        self._of = of
        self.id = number
        self.klass = klass

    @property
    def state(self) -> str:
        """`ready`, `running`, `blocked` or `none`."""
        return STATES[self._of.state]

    @property
    def server(self) -> int | None:
        """The server that has it or had it last."""
        number: int = self._of.server
        return None if number == lib.UMCG_NO_SERVER else number

    def drop(self) -> None:
        """Give its job up: it ends when the thread runs next."""
        self._of.flags |= lib.UMCG_THREAD_DROPPED

    def __getattr__(self, name: str) -> int:
        if name in _NUMBERS:
            value: int = getattr(self._of, name)
            return value
        raise AttributeError(f"a thread has no {name!r}; it has {', '.join(_ATTRIBUTES)}")

    def __repr__(self) -> str:
        return f"<thread {self.id} ({self.klass}), {self.state}>"


_NUMBERS = (
    *("weight", "priority", "deadline_ns", "expected_ns", "tenant", "service_ns"),
    *("request_service_ns", "request_ns", "ready_ns", "turn_ns"),
)
_ATTRIBUTES = ("id", "klass", "state", "server", *_NUMBERS)


class Scheduler:
    """What a policy may ask of its host: `self.sched` of the policy.

    Attributes: `now_ns` (virtual time), `servers` (how many), `ready` (threads that are ready).
    """

    def __init__(self, of: Any, binding: _Binding) -> None:
        self._of = of
        self._binding = binding

    @property
    def now_ns(self) -> int:
        """Virtual time in ns."""
        now: int = self._of.now_ns
        return now

    @property
    def servers(self) -> int:
        """How many servers there are, numbered from 0."""
        count: int = self._of.servers
        return count

    @property
    def ready(self) -> int:
        """How many threads are ready."""
        count: int = self._of.ready
        return count

    def running(self, server: int) -> Thread | None:
        """Whom a server runs."""
        if not 0 <= server < self.servers:
            raise IndexError(f"there is no server {server}; there are 0 to {self.servers - 1}")
        return self._binding.thread(self._of.running[server])

    def turn_ns(self, thread: Thread) -> int:
        """How long the present turn of a thread lasts already; 0 if it does not run."""
        return max(0, self.now_ns - thread.turn_ns) if thread.state == "running" else 0

    def random(self) -> int:
        """The next of 2^64 numbers that follow from the seed."""
        number: int = lib.umcg_random(self._of)
        return number

    def kick(self, server: int, *, wake: bool = False, preempt: bool = False) -> None:
        """Have a server look again: if it sleeps (`wake`), if it runs a thread (`preempt`)."""
        how = wake * lib.UMCG_KICK_WAKE | preempt * lib.UMCG_KICK_PREEMPT
        lib.sim_host_kick(self._of, server, how)


class PythonPolicy(Protocol):
    """What a policy in Python has. `why` is one of `WHYS`.

    It may also have `slice(thread)` (ns, 0: no end), `stopped(thread, why, ran_ns)`,
    `before(a, b)` (must a, ready, take the place of b, running?), `init()`, `dump()` (a text for
    reports), and the attributes `may_starve`, `may_idle` (see umcg-policy.h). Before the run it
    gets `sched`, a `Scheduler`.
    """

    def ready(self, thread: Thread, why: str) -> None:
        """`thread` is ready; the policy has it from now on."""

    def next(self, server: int) -> Thread | None:
        """Which thread does this server run? None: none."""


class _Stuck(BaseException):
    """A call of the policy does not come back."""


class _Binding:
    """A policy's object with what its callbacks need."""

    def __init__(self, policy: Any, classes: list[str], servers: int) -> None:
        self.policy = policy
        self.classes = classes
        self.first = servers + 1
        self.threads: dict[int, Thread] = {}
        self.error: BaseException | None = None
        self.calls = 0
        self.inside = ""  # the function that is being called
        self.failed = ""  # the one that raised `error`
        self.sim: Any = None
        self.keep: Any = None

    def thread(self, of: Any) -> Thread | None:
        """The object of a C thread."""
        if of == ffi.NULL:
            return None
        found = self.threads.get(of.seq)
        if found is None:
            found = Thread(of, self.first + of.seq, self.classes[of.klass])
            self.threads[of.seq] = found
        return found


class _Running(threading.local):
    """The simulations of a thread, the innermost last: `onerror` is told of no scheduler.

    A simulation calls its policy in the thread that it runs in, so this is the right one.
    """

    def __init__(self) -> None:
        self.stack: list[_Binding] = []


_running = _Running()


def _failed(kind: Any, error: BaseException, trace: Any) -> None:
    binding = _running.stack[-1]
    if binding.error is None:
        binding.error, binding.failed = error.with_traceback(trace), binding.inside
    binding.inside = ""
    lib.sim_stop(binding.sim)


def _callback(error: Any = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function of (binding, scheduler, ...) what C calls as `sim_python_` and its name."""

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        name = function.__name__.strip("_")

        def call(sched: Any, *given: Any) -> Any:
            binding = _running.stack[-1]
            binding.calls += 1
            binding.inside = name
            found = function(binding, sched, *given)
            binding.inside = ""
            return found

        ffi.def_extern(name=f"sim_python_{name}", error=error, onerror=_failed)(call)
        return function

    return wrap


@_callback(error=-1)
def _init(binding: _Binding, sched: Any) -> int:
    binding.policy.sched = Scheduler(sched, binding)
    if hasattr(binding.policy, "init"):
        binding.policy.init()
    return 0


@_callback()
def _ready(binding: _Binding, sched: Any, thread: Any, why: int) -> None:
    binding.policy.ready(binding.thread(thread), WHYS[why])


@_callback(error=ffi.NULL)
def _next(binding: _Binding, sched: Any, server: int) -> Any:
    found = binding.policy.next(server)
    if found is None:
        return ffi.NULL
    if not isinstance(found, Thread):
        raise PolicyError(
            f"policy {name_of(binding.policy)} returned {found!r} from next() to server {server};"
            " it has to return a thread or None"
        )
    return found._of


@_callback()
def _stopped(binding: _Binding, sched: Any, thread: Any, why: int, ran_ns: int) -> None:
    if hasattr(binding.policy, "stopped"):
        binding.policy.stopped(binding.thread(thread), WHYS[why], ran_ns)
    if WHYS[why] == "ended":
        binding.threads.pop(thread.seq, None)


@_callback(error=0)
def _slice(binding: _Binding, sched: Any, thread: Any) -> int:
    found = binding.policy.slice(binding.thread(thread)) or 0
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**63:
        raise PolicyError(
            f"policy {name_of(binding.policy)} returned {found!r} from slice(); it has to return"
            " whole ns, 0 for no end"
        )
    return found


@_callback(error=False)
def _before(binding: _Binding, sched: Any, a: Any, b: Any) -> bool:
    return bool(binding.policy.before(binding.thread(a), binding.thread(b)))


@_callback()
def _dump(binding: _Binding, sched: Any) -> None:
    lib.sim_host_print(sched, f"{_dumped(binding.policy)}\n".encode())


def _dumped(policy: Any) -> str:
    """What a policy tells of itself: by `dump()`, else its attributes."""
    if hasattr(policy, "dump"):
        return str(policy.dump())
    return ", ".join(f"{name}={value!r}" for name, value in vars(policy).items() if name != "sched")


def name_of(policy: Any) -> str:
    """A policy's name: its `name`, else that of its class."""
    kind = policy if inspect.isclass(policy) else type(policy)
    return str(getattr(policy, "name", "") or kind.__name__)


def _check(policy: Any) -> Any:
    """An object of the policy, with everything it has to have.

    Raises:
        ChoiceError: it is no policy.
    """
    made = policy() if inspect.isclass(policy) else policy
    for needed in ("ready", "next"):
        if not callable(getattr(made, needed, None)):
            raise ChoiceError(
                f"{policy!r} is no policy: it has no {needed}(); give a name, the path of a shared"
                " object, or a class with ready(thread, why) and next(server)"
            )
    return made


def _struct(policy: Any) -> tuple[Any, Any]:
    """The C policy that calls a Python one, and its name, which must stay alive."""
    name = ffi.new("char[]", name_of(policy).encode())
    flags = bool(getattr(policy, "may_starve", False)) * lib.UMCG_MAY_STARVE
    flags |= bool(getattr(policy, "may_idle", False)) * lib.UMCG_MAY_IDLE
    made = ffi.new("struct umcg_policy *")
    made.abi, made.size = lib.UMCG_POLICY_ABI, ffi.sizeof("struct umcg_policy")
    made.name, made.summary, made.flags = name, name, flags
    for what in ("init", "ready", "next", "stopped", "dump"):
        setattr(made, what, getattr(lib, f"sim_python_{what}"))
    for what in ("slice", "before"):
        if hasattr(policy, what):
            setattr(made, what, getattr(lib, f"sim_python_{what}"))
    return made, name


@contextlib.contextmanager
def _watchdog(binding: _Binding, seconds: float, stop: threading.Event | None) -> Iterator[None]:
    """Raise `_Stuck` in a call that lasts too long; end the simulation on `stop`.

    A call that sleeps in the operating system is only reached in the main thread, by a signal.
    """
    target = threading.get_ident()
    main = threading.current_thread() is threading.main_thread()
    over = threading.Event()
    stuck_call = -1

    def stuck(*_: object) -> None:
        if binding.inside and binding.calls == stuck_call:
            raise _Stuck

    def watch() -> None:
        nonlocal stuck_call
        seen, since = -1, time.monotonic()
        while not over.wait(0.05):
            if stop is not None and stop.is_set():
                lib.sim_stop(binding.sim)
            if not binding.inside or binding.calls != seen:
                seen, since = binding.calls, time.monotonic()
            elif time.monotonic() - since >= seconds and stuck_call != seen:
                stuck_call = seen
                if main:
                    signal.pthread_kill(target, signal.SIGALRM)
                else:
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(target), ctypes.py_object(_Stuck)
                    )

    before = signal.signal(signal.SIGALRM, stuck) if main else None
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        if main:
            signal.signal(signal.SIGALRM, before)


def _stuck_error(binding: _Binding, seconds: float) -> PolicyError:
    """The report of a call that did not come back, with the policy's own lines."""
    assert binding.error is not None
    frames = traceback.extract_tb(binding.error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__]
    lines = "".join(traceback.format_list(own))
    busy = [f"  {thread!r}\n" for thread in binding.threads.values()][:16]
    return PolicyError(
        f"policy {name_of(binding.policy)} does not come back from {binding.failed}() within"
        f" {seconds:g} s: it spins or sleeps\n{lines}{''.join(busy)}"
        f"{name_of(binding.policy)} says: {_dumped(binding.policy)}"
    )


def run(
    policy: Any,
    workload: Workload,
    settings: Settings,
    folder: Path,
    watchdog_s: float,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Simulate as `core.run` does; events go to `folder`/events.

    Raises:
        ChoiceError: this is no policy.
        PolicyError: the policy is wrong.
        BaseException: what the policy raised.
    """
    made = _check(policy)
    struct, name = _struct(made)
    binding = _Binding(made, [each.name for each in workload.classes], settings.servers)

    def prepare(sim: Any) -> None:
        binding.sim = sim
        binding.keep = (struct, name)

    file = os.open(folder / "events", os.O_WRONLY | os.O_CREAT, 0o600)
    _running.stack.append(binding)
    try:
        with _watchdog(binding, watchdog_s, stop):
            found = core.run(struct, "", workload, settings, file, prepare)
    except ChoiceError:
        # init() failed: by what it raised.
        if binding.error is None:
            raise
    finally:
        _running.stack.pop()
        os.close(file)
    if isinstance(binding.error, _Stuck):
        raise _stuck_error(binding, watchdog_s) from None
    if binding.error is not None:
        raise binding.error
    return found
