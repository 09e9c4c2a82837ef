# SPDX-License-Identifier: MIT
"""A run as a panel shows it: timeline, latency distribution, table; and what stays of it."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets as widgets
import plotly.graph_objects as go

from labkit.analysis.requires import MissingEvents
from labkit.panels.figure_widget import FigureWidget
from labkit.panels.results import samples_html, words_html
from labkit.panels.saved_picture import SavedPicture
from labkit.panels.timeline_widget import Timeline
from labkit.plots.ccdf import LATENCIES
from labkit.plots.charts import plot_latency
from labkit.plots.style import caption
from labkit.records import Record


class RunView(widgets.VBox):  # type: ignore[misc]
    """Shows one run after the other; hidden until there is one."""

    def __init__(self) -> None:
        self.title = _html("labkit-shown")
        self.timeline = Timeline()
        self.latency = widgets.VBox()
        self.latency.add_class("labkit-latency")
        self._figure: FigureWidget | None = None
        self.table = _html("labkit-table")
        self.which = widgets.Dropdown(
            options=[(title, name) for name, (_, title) in LATENCIES.items()],
            description="Distribution",
            style={"description_width": "initial"},
            layout={"width": "min(460px, 100%)"},
        )
        self.which.add_class("labkit-which")
        self.which.observe(lambda _: self._draw_latency(), "value")
        self._static = SavedPicture(figure=True)
        self.timeline.static_id = self._static.name  # the panel's picture is the one to hide
        self._run: Record | None = None
        self._drawn: go.Figure | None = None
        super().__init__(
            [self.title, self.timeline, self.which, self.latency, self.table],
            layout={"display": "none"},
        )

    def show(self, run: Record, title: str) -> None:
        """Show this run from now on."""
        self._run = run
        self.title.value = f"<b>{escape(title)}</b>"
        try:
            self.timeline.show(run)
        except MissingEvents as error:
            self.timeline.clear()
            self.title.value += words_html(f"{caption(run)} No timeline: {_why(run, error)}.")
        self.table.value = samples_html(run)
        self._draw_latency()
        self.layout.display = None
        self._static.update(self.timeline.svg(), self.table.value, self._drawn)

    def display(self, bundle: Any) -> None:
        """Display the panel this belongs to, from its MIME bundle, and the picture that stays."""
        self._static.display(bundle)

    def _draw_latency(self) -> None:
        if self._run is None:
            return
        try:
            drawn = plot_latency(self._run, self.which.value)
        except MissingEvents as error:
            self._drawn = None
            said = words_html(f"Nothing to draw: {_why(self._run, error)}.")
            self.latency.children = [widgets.HTML(said)]
            return
        self._drawn = drawn
        if self._figure is None:
            self._figure = FigureWidget(drawn)
        else:
            # Another one would bring its part of the page along, some megabytes, again.
            with self._figure.batch_update():
                self._figure.data = []
                self._figure.add_traces(drawn.data)
                self._figure.layout = drawn.layout
        self.latency.children = [self._figure]


def _why(run: Record, error: MissingEvents) -> str:
    if run.events.is_empty() and run.counters.get("stopped"):
        return "the run was stopped before events were recorded"
    return str(error)


def _html(name: str) -> widgets.HTML:
    html = widgets.HTML()
    html.add_class(name)
    return html
