# SPDX-License-Identifier: MIT
"""The benchmark's figures: ratios, distributions, curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from labkit.benchmark.judge import Finding
from labkit.benchmark.suite import Curve, Distribution
from labkit.plots.style import (
    SERIES_COLOURS,
    TOP_LEGEND,
    duration,
    finish,
    log_ticks,
    series_style,
)
from labkit.records import Record
from labkit.verdict import BETTER, SAME, WORSE, margin

_VERDICTS = {
    BETTER: (BETTER, SERIES_COLOURS[2], "circle"),
    WORSE: (WORSE, SERIES_COLOURS[1], "diamond"),
    SAME: (SAME, SERIES_COLOURS[0], "square"),
    "": ("undecided", SERIES_COLOURS[6], "circle-open"),
}


def _label(finding: Finding) -> str:
    c = finding.contrast
    head, _, rest = c.baseline.partition("/")
    short = head if rest == c.series.partition("/")[2] else c.baseline
    return f"{c.series} : {short} ({c.unit})"


def plot_findings(record: Record, findings: Sequence[Finding]) -> go.Figure:
    """Each ratio with its 95 % interval; grey: where no difference is shown."""
    labels = [_label(f) for f in findings]
    fig = go.Figure()
    for key, (name, colour, symbol) in _VERDICTS.items():
        mine = [
            (label, f)
            for label, f in zip(labels, findings, strict=True)
            if (f.verdict if f.verdict in _VERDICTS else "") == key
        ]
        if not mine:
            continue
        fig.add_scatter(
            x=[f.ratio for _, f in mine],
            y=[label for label, _ in mine],
            mode="markers",
            marker={"size": 10, "symbol": symbol, "color": colour, "line": {"width": 2}},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(0.0, np.nan_to_num(f.high - f.ratio)) for _, f in mine],
                "arrayminus": [max(0.0, np.nan_to_num(f.ratio - f.low)) for _, f in mine],
                "thickness": 2,
            },
            name=name,
            customdata=[f.sentence() for _, f in mine],
            hovertemplate="%{customdata}<extra></extra>",
        )
    clear = margin(record.environment)
    fig.add_vrect(1 - clear, 1 + clear, fillcolor="#5b6673", opacity=0.12, line_width=0)
    fig.add_vline(1, line={"width": 1.5, "color": "#1d2733", "dash": "dash"})
    ends = np.array([(f.ratio, f.low, f.high) for f in findings])
    ends = ends[np.isfinite(ends) & (ends > 0)]
    ticks = log_ticks(min(0.9, ends.min()), max(1.1, ends.max()), "{:g}".format)
    fig.update_xaxes(type="log", title=f"ratio (log; grey: within {clear:.0%} of 1)", **ticks)
    fig.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=labels,
        range=[len(labels) - 0.4, -0.6],
    )
    title = "Ratios, 95 % intervals"
    return finish(fig, record, title, height=140 + 24 * len(labels)).update_layout(
        legend=TOP_LEGEND
    )


def plot_distributions(record: Record, title: str, shapes: dict[str, Distribution]) -> go.Figure:
    """Whole distributions, tail first: the share that took longer than x, both axes log."""
    fig = go.Figure()
    for i, (name, shape) in enumerate(shapes.items()):
        fig.add_scatter(
            x=np.clip(shape.x, 1, None),
            y=shape.share,
            mode="lines" if shape.n > 1 else "markers",
            line={"shape": "vh", "width": 2, **series_style(i)},
            name=f"{name} (n {shape.n:,})",
            hovertemplate="%{y:.3%} took %{x:,.0f} ns or longer<extra>" + name + "</extra>",
        )
    every = np.concatenate([np.clip(shape.x, 1, None) for shape in shapes.values()])
    fig.update_xaxes(
        type="log", title="latency (log)", **log_ticks(every.min(), every.max(), duration)
    )
    fig.update_yaxes(type="log", title="share that took longer", tickformat="~%")
    return finish(fig, record, title, height=420)


def plot_curve(record: Record, curve: Curve) -> go.Figure | None:
    """Medians of the samples over the curve's number, with quartiles; None: no samples."""
    values: dict[str, list[float]] = {}
    for series, value, unit in record.samples.select("series", "value", "unit").iter_rows():
        if unit == curve.unit:
            values.setdefault(series, []).append(value)
    fig = go.Figure()
    seen: list[float] = []
    for i, (name, line) in enumerate(curve.lines.items()):
        points = [(x, values[series]) for x, series in line.items() if series in values]
        if not points:
            continue
        middle = np.array([np.median(v) for _, v in points])
        low, high = (np.array([np.quantile(v, q) for _, v in points]) for q in (0.25, 0.75))
        seen += [*middle, *low, *high]
        fig.add_scatter(
            x=[x for x, _ in points],
            y=middle,
            mode="lines+markers",
            line={"width": 2, **series_style(i)},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": high - middle,
                "arrayminus": middle - low,
            },
            name=name,
            hovertemplate="%{x:,}: %{y:,.4g} " + curve.unit + "<extra>" + name + "</extra>",
        )
    if not seen:
        return None
    if curve.unit.startswith("ns"):
        positive = [v for v in seen if v > 0]
        ticks = log_ticks(min(positive), max(positive), duration)
        rest = curve.unit.removeprefix("ns").replace("/", " of a ")
        fig.update_yaxes(type="log", title=f"time{rest} (log), median and quartiles", **ticks)
    else:
        fig.update_yaxes(title=curve.unit, rangemode="tozero")
    numbers = sorted({x for line in curve.lines.values() for x in line})
    if curve.log and numbers[0] > 0 and numbers[-1] > 50 * numbers[0]:
        fig.update_xaxes(type="log")
    fig.update_xaxes(
        title=curve.axis, tickmode="array", tickvals=numbers, ticktext=[f"{x:,g}" for x in numbers]
    )
    return finish(fig, record, curve.title, height=380)
