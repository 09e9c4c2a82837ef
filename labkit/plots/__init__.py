# SPDX-License-Identifier: MIT
"""Tables to figures. Each carries its environment in a caption (`labkit.plots.style`).

Names are imported when first used: the timeline (`labkit.plots.timeline`) does without Plotly.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from labkit.plots import late, no_grammar

if TYPE_CHECKING:
    from labkit.plots.charts import (
        plot_comparison,
        plot_histogram,
        plot_latency,
        plot_occupancy,
        plot_ratio,
        plot_throughput,
    )
    from labkit.plots.intervals import Interval, plot_intervals
    from labkit.plots.load import plot_load_curve
    from labkit.plots.prediction import plot_prediction
    from labkit.plots.style import caption, take_apart
    from labkit.plots.sweeps import plot_sweep
    from labkit.plots.timeline import Picture, plot_timeline
    from labkit.plots.window import Window, series_of, timeline_window

__all__ = [
    "Interval",
    "Picture",
    "Window",
    "caption",
    "plot_comparison",
    "plot_histogram",
    "plot_intervals",
    "plot_latency",
    "plot_load_curve",
    "plot_occupancy",
    "plot_prediction",
    "plot_ratio",
    "plot_sweep",
    "plot_throughput",
    "plot_timeline",
    "series_of",
    "take_apart",
    "timeline_window",
]

late.load_when_used()
no_grammar.leave_out()

#: Figures that are made of one run: `plot_NAME`.
OF_ONE_RUN = (
    *("comparison", "histogram", "latency", "load_curve"),
    *("occupancy", "ratio", "throughput"),
)

_MODULES = {
    "charts": (
        "plot_comparison",
        "plot_histogram",
        "plot_latency",
        "plot_occupancy",
        "plot_ratio",
        "plot_throughput",
    ),
    "intervals": ("Interval", "plot_intervals"),
    "load": ("plot_load_curve",),
    "prediction": ("plot_prediction",),
    "style": ("caption", "take_apart"),
    "sweeps": ("plot_sweep",),
    "timeline": ("Picture", "plot_timeline"),
    "window": ("Window", "series_of", "timeline_window"),
}
_WHERE = {name: f"labkit.plots.{module}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'labkit.plots' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value
