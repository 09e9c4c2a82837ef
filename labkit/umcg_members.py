# SPDX-License-Identifier: MIT
"""The threads that work in a group of `labkit.umcg`, so that none is left behind in one."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from labkit.native import engine


class Stopped(BaseException):
    """Raised in a Python worker whose group was interrupted or closed; let it end the worker."""


class Member:
    """One Python worker, from before its thread starts to after it has unregistered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread = 0
        self._tid = 0
        self._stopped = False
        #: It is on its way out. Set before it unregisters, so before a service counts it as gone.
        self.done = False

    @contextmanager
    def works(self, tid: int) -> Iterator[None]:
        """Around the work of the calling thread, whose task is `tid`.

        Raises:
            Stopped: before or during the work.
        """
        with self._lock:
            self._thread, self._tid = threading.get_ident(), tid
            if self._stopped:
                raise Stopped
        try:
            yield
        finally:
            with self._lock:
                self._thread, self.done = 0, True

    def stop(self) -> None:
        """Have it raise `Stopped` as soon as it runs Python; end its `umcg.wait`."""
        with self._lock:
            again, self._stopped = self._stopped, True
            if self._thread and not again:
                ident, what = ctypes.c_ulong(self._thread), ctypes.py_object(Stopped)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, what)
                engine.wake(self._tid)


class Members:
    """All workers of a group."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._python: set[Member] = set()
        self._native = 0

    @property
    def python(self) -> int:
        """How many Python workers there are, or are about to be; not those on their way out."""
        with self._changed:
            return sum(not member.done for member in self._python)

    @property
    def any(self) -> bool:
        """Is there a worker of either kind?"""
        return bool(self._python or self._native)

    @contextmanager
    def one(self, member: Member) -> Iterator[None]:
        """Count a Python worker."""
        self.add(member)
        try:
            yield
        finally:
            self.remove(member)

    def add(self, member: Member) -> None:
        """Count one that is about to come."""
        with self._changed:
            self._python.add(member)

    def remove(self, member: Member) -> None:
        """It has left, or does not come."""
        with self._changed:
            self._python.discard(member)
            self._changed.notify_all()

    @contextmanager
    def natives(self, count: int) -> Iterator[None]:
        """Count workers of the engine."""
        with self._changed:
            self._native += count
        try:
            yield
        finally:
            with self._changed:
                self._native -= count
                self._changed.notify_all()

    def stop(self) -> None:
        """Stop the Python workers."""
        with self._changed:
            python = list(self._python)
        for member in python:
            member.stop()

    def wait_gone(self) -> None:
        """Wait until there is none."""
        with self._changed:
            self._changed.wait_for(lambda: not self.any)
