# SPDX-License-Identifier: MIT
"""Says how far the start of a kernel is: in the terminal, and to JupyterLab as a Jupyter event.

`booting.js` shows the events. Where no Jupyter server runs there are log lines only.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any, Literal

from jupyter_events.schema_registry import SchemaRegistryException

SCHEMA = "urn:labkit:kernel-start"

#: Seconds between two events: time is seen to pass, also on a page that was opened meanwhile.
REPEAT_S = 2.0

#: What surprises those who know other kernels; see `frozen` and `ports` of `labkit.vm.VmOptions`.
IN_THE_GUEST = (
    "It has no network and sees the packages read-only: install more with pip in a terminal of "
    "this machine, not with %pip"
)

_TEXT = {"type": "string", "description": "See `labkit.jupyter.announce`."}
_EVENT = {
    "$id": SCHEMA,
    "version": "1",
    "title": "A Jupyter kernel that starts in a microVM",
    "type": "object",
    "required": ["kernel_id", "state", "text"],
    "properties": {"kernel_id": _TEXT, "state": _TEXT, "text": _TEXT},
}

State = Literal["waiting", "ready", "failed"]


def register(events: Any) -> None:
    """Make the event known to a `jupyter_events.EventLogger`; may be done again."""
    with suppress(SchemaRegistryException):
        events.register_event_schema(_EVENT)


class Announcer:
    """What is said about one start of one kernel."""

    def __init__(self, name: str, kernel_id: str, log: logging.Logger, events: Any) -> None:
        """Begin.

        Args:
            name: what people call the kernel.
            kernel_id: what Jupyter calls it.
            log: the server's log, shown in its terminal.
            events: the server's `jupyter_events.EventLogger`, or None.
        """
        self._name = name
        self._kernel_id = kernel_id
        self._log = log
        self._events = events
        self._begun = time.monotonic()
        self._waits_for = ""
        if events is not None:
            register(events)

    def _emit(self, state: State, text: str) -> None:
        if self._events is not None:
            data = {"kernel_id": self._kernel_id, "state": state, "text": text}
            self._events.emit(schema_id=SCHEMA, data=data)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._begun:.0f} s"

    def waiting(self, what: str) -> None:
        """It waits for `what`."""
        self._waits_for = what
        self._log.info("%s: %s", self._name, what)
        self._emit("waiting", f"{self._name}: {what}")

    async def repeat(self) -> None:
        """Say it again and again, until cancelled."""
        while True:
            await asyncio.sleep(REPEAT_S)
            if self._waits_for:
                self._emit("waiting", f"{self._name}: {self._waits_for} ({self._elapsed()} so far)")

    def ready(self) -> None:
        """It has started."""
        self._log.info("%s: ready after %s", self._name, self._elapsed())
        if self._waits_for:
            self._emit("ready", f"{self._name} is ready. {IN_THE_GUEST}")

    def failed(self, why: str) -> None:
        """It has not."""
        self._log.error("%s", why)
        self._emit("failed", why)
