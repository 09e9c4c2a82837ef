# SPDX-License-Identifier: MIT
"""What a running experiment does right now: throughput, CPU use, runnable, blocked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from labkit.experiments import Update


@dataclass(frozen=True)
class Reading:
    """One look.

    Attributes:
        what: the series being measured.
        per_s: hand-offs (operations) a second since the reading before; None: none was measured.
        cpu: CPUs that this process kept busy meanwhile.
        runnable: threads at work that are not in a call that blocks.
        blocked: threads in a call that blocks.
    """

    what: str
    per_s: float | None
    cpu: float
    runnable: int
    blocked: int


class Meter:
    """Makes rates out of the updates of an experiment, which come as often as they like."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
        operations: str = "operations",
    ) -> None:
        self._clock, self._cpu = clock, cpu
        self._last_t = self._read_t = clock()
        self._read_cpu = cpu()
        self._last_ops = 0
        self._ops, self._time = 0, 0.0
        self._what, self._runnable, self._blocked = "", 0, 0
        self._rate: float | None = None
        self._operations = operations

    def take(self, update: Update) -> None:
        """Count an update in."""
        now = self._clock()
        self._what = update.what
        if update.live is None:
            # Between two measurements the operations start again from none.
            self._last_ops, self._last_t = 0, now
            return
        if update.live.ops > self._last_ops:
            self._ops += update.live.ops - self._last_ops
        self._time += now - self._last_t
        self._last_ops, self._last_t = update.live.ops, now
        if update.live.live:
            self._runnable = max(0, update.live.live - update.live.blocked)
            self._blocked = update.live.blocked

    def read(self) -> Reading:
        """What there was since the last reading."""
        now, cpu = self._clock(), self._cpu()
        rate = self._ops / self._time if self._time > 0 else None
        used = (cpu - self._read_cpu) / max(now - self._read_t, 1e-9)
        self._read_t, self._read_cpu = now, cpu
        self._ops, self._time = 0, 0.0
        if rate is not None:
            self._rate = rate
        return Reading(self._what, rate, used, self._runnable, self._blocked)

    def html(self, reading: Reading) -> str:
        """The reading as numbers, read out by a screen reader."""
        # Between measurements nothing is handed off: the last rate stays.
        rate = "?" if self._rate is None else f"{self._rate:,.0f}"
        cells = (
            (rate, f"{self._operations} a second"),
            (f"{reading.cpu:.1f}", "CPUs in use"),
            (str(reading.runnable), "runnable"),
            (str(reading.blocked), "blocked"),
        )
        numbers = "".join(
            f'<span style="display:inline-block;min-width:7.5em;margin-right:1em">'
            f'<b style="font-size:1.25em;font-variant-numeric:tabular-nums">{value}</b><br>'
            f"{escape(name)}</span>"
            for value, name in cells
        )
        return f'<div style="display:flex;flex-wrap:wrap;line-height:1.3">{numbers}</div>'
