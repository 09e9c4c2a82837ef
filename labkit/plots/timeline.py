# SPDX-License-Identifier: MIT
"""The timeline: one lane a task, servers above workers, a strip of CPUs on top."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from labkit.analysis.needs import needs
from labkit.plots.lanes import (
    CPU_COLOURS,
    HATCHES,
    INK,
    MOST_ARROWS,
    MOST_MARKS,
    PITCH,
    SHARED,
    arrows,
    no_data_words,
    share_percent,
    share_pixels,
    slice_words,
    unit_of,
)
from labkit.plots.style import PLACE_COLOURS, TOP_LEGEND, duration, finish
from labkit.plots.window import NO_DATA, Window, pick_series, timeline_window
from labkit.record import Record
from labkit.trace.loss import last_known
from labkit.trace.schema import STATE_KINDS


@needs(any_of=STATE_KINDS)
def plot_timeline(
    record: Record,
    series: str | None = None,
    t0: int | None = None,
    t1: int | None = None,
    pixels: int = 1000,
) -> go.Figure:
    """Draw one series' tasks between two times.

    Args:
        record: a run.
        series: which of `series_of(record)`; None: the first.
        t0: begin, ns of CLOCK_MONOTONIC; None: the series' first event.
        t1: end, ns; None: its last event, recorded or lost.
        pixels: width of the drawing.

    Raises:
        MissingEvents: the run has no state changes, or none of this series.
        ValueError: the window is empty.
    """
    name, tasks, events = pick_series(record, series)
    first = int(events["t"][0])
    begin = first if t0 is None else t0
    end = last_known(events) + 1 if t1 is None else t1
    window = timeline_window(record.events, tasks, begin, end, pixels)
    return draw(record, window, f"Timeline: {name}", first)


def draw(record: Record, window: Window, title: str, origin: int) -> go.Figure:
    """The figure of a window; times count from `origin` (ns)."""
    strips = max(1, len(window.cpus))
    lane_height = 30 if window.lanes.height <= 16 else 18
    heights = [14 * strips + 10, lane_height * window.lanes.height + 20]
    fig = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=heights, vertical_spacing=0.03
    )
    unit, size = unit_of(window.t1 - origin)
    axis = _Axis(origin, size)
    if window.aggregated:
        _draw_shares(fig, window, axis, unit)
    else:
        _draw_slices(fig, window, axis, unit)
        _draw_cpus(fig, window, axis, unit)
        _draw_arrows(fig, window, axis)
        _draw_marks(fig, window, axis)
    _draw_no_data(fig, window, axis, unit)
    for place, colour in PLACE_COLOURS.items():
        # A bar with no data, so that the legend is the same for both ways of drawing.
        fig.add_bar(x=[None], y=[None], name=place, marker_color=colour, row=2, col=1)
    for name, pattern, flag in HATCHES:
        if window.slices.width and (window.slices["flags"] & flag != 0).any():
            fig.add_bar(
                x=[None],
                y=[None],
                name=name,
                marker={"color": "#fff", "pattern": {"shape": pattern, "fgcolor": INK}},
                row=2,
                col=1,
            )
    fig.update_layout(barmode="overlay", bargap=0.2)
    span = [axis(window.t0), axis(window.t1)]
    fig.update_xaxes(range=span, showgrid=True, gridcolor="#eef0f2")
    fig.update_xaxes(title_text=f"time since the series began ({unit})", row=2, col=1)
    fig.update_yaxes(
        tickvals=list(range(strips)),
        ticktext=[f"CPU {c}" for c in window.cpus] or ["CPU ?"],
        range=[strips - 0.5, -0.5],
        showgrid=False,
        row=1,
        col=1,
    )
    fig.update_yaxes(
        tickvals=list(range(window.lanes.height)),
        ticktext=window.lanes["name"].to_list(),
        range=[window.lanes.height - 0.5, -0.5],
        showgrid=False,
        row=2,
        col=1,
    )
    notice = window.notice or f"Every one of {window.changes:,} state changes is drawn"
    finish(fig, record, title, height=sum(heights) + 150, notice=f"{notice}.")
    return fig.update_layout(legend=TOP_LEGEND, margin_t=fig.layout.margin.t + 30)


class _Axis:
    """Time as the figure's x: in units of `size` ns since `origin`."""

    def __init__(self, origin: int, size: float) -> None:
        self.origin, self.size = origin, size

    def __call__(self, t: Any) -> Any:
        return (t - self.origin) / self.size


