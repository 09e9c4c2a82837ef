# SPDX-License-Identifier: MIT
"""The notebook's interrupt button ends what a panel runs, also when no cell is executing.

An idle Jupyter kernel ignores the signal. While something runs that a panel has started, the
signal's handler is this module's. While a cell executes the handler is the kernel's; that the cell
was interrupted is seen when it is over.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from IPython.core.getipython import get_ipython


class Interrupts:
    """Calls `then` for every interrupt between `watch` and `leave`."""

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then
        self._before: Any = None
        self._watching = False

    def watch(self) -> None:
        """From now on; from any thread. Does nothing outside of a Jupyter kernel."""
        self._watching = True
        self._in_main_thread(self._install)
        if (shell := get_ipython()) is not None:
            shell.events.register("post_run_cell", self._after_cell)

    def leave(self) -> None:
        """No longer; from any thread."""
        self._watching = False
        self._in_main_thread(self._restore)
        if (shell := get_ipython()) is not None:
            with suppress(ValueError):  # it was not registered
                shell.events.unregister("post_run_cell", self._after_cell)

    def _in_main_thread(self, do: Callable[[], None]) -> None:
        """Only the main thread may change handlers, and not while it handles a message.

        Around each message the kernel sets a handler of its own and puts back what was there.
        """
        kernel = getattr(get_ipython(), "kernel", None)
        loop = getattr(getattr(kernel, "io_loop", None), "asyncio_loop", None)
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(do)

    def _install(self) -> None:
        here = threading.current_thread() is threading.main_thread()
        if here and self._watching and self._before is None:
            self._before = signal.signal(signal.SIGINT, self._handle)

    def _restore(self) -> None:
        if self._before is not None and not self._watching:
            if signal.getsignal(signal.SIGINT) == self._handle:
                signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _after_cell(self, result: Any) -> None:
        if isinstance(result.error_in_exec, KeyboardInterrupt):
            self._then()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._then()
        if callable(self._before):
            self._before(number, frame)
