# SPDX-License-Identifier: MIT
"""Policies written in Python: a class with `ready` and `next`, and what it sees of its host.

What its calls get are `Thread` and `Scheduler` objects over the C structures of umcg-policy.h,
whoever the host is: the simulator (`python_run.py`), or the kernel (`labkit.experiments.own`). The
calls are made in the thread that asked for the run, so that an exception in one is an exception
there, and the policy's object can be looked at afterwards.
"""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from labkit.sim._simulator import ffi, lib
from labkit.sim.errors import ChoiceError, PolicyError

#: What `why` may be; see umcg-policy.h.
WHYS = (
    *("new", "woken", "preempted", "expired", "yielded"),
    *("blocked", "waiting", "ended"),
)
STATES = ("none", "ready", "running", "blocked")

#: What a policy's functions are given. It has the first two, and may have the others.
_CALLS: dict[str, tuple[str, ...]] = {
    "ready": ("thread", "why"),
    "next": ("server",),
    "stopped": ("thread", "why", "ran_ns"),
    "slice": ("thread",),
    "before": ("a", "b"),
    "init": (),
    "dump": (),
}


class Thread:
    """A thread as a policy sees it. A policy may set attributes of its own.

    Attributes (times in ns, virtual ones in the simulator; see `struct umcg_sched_thread`): `id`
    (the tid of the event table), `klass` (name of its class), `weight`, `priority` (larger goes
    first), `deadline_ns` (of its job, 0: none), `expected_ns` (0: unknown), `tenant`, `state`
    (ready, running, blocked, none), `server` (that has it or had it last, None), `service_ns`,
    `request_service_ns`, `request_ns`, `ready_ns`, `turn_ns`. After its end they stay what they
    were last.
    """

    def __init__(self, of: Any, number: int, klass: str) -> None:
        self._of = of
        self._gone = False
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
        return f"<thread {self.id} ({self.klass}), {'ended' if self._gone else self.state}>"

    def _leave(self) -> None:
        """The C structure is going to be another's, or nobody's: keep what it says."""
        self._of = ffi.new("struct umcg_sched_thread *", self._of[0])
        self._gone = True


_NUMBERS = (
    *("weight", "priority", "deadline_ns", "expected_ns", "tenant", "service_ns"),
    *("request_service_ns", "request_ns", "ready_ns", "turn_ns"),
)
_ATTRIBUTES = ("id", "klass", "state", "server", *_NUMBERS)


class Scheduler:
    """What a policy may ask of its host: `self.sched` of the policy.

    Attributes: `now_ns` (the time; virtual in the simulator), `servers` (how many), `ready`
    (threads that are ready). Only calls of the policy may use it.
    """

    def __init__(self, of: Any, binding: Binding) -> None:
        self._of = of
        self._binding = binding

    @property
    def _host(self) -> Any:
        if self._binding.over:
            raise RuntimeError("the run is over, and with it this policy's scheduler")
        return self._of

    @property
    def now_ns(self) -> int:
        """The time in ns; during one call it stands still."""
        now: int = self._host.now_ns
        return now

    @property
    def servers(self) -> int:
        """How many servers there are, numbered from 0."""
        count: int = self._host.servers
        return count

    @property
    def ready(self) -> int:
        """How many threads are ready."""
        count: int = self._host.ready
        return count

    def running(self, server: int) -> Thread | None:
        """Whom a server runs."""
        if not 0 <= server < self.servers:
            raise IndexError(f"there is no server {server}; there are 0 to {self.servers - 1}")
        return self._binding.thread(self._host.running[server])

    def turn_ns(self, thread: Thread) -> int:
        """How long the present turn of a thread lasts already; 0 if it does not run."""
        return max(0, self.now_ns - thread.turn_ns) if thread.state == "running" else 0

    def random(self) -> int:
        """The next of 2^64 numbers that follow from the seed."""
        number: int = lib.umcg_random(self._host)
        return number

    def kick(self, server: int, *, wake: bool = False, preempt: bool = False) -> None:
        """Have a server look again: if it sleeps (`wake`), if it runs a thread (`preempt`)."""
        how = wake * lib.UMCG_KICK_WAKE | preempt * lib.UMCG_KICK_PREEMPT
        lib.sim_host_kick(self._host, server, how)


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