def _draw_slices(fig: go.Figure, window: Window, axis: _Axis, unit: str) -> None:
    hatch = pl.lit("")
    for _, shape, flag in reversed(HATCHES):
        hatch = pl.when(pl.col("flags") & flag != 0).then(pl.lit(shape)).otherwise(hatch)
    slices = window.slices.with_columns(hatch=hatch)
    for place, colour in PLACE_COLOURS.items():
        for pattern in ("", *(shape for _, shape, _ in HATCHES)):
            rows = slices.filter((pl.col("place") == place) & (pl.col("hatch") == pattern))
            if rows.is_empty():
                continue
            fig.add_bar(
                base=axis(rows["t0"].to_numpy()),
                x=(rows["t1"] - rows["t0"]).to_numpy() / axis.size,
                y=rows["lane"].to_numpy(),
                orientation="h",
                width=0.72,
                marker={
                    "color": colour,
                    "line": {"width": 0},
                    "pattern": {"shape": pattern, "fgcolor": INK, "size": 6},
                },
                showlegend=False,
                customdata=rows["row"].to_numpy(),
                hovertext=slice_words(window, rows, "<br>"),
                hovertemplate=f"%{{hovertext}}<br>at %{{base:.3f}} {unit}<extra></extra>",
                row=2,
                col=1,
            )


def _draw_cpus(fig: go.Figure, window: Window, axis: _Axis, unit: str) -> None:
    if window.on_cpu.is_empty():
        return
    lane_of = {tid: i for i, tid in enumerate(window.lanes["tid"])}
    strip_of = {cpu: i for i, cpu in enumerate(window.cpus)}
    names = dict(window.lanes.select("tid", "name").iter_rows())
    rows = window.on_cpu
    fig.add_bar(
        base=axis(rows["t0"].to_numpy()),
        x=(rows["t1"] - rows["t0"]).to_numpy() / axis.size,
        y=[strip_of[c] for c in rows["cpu"]],
        orientation="h",
        width=0.8,
        marker={
            "color": [CPU_COLOURS[lane_of[tid] % len(CPU_COLOURS)] for tid in rows["tid"]],
            "line": {"width": 0},
        },
        showlegend=False,
        hovertext=[names[tid] for tid in rows["tid"]],
        hovertemplate=f"%{{hovertext}} from %{{base:.3f}} {unit}<extra></extra>",
        row=1,
        col=1,
    )


def _draw_arrows(fig: go.Figure, window: Window, axis: _Axis) -> None:
    if window.arrows.height > MOST_ARROWS:
        fig.add_annotation(
            text=f"{window.arrows.height:,} arrows hidden: zoom in",
            x=1,
            y=1.0,
            xref="paper",
            yref="paper",
            xanchor="right",
            yanchor="bottom",
            showarrow=False,
            font={"size": 11},
        )
        return
    for name, colour, dash, rows in arrows(window):
        x = axis(rows["t"].to_numpy())
        gap = np.full(len(x), np.nan)
        up = np.where(rows["lane_to"].to_numpy() < rows["lane_from"].to_numpy(), 1, -1)
        # From the middle of one lane to the edge of the other.
        tip = rows["lane_to"].to_numpy() + 0.36 * up
        fig.add_scatter(
            x=np.column_stack([x, x, gap]).ravel(),
            y=np.column_stack([rows["lane_from"].to_numpy(), tip, gap]).ravel(),
            mode="lines+markers",
            line={"width": 1.2, "color": colour, "dash": dash},
            marker={
                "symbol": ["circle", "arrow", "circle"] * len(x),
                "size": [4, 8, 0] * len(x),
                "angleref": "previous",
                "color": colour,
            },
            name=f"→ {name}",
            hoverinfo="skip",
            row=2,
            col=1,
        )


