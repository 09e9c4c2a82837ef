# SPDX-License-Identifier: MIT
"""What a running experiment does right now: hand-offs per second, CPU use, runnable, blocked."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from labkit.experiments import Update
from labkit.plots.style import PLACE_COLOURS

#: Readings that the small curve shows.
_KEPT = 80
_WIDE, _HIGH = 240, 44


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
    ) -> None:
        self._clock, self._cpu = clock, cpu
        self._last_t = self._read_t = clock()
        self._read_cpu = cpu()
        self._last_ops = 0
        self._ops, self._time = 0, 0.0
        self._what, self._runnable, self._blocked = "", 0, 0
        self._rates: deque[float] = deque(maxlen=_KEPT)

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
            self._rates.append(rate)
        return Reading(self._what, rate, used, self._runnable, self._blocked)

    def html(self, reading: Reading) -> str:
        """The reading in words, with the rates so far as a curve."""
        # Between measurements nothing is handed off: the last rate stays.
        rate = f"{self._rates[-1]:,.0f}" if self._rates else "?"
        cells = (
            (rate, "hand-offs per second"),
            (f"{reading.cpu:.1f}", "CPUs in use"),
            (str(reading.runnable), "runnable"),
            (str(reading.blocked), "blocked"),
        )
        numbers = "".join(
            f'<span style="display:inline-block;min-width:7.5em;margin-right:1em">'
            f'<b style="font-size:1.25em;font-variant-numeric:tabular-nums">{value}</b><br>'
            f"{name}</span>"
            for value, name in cells
        )
        return (
            f'<div style="display:flex;flex-wrap:wrap;align-items:end;line-height:1.3">{numbers}'
            f"{self._curve()}</div><div>{escape(reading.what)}</div>"
        )

    def _curve(self) -> str:
        if len(self._rates) < 2:
            return ""
        top = max(self._rates) or 1.0
        step = _WIDE / (_KEPT - 1)
        points = " ".join(
            f"{i * step:.1f},{_HIGH - 2 - r / top * (_HIGH - 6):.1f}"
            for i, r in enumerate(self._rates)
        )
        return (
            f'<svg width="{_WIDE}" height="{_HIGH}" role="img" aria-label="hand-offs per second '
            f'so far"><rect width="{_WIDE}" height="{_HIGH}" fill="#f4f5f6"/>'
            f'<polyline points="{points}" fill="none" stroke-width="2" '
            f'stroke="{PLACE_COLOURS["RUNNING"]}"/></svg>'
        )
