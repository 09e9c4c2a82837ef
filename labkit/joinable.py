# SPDX-License-Identifier: MIT
"""A thread whose `join` may be interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Joinable(threading.Thread):
    """A daemon thread that is still there after a Ctrl-C in its `join`.

    Python 3.11 and 3.12 take a thread for ended that runs, once an exception out of a signal
    handler has left `Thread.join` (`_wait_for_tstate_lock`: the lock that it finds locked may be
    the thread's own). Whoever goes on then frees what the thread still uses.
    """

    def __init__(self, target: Callable[[], object], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self._over = threading.Event()

    def run(self) -> None:
        """Call the target."""
        try:
            super().run()
        finally:
            self._over.set()

    def is_alive(self) -> bool:
        """Has it been started, and not come to the end of its target?"""
        return self.ident is not None and not self._over.is_set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until its target has ended.

        Args:
            timeout: seconds; None: no end.

        Raises:
            RuntimeError: it has not been started.
        """
        if self.ident is None:
            raise RuntimeError("the thread has not been started")
        self._over.wait(timeout)
