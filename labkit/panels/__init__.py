# SPDX-License-Identifier: MIT
"""Widgets for notebooks: a panel for each experiment, the timeline, the protocol step by step."""

from __future__ import annotations

from typing import Any

try:
    import ipywidgets  # noqa: F401
except ImportError as error:
    raise ImportError(
        "panels need Jupyter's widgets; in the project's folder: pip install -e '.[lab]'"
    ) from error

from labkit.panels.races_widget import Races
from labkit.panels.run_panel import Panel
from labkit.panels.timeline_widget import Timeline
from labkit.records import Record, a_run

__all__ = ["Panel", "Races", "Timeline", "panel", "timeline"]


def panel(name: str, recorded: Any = None, **fields: Any) -> Panel:
    """The panel of an experiment: `labkit.panel("block", workers=16)`; see `Panel`."""
    return Panel(name, recorded, **fields)


def timeline(run: Record, series: str | None = None) -> Timeline:
    """The interactive timeline of a run; see `Timeline`.

    Raises:
        TypeError: that is no run; says what to do with a file.
    """
    return Timeline(a_run(run), series)
