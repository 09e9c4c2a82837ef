# SPDX-License-Identifier: MIT
"""Tables to Plotly figures. Each carries its environment in a caption (`labkit.plots.style`)."""

from labkit.plots.charts import (
    plot_comparison,
    plot_histogram,
    plot_latency,
    plot_occupancy,
    plot_ratio,
    plot_throughput,
)
from labkit.plots.style import caption, take_apart
from labkit.plots.timeline import draw, plot_timeline, series_of
from labkit.plots.window import Window, timeline_window

__all__ = [
    "Window",
    "caption",
    "draw",
    "plot_comparison",
    "plot_histogram",
    "plot_latency",
    "plot_occupancy",
    "plot_ratio",
    "plot_throughput",
    "plot_timeline",
    "series_of",
    "take_apart",
    "timeline_window",
]
