# SPDX-License-Identifier: MIT
"""Values with their intervals, a row each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from labkit.plots.style import SERIES_COLOURS, TOP_LEGEND, finish, log_ticks
from labkit.records import Record


class Interval(NamedTuple):
    """One row: what it is, its value, and the ends of its interval (nan: none)."""

    name: str
    value: float
    low: float
    high: float


def plot_intervals(
    dots: Sequence[Interval], record: Record, title: str, axis: str, *, ratio: bool = False
) -> go.Figure:
    """Draw one row a value.

    Args:
        dots: from top to bottom, all above 0; names may repeat.
        record: the run that they are of, for the caption.
        title: stands above.
        axis: what the numbers are.
        ratio: draw a line at 1 and make dots hollow whose interval contains it.

    Raises:
        ValueError: there are no dots, or one is not above 0.
    """
    if not dots or min(dot.value for dot in dots) <= 0:
        raise ValueError("dots need one value or more, all above 0")
    unsure = np.array([ratio and not (dot.high < 1 or dot.low > 1) for dot in dots])
    fig = go.Figure()
    kinds = (
        ("95 % interval excludes 1", ~unsure, "circle", SERIES_COLOURS[0]),
        ("95 % interval includes 1", unsure, "circle-open", SERIES_COLOURS[6]),
    )
    rows = np.arange(len(dots))
    for name, mine, symbol, colour in kinds:
        if not mine.any():
            continue
        kept = [dots[i] for i in rows[mine]]
        ends = np.array([(dot.high - dot.value, dot.value - dot.low) for dot in kept])
        up, down = np.nan_to_num(ends).T
        said = [f"{dot.name}: {dot.value:.4g} ({dot.low:.4g} to {dot.high:.4g})" for dot in kept]
        fig.add_scatter(
            x=[dot.value for dot in kept],
            y=rows[mine],
            mode="markers",
            marker={"size": 11, "symbol": symbol, "color": colour, "line": {"width": 2}},
            error_x={
                "type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 2,
            },
            name=name,
            showlegend=ratio,
            text=said,
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    numbers = [end for dot in dots for end in (dot.value, dot.low, dot.high) if end > 0]
    low, high = min(numbers), max(numbers)
    if ratio:
        low, high = min(0.9, low), max(1.1, high)
        fig.add_vline(1, line={"width": 1.5, "color": "#1d2733", "dash": "dash"})
    if ratio or high > 20 * low:
        fig.update_xaxes(type="log", title=f"{axis} (log)", **log_ticks(low, high, "{:g}".format))
    else:
        fig.update_xaxes(title=axis, rangemode="tozero", separatethousands=True)
    fig.update_yaxes(
        tickvals=rows, ticktext=[dot.name for dot in dots], range=[len(dots) - 0.4, -0.6]
    )
    fig = finish(fig, record, title, height=140 + 30 * len(dots))
    return fig.update_layout(legend=TOP_LEGEND)
