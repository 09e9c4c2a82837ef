# SPDX-License-Identifier: MIT
"""Tables to figures. Each carries its environment in a caption (`labkit.plots.style`).

Names are imported when first used: Plotly takes long to import in a guest under TCG, where the
timeline (`labkit.plots.picture`) does without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.plots.charts import (
        plot_comparison,
        plot_histogram,
        plot_latency,
        plot_occupancy,
        plot_ratio,
        plot_throughput,
    )
    from labkit.plots.style import caption, take_apart
    from labkit.plots.timeline import draw, plot_timeline
    from labkit.plots.window import Window, series_of, timeline_window

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

_MODULES = {
    "charts": (
        "plot_comparison",
        "plot_histogram",
        "plot_latency",
        "plot_occupancy",
        "plot_ratio",
        "plot_throughput",
    ),
    "style": ("caption", "take_apart"),
    "timeline": ("draw", "plot_timeline"),
    "window": ("Window", "series_of", "timeline_window"),
}
_WHERE = {name: f"labkit.plots.{module}" for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'labkit.plots' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value
