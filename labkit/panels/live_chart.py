# SPDX-License-Identifier: MIT
"""The last minute of a running experiment as a chart: throughput above, CPUs and threads below.

A FigureWidget of Plotly, made when the first reading comes and not before: its part of the page is
some megabytes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import ipywidgets as widgets

from labkit.panels.meter import Reading
from labkit.plots.style import FONT, series_style

if TYPE_CHECKING:
    from labkit.panels.figure_widget import FigureWidget

#: Seconds that the chart shows, and between two points of it.
SHOWN_S, EVERY_S = 60.0, 1.0

#: Lines below the throughput: what they are called, and what of a reading they show.
_BELOW = {"CPUs in use": "cpu", "runnable": "runnable", "blocked": "blocked"}


class LiveChart(widgets.VBox):  # type: ignore[misc]
    """Operations a second, CPUs in use, runnable and blocked threads over the last minute."""

    def __init__(self, operations: str) -> None:
        """Make an empty one; `operations`: what is counted, in the plural."""
        super().__init__([], layout={"display": "none"})
        self.add_class("labkit-chart")
        self._operations = operations
        self._readings: deque[tuple[float, Reading]] = deque()
        self._last = -EVERY_S
        self.figure: FigureWidget | None = None

    def clear(self) -> None:
        """Forget all readings: another run begins."""
        self._readings.clear()
        self._last = -EVERY_S

    def add(self, t: float, reading: Reading) -> None:
        """Take what was read at `t` seconds; drawn at most once in `EVERY_S`."""
        if t - self._last < EVERY_S:
            return
        self._last = t
        self._readings.append((t, reading))
        while self._readings[0][0] < t - SHOWN_S:
            self._readings.popleft()
        if self.figure is None:
            self.figure = _figure(self._operations)
            self.children = [self.figure]
        x = [then - t for then, _ in self._readings]
        with self.figure.batch_update():
            rates = [one.per_s for _, one in self._readings]
            self.figure.data[0].update(x=x, y=rates)
            for trace, name in zip(self.figure.data[1:], _BELOW.values(), strict=True):
                trace.update(x=x, y=[getattr(one, name) for _, one in self._readings])
        self.layout.display = None


def _figure(operations: str) -> FigureWidget:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    from labkit.panels.figure_widget import FigureWidget

    made = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    line = {"mode": "lines", "connectgaps": False}
    made.add_trace(go.Scatter(name=f"{operations} a second", line=series_style(0), **line), 1, 1)
    for number, name in enumerate(_BELOW, 1):
        look = {"shape": "hv"} if name != "CPUs in use" else {}
        made.add_trace(go.Scatter(name=name, line=series_style(number) | look, **line), 2, 1)
    made.update_layout(
        template="plotly_white",
        font={"family": FONT, "size": 12},
        height=300,
        margin={"l": 10, "r": 10, "t": 10, "b": 40},
        hovermode="x unified",
        uirevision="live",
    )
    made.update_xaxes(range=[-SHOWN_S, 0], autorange=False)
    made.update_xaxes(title_text="seconds before now", row=2, col=1)
    made.update_yaxes(rangemode="tozero", automargin=True)
    made.update_yaxes(title_text=f"{operations} a second", row=1, col=1)
    made.update_yaxes(title_text="CPUs, threads", row=2, col=1)
    return FigureWidget(made)