#: How often a watchdog looks at a policy's call, s.
_LOOK_S = 0.05


class _Stuck(BaseException):
    """A call of the policy does not come back."""


class Binding:
    """A policy's object in one run, with what its calls need.

    Attributes:
        policy: the object.
        error: what a call raised; None.
        over: there is no scheduler any more.
    """

    def __init__(self, policy: Any, classes: tuple[str, ...], number: Callable[[Any], int]) -> None:
        """`number(struct umcg_sched_thread *)` is the thread's tid in the event table."""
        check_calls(policy)
        self.policy: Any = policy() if inspect.isclass(policy) else policy
        self.error: BaseException | None = None
        self.over = False
        self._classes = classes
        self._number = number
        self._threads: dict[int, Thread] = {}
        self._calls = 0
        self._inside = ""  # the function that is being called
        self._failed = ""  # the one that raised `error`

    def thread(self, of: Any) -> Thread | None:
        """The object of a C thread."""
        if of == ffi.NULL:
            return None
        found = self._threads.get(of.seq)
        if found is None:
            klass = of.klass
            name = self._classes[klass] if klass < len(self._classes) else f"class {klass}"
            found = Thread(of, self._number(of), name)
            self._threads[of.seq] = found
        return found

    def call(self, name: str, sched: Any, *given: Any) -> Any:
        """Call a function of the policy; what C gives it, and wants from it."""
        self._calls += 1
        self._inside = name
        found = getattr(self, f"_{name}")(sched, *given)
        self._inside = ""
        return found

    def failed(self, error: BaseException) -> None:
        """A call has raised this. The first error is what went wrong."""
        if self.error is None:
            self.error, self._failed = error, self._inside
        self._inside = ""

    def finish(self) -> None:
        """The C structures are going away."""
        self.over = True
        for thread in self._threads.values():
            if not thread._gone:
                thread._leave()

    def _init(self, sched: Any) -> int:
        self.policy.sched = Scheduler(sched, self)
        if hasattr(self.policy, "init"):
            self.policy.init()
        return 0

    def _ready(self, sched: Any, thread: Any, why: int) -> None:
        self.policy.ready(self.thread(thread), WHYS[why])

    def _next(self, sched: Any, server: int) -> Any:
        found = self.policy.next(server)
        if found is None:
            return ffi.NULL
        if not isinstance(found, Thread) or found._gone:
            raise PolicyError(
                f"policy {name_of(self.policy)} returned {found!r} from next() to server {server};"
                " it has to return a thread that is ready, or None"
            )
        return found._of

    def _stopped(self, sched: Any, thread: Any, why: int, ran_ns: int) -> None:
        about = self.thread(thread)
        if hasattr(self.policy, "stopped"):
            self.policy.stopped(about, WHYS[why], ran_ns)
        if WHYS[why] == "ended" and about:
            about._leave()
            self._threads.pop(thread.seq, None)

    def _slice(self, sched: Any, thread: Any) -> int:
        found = self.policy.slice(self.thread(thread)) or 0
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**63:
            raise PolicyError(
                f"policy {name_of(self.policy)} returned {found!r} from slice(); it has to return"
                " whole ns, 0 for no end"
            )
        return found

    def _before(self, sched: Any, a: Any, b: Any) -> bool:
        return bool(self.policy.before(self.thread(a), self.thread(b)))

    def _dump(self, sched: Any) -> None:
        lib.sim_host_print(sched, f"{self.dumped()}\n".encode())

    def dumped(self) -> str:
        """What the policy tells of itself: by `dump()`, else its attributes."""
        try:
            if hasattr(self.policy, "dump"):
                return str(self.policy.dump())
            attributes = {name: of for name, of in vars(self.policy).items() if name != "sched"}
            return ", ".join(f"{name}={value!r}" for name, value in attributes.items())
        except Exception as error:
            return f"nothing, as that raises {error!r}"

    def stuck_error(self, seconds: float) -> PolicyError:
        """The report of a call that did not come back, with the policy's own lines."""
        assert self.error is not None
        frames = traceback.extract_tb(self.error.__traceback__)
        own = [frame for frame in frames if frame.filename != __file__]
        lines = "".join(traceback.format_list(own))
        busy = [f"  {thread!r}\n" for thread in self._threads.values()][:16]
        return PolicyError(
            f"policy {name_of(self.policy)} does not come back from {self._failed}() within"
            f" {seconds:g} s: it spins or sleeps\n{lines}{''.join(busy)}"
            f"{name_of(self.policy)} says: {self.dumped()}"
        )

    @contextlib.contextmanager
    def watched(
        self, seconds: float, meanwhile: Callable[[], None] = lambda: None
    ) -> Iterator[None]:
        """Raise `_Stuck` in a call that lasts too long; call `meanwhile` twenty times a second.

        Time is counted in looks, as a machine that stands still is no fault of the policy's. A call
        that sleeps in the operating system is only reached in the main thread, by a signal.
        """
        target = threading.get_ident()
        main = threading.current_thread() is threading.main_thread()
        over = threading.Event()
        stuck_call = -1

        def stuck(*_: object) -> None:
            if self._inside and self._calls == stuck_call:
                raise _Stuck

        def watch() -> None:
            nonlocal stuck_call
            seen, looks = -1, 0
            while not over.wait(_LOOK_S):
                meanwhile()
                looks += 1
                if not self._inside or self._calls != seen:
                    seen, looks = self._calls, 0
                elif looks * _LOOK_S >= seconds and stuck_call != seen:
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

    def what_failed(self, seconds: float) -> BaseException | None:
        """What the run is to raise: what a call raised, or the report of one that was stuck."""
        return self.stuck_error(seconds) if isinstance(self.error, _Stuck) else self.error


