# SPDX-License-Identifier: MIT
"""A Jupyter server that stops amid a page's request ends, too.

The server reads files in AnyIO's worker threads. AnyIO ends such a thread with the task in which it
was first needed, a page's request; a server that stops before that request is answered leaves the
thread waiting for work, and Python waits for the thread: Ctrl-C has been confirmed, the kernels are
gone, and the process stays for ever. A page that is open asks every few seconds; the slower the
machine, the more often it happens.
"""

from __future__ import annotations

import sys
import threading
from typing import Any


def _after_the_main_thread() -> None:
    threading.main_thread().join()
    # Not part of AnyIO's API; absent where nobody has needed a thread yet.
    kind: Any = getattr(sys.modules.get("anyio._backends._asyncio"), "WorkerThread", ())
    for thread in threading.enumerate():
        if isinstance(thread, kind) and not thread.stopping:
            thread.stop()


def let_workers_end() -> None:
    """From now on AnyIO's worker threads of this process end when its main thread has."""
    threading.Thread(target=_after_the_main_thread, name="labkit-ending", daemon=True).start()
