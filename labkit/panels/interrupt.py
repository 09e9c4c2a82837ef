# SPDX-License-Identifier: MIT
"""The notebook's interrupt button ends what a panel runs, wherever the interrupt arrives.

Python calls a signal's handler when the main thread comes to its next instruction. That may be
late: an interrupt that arrives when a cell is about to sleep is seen after the sleep. And each
message that a Jupyter kernel handles has a handler of its own. So a thread of ours listens to what
Python writes at once, whichever handler is there (`signal.set_wakeup_fd`). An idle kernel has none,
it ignores the signal: then we put one there that does nothing.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from IPython.core.getipython import get_ipython

_watchers: list[Interrupts] = []

#: Where Python writes the numbers of signals; None: they are not read. The main thread's.
_told: socket.socket | None = None


class Interrupts:
    """Calls `then` for every interrupt between `watch` and `leave`, in a thread of its own."""

    def __init__(self, then: Callable[[], None]) -> None:
        self.then = then

    def watch(self) -> None:
        """From now on; from any thread. Does nothing outside of a Jupyter kernel."""
        shell = get_ipython()
        if shell is None or _loop() is None:
            return
        _watchers.append(self)
        _listen()
        _when_idle(_listen)
        # While a cell awaits, the loop goes on with the cell's handler in place: again after it.
        shell.events.register("post_run_cell", self._after_cell)

    def leave(self) -> None:
        """No longer; from any thread."""
        shell = get_ipython()
        if shell is None or self not in _watchers:
            return
        _watchers.remove(self)
        shell.events.unregister("post_run_cell", self._after_cell)
        _when_idle(_listen_no_more)

    def _after_cell(self, _: Any) -> None:
        _when_idle(_listen)


def _listen() -> None:
    """Only the main thread may change handlers."""
    global _told
    if not _watchers or threading.current_thread() is not threading.main_thread():
        return
    if _told is None:
        heard, _told = socket.socketpair()
        _told.setblocking(False)
        before = signal.set_wakeup_fd(_told.fileno(), warn_on_full_buffer=False)
        if before != -1:  # they are read already, and there can be only one reader
            signal.set_wakeup_fd(before)
        threading.Thread(target=_hear, args=(heard,), name="labkit-interrupts", daemon=True).start()
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, _nothing)


def _listen_no_more() -> None:
    global _told
    if _watchers or _told is None:
        return
    before = signal.set_wakeup_fd(-1)
    if before != _told.fileno():
        signal.set_wakeup_fd(before)
    _told.close()  # ends the thread
    _told = None
    if signal.getsignal(signal.SIGINT) == _nothing:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _hear(heard: socket.socket) -> None:
    with heard:
        while numbers := heard.recv(64):
            if signal.SIGINT in numbers:
                for watcher in list(_watchers):
                    watcher.then()


def _nothing(number: int, frame: FrameType | None) -> None:
    """Handle the signal in an idle kernel, as if it were ignored."""


def _loop() -> Any:
    """The event loop of the Jupyter kernel we are in, or None."""
    kernel = getattr(get_ipython(), "kernel", None)
    loop = getattr(getattr(kernel, "io_loop", None), "asyncio_loop", None)
    return None if loop is None or loop.is_closed() else loop


def _when_idle(do: Callable[[], None]) -> None:
    """Do it in the main thread, after the message that it handles now."""
    loop = _loop()
    if loop is not None:
        loop.call_soon_threadsafe(do)