def _draw_marks(fig: go.Figure, window: Window, axis: _Axis) -> None:
    marks = window.marks
    if marks.is_empty() or marks.height > MOST_MARKS:
        return
    fig.add_scatter(
        x=axis(marks["t"].to_numpy()),
        y=marks["lane"].to_numpy() + 0.42,
        mode="markers",
        marker={"symbol": "triangle-up", "size": 6, "color": INK},
        name="operation done",
        hovertext=[
            f"{kind}: {duration(arg)}" for kind, arg in marks.select("kind", "arg").iter_rows()
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        row=2,
        col=1,
    )


def _draw_no_data(fig: go.Figure, window: Window, axis: _Axis, unit: str) -> None:
    """Where events were lost: hatched, over the whole height of the lane, and the CPUs'."""
    lanes = window.no_data
    if lanes.is_empty():
        return
    strips = range(max(1, len(window.cpus))) if window.dark else ()
    cpus = pl.DataFrame(
        [(i, *window.dark) for i in strips if window.dark], schema=lanes.schema, orient="row"
    )
    for rows, words, place in (
        (lanes, no_data_words(window), 2),
        (cpus, ["no data, as events were lost"] * cpus.height, 1),
    ):
        fig.add_bar(
            base=axis(rows["t0"].to_numpy()),
            x=(rows["t1"] - rows["t0"]).to_numpy() / axis.size,
            y=rows["lane"].to_numpy(),
            orientation="h",
            width=0.92,
            marker={
                "color": "#fff",
                "line": {"width": 0},
                "pattern": {"shape": "/", "fgcolor": "#5b6673", "size": 6},
            },
            name=NO_DATA,
            showlegend=place == 2,
            hovertext=words,
            hovertemplate=f"%{{hovertext}}, from %{{base:.3f}} {unit}<extra></extra>",
            row=place,
            col=1,
        )


def _draw_shares(fig: go.Figure, window: Window, axis: _Axis, unit: str) -> None:
    """Every lane as a small picture: each bin's column is filled by the shares of the places."""
    lanes, bins, _ = window.shares.shape
    pixels = share_pixels(window.shares).astype(np.float32)
    pixels[pixels < 0] = np.nan
    y = (np.arange(lanes * PITCH) + 0.5) / PITCH - 0.5
    centres = axis((window.edges[:-1] + window.edges[1:]) / 2)
    colours = list(PLACE_COLOURS.values())
    scale = [[(i + k) / len(colours), c] for i, c in enumerate(colours) for k in (0, 1)]
    fig.add_heatmap(
        x=centres,
        y=y,
        z=pixels,
        zmin=-0.5,
        zmax=len(colours) - 0.5,
        colorscale=scale,
        showscale=False,
        hoverinfo="skip",
        row=2,
        col=1,
    )
    # Hover needs one answer for a lane and bin, not one for each row of pixels.
    words = " · ".join(f"{p} %{{customdata[{i}]}} %" for i, p in enumerate(SHARED))
    names = window.lanes["name"].to_list()
    fig.add_heatmap(
        x=centres,
        y=np.arange(lanes),
        z=np.zeros((lanes, bins), np.uint8),
        opacity=0,
        showscale=False,
        customdata=share_percent(window.shares),
        text=np.repeat(np.array(names)[:, None], bins, axis=1),
        hovertemplate=f"%{{text}} around %{{x:.3f}} {unit}<br>{words}<extra></extra>",
        row=2,
        col=1,
    )
    if len(window.cpus):
        fig.add_heatmap(
            x=centres,
            y=np.arange(len(window.cpus)),
            z=np.round(window.busy * 100).astype(np.uint8),
            zmin=0,
            zmax=100,
            colorscale=[[0, "#f4f5f6"], [1, INK]],
            showscale=False,
            ygap=2,
            hovertemplate=f"%{{x:.3f}} {unit}: busy %{{z}} %<extra></extra>",
            row=1,
            col=1,
        )
