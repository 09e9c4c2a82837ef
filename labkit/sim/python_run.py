# SPDX-License-Identifier: MIT
"""A simulation under a policy written in Python, in this process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from labkit.sim import core
from labkit.sim._simulator import ffi, lib
from labkit.sim.core import Settings
from labkit.sim.errors import ChoiceError
from labkit.sim.python_policy import Binding, flags_of, name_of
from labkit.workload import Workload


class _Running(threading.local):
    """The simulations of a thread, the innermost last: `onerror` is told of no scheduler.

    A simulation calls its policy in the thread that it runs in, so this is the right one.
    """

    def __init__(self) -> None:
        self.stack: list[tuple[Binding, Any]] = []


_running = _Running()


def _failed(kind: Any, error: BaseException, trace: Any) -> None:
    binding, sim = _running.stack[-1]
    binding.failed(error.with_traceback(trace))
    lib.sim_stop(sim)


def _caller(name: str) -> Callable[..., Any]:
    def call(*given: Any) -> Any:
        return _running.stack[-1][0].call(name, *given)

    return call


#: What each call gives C when it has raised something.
_CALLS = {
    "init": -1,
    "ready": None,
    "next": ffi.NULL,
    "stopped": None,
    "slice": 0,
    "before": False,
    "dump": None,
}
for _name, _error in _CALLS.items():
    ffi.def_extern(name=f"sim_python_{_name}", error=_error, onerror=_failed)(_caller(_name))


def _struct(policy: Any) -> tuple[Any, Any]:
    """The C policy that calls a Python one, and its name, which must stay alive."""
    name = ffi.new("char[]", name_of(policy).encode())
    made = ffi.new("struct umcg_policy *")
    made.abi, made.size = lib.UMCG_POLICY_ABI, ffi.sizeof("struct umcg_policy")
    made.name, made.summary, made.flags = name, name, flags_of(policy)
    for what in ("init", "ready", "next", "stopped", "dump"):
        setattr(made, what, getattr(lib, f"sim_python_{what}"))
    for what in ("slice", "before"):
        if hasattr(policy, what):
            setattr(made, what, getattr(lib, f"sim_python_{what}"))
    return made, name


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
    first = settings.servers + 1
    classes = tuple(each.name for each in workload.classes)
    binding = Binding(policy, classes, lambda of: first + int(of.seq))
    struct, name = _struct(binding.policy)

    @contextlib.contextmanager
    def around(sim: Any) -> Iterator[None]:
        def meanwhile() -> None:
            if stop is not None and stop.is_set():
                lib.sim_stop(sim)

        _running.stack.append((binding, sim))
        try:
            with binding.watched(watchdog_s, meanwhile):
                yield
        finally:
            _running.stack.pop()
            binding.finish()

    file = os.open(folder / "events", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        found = core.run(struct, "", workload, settings, file, around)
    except ChoiceError:
        # init() failed: by what it raised.
        if binding.error is None:
            raise
    finally:
        del name
        os.close(file)
    if error := binding.what_failed(watchdog_s):
        raise error
    return found