def name_of(policy: Any) -> str:
    """A policy's name: its `name`, else that of its class."""
    kind = policy if inspect.isclass(policy) else type(policy)
    return str(getattr(policy, "name", "") or kind.__name__)


def flags_of(policy: Any) -> int:
    """UMCG_MAY_STARVE and UMCG_MAY_IDLE, as its attributes say."""
    flags = getattr(policy, "may_starve", False) * lib.UMCG_MAY_STARVE
    return int(flags | getattr(policy, "may_idle", False) * lib.UMCG_MAY_IDLE)


def check_calls(policy: Any) -> None:
    """Check that a class or an object has what a policy must have, and that the rest can be called.

    Raises:
        ChoiceError: it has not, or something in it cannot be what a policy has under that name.
    """
    for needed in ("ready", "next"):
        if not hasattr(policy, needed):
            raise ChoiceError(
                f"{policy!r} is no policy: it has no {needed}(); give a name, the path of a shared"
                " object, or a class with ready(thread, why) and next(server)"
            )
    for name, kind, wanted in (
        ("name", (str, type(None)), "a text"),
        ("may_starve", bool, "True or False"),
        ("may_idle", bool, "True or False"),
    ):
        value = getattr(policy, name, None if name == "name" else False)
        if not isinstance(value, kind):
            raise ChoiceError(f"policy {_class(policy)} has {name} = {value!r}; give {wanted}")
    for name, given in _CALLS.items():
        if hasattr(policy, name):
            _check_call(policy, name, given)
    if inspect.isclass(policy) and not _takes(policy, ()):
        raise ChoiceError(
            f"policy {_class(policy)} cannot be made without arguments; give an object of it,"
            f" {_class(policy)}(...), or defaults to its __init__()"
        )


def _class(policy: Any) -> str:
    return (policy if inspect.isclass(policy) else type(policy)).__name__


def _check_call(policy: Any, name: str, given: tuple[str, ...]) -> None:
    """Check one of `_CALLS`."""
    call, wanted = getattr(policy, name), f"{name}({', '.join(given)})"
    if not callable(call):
        raise ChoiceError(
            f"policy {_class(policy)} has {name} = {call!r}; it has to be a function, {wanted}"
            + ("" if name in ("ready", "next") else ", or not be there")
        )
    # A class's plain functions get its object, too.
    own = inspect.isclass(policy) and inspect.isfunction(inspect.getattr_static(policy, name))
    if not _takes(call, ("self", *given) if own else given):
        raise ChoiceError(
            f"policy {_class(policy)} has {name}{inspect.signature(call)}; it is called as {wanted}"
        )


def _takes(call: Any, given: tuple[str, ...]) -> bool:
    """Can it be called with so many arguments? True if it does not say."""
    try:
        signature = inspect.signature(call)
    except ValueError:
        return True
    try:
        signature.bind(*given)
    except TypeError:
        return False
    return True
