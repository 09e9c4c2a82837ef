# SPDX-License-Identifier: MIT
"""A policy in Python over the engine: its calls, which the thread that measures carries out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from labkit.native import engine
from labkit.sim import PolicyError
from labkit.sim._simulator import ffi
from labkit.sim.python_policy import Binding, check_calls, flags_of, name_of

#: Kinds of threads by their number, where the engine makes them itself (`engine.load`).
CLASSES = ("work", "urgent")


class Own:
    """What `engine.Own` asks for, over a class or an object with `ready` and `next`.

    A class is made an object for each measurement, as a policy in C begins anew in each; an object
    goes through all of them.
    """

    def __init__(self, policy: Any, classes: tuple[str, ...] = CLASSES) -> None:
        """Take the policy.

        Raises:
            ChoiceError: it is none.
        """
        check_calls(policy)
        self.policy = policy
        self.classes = classes
        self._binding: Binding | None = None
        self._seconds = 0.0
        self._asked: engine.Asked | None = None
        self.name = name_of(policy)
        self.flags = flags_of(policy)
        self.has_slice = hasattr(policy, "slice")
        self.has_before = hasattr(policy, "before")

    def _tid(self, of: Any) -> int:
        assert self._asked is not None
        return engine.thread_tid(self._asked, of.id)

    @contextlib.contextmanager
    def watched(self, seconds: float) -> Iterator[None]:
        """A measurement; see `engine.Own`."""
        self._binding = Binding(self.policy, self.classes, self._tid)
        self._seconds = seconds
        try:
            with self._binding.watched(seconds):
                yield
        finally:
            self._binding.over = True

    def answer(self, asked: engine.Asked) -> int:
        """Carry a call out; see `engine.Own`."""
        binding = self._binding
        assert binding is not None
        self._asked = asked
        sched = ffi.cast("struct umcg_sched *", asked.sched)
        thread = ffi.cast("struct umcg_sched_thread *", asked.thread)
        given: tuple[Any, ...]
        match asked.call:
            case "ready":
                given = (thread, asked.why)
            case "next":
                given = (asked.server,)
            case "stopped":
                given = (thread, asked.why, asked.ran_ns)
            case "slice":
                given = (thread,)
            case "before":
                given = (thread, ffi.cast("struct umcg_sched_thread *", asked.other))
            case _:
                given = ()
        try:
            found = binding.call(asked.call, sched, *given)
        except BaseException as error:
            binding.failed(error)
            raise
        if asked.call == "dump":
            binding.finish()  # a report is written: another policy takes over
        if asked.call == "next":
            return int(ffi.cast("uintptr_t", found))
        return int(found or 0)

    def close(self, error: BaseException) -> tuple[str, str]:
        """It has ended with this; see `engine.Own`."""
        binding = self._binding
        assert binding is not None
        why = binding.what_failed(self._seconds) or error
        said = binding.dumped()
        binding.finish()
        return (str(why) or type(why).__name__).splitlines()[0], said

    def blame(self, error: BaseException) -> str:
        """What is wrong with the policy; see `engine.Own`."""
        binding = self._binding
        assert binding is not None
        what = binding.what_failed(self._seconds)
        return str(what) if isinstance(what, PolicyError) else ""
