# SPDX-License-Identifier: MIT
"""Latency over offered load with absolute axes: the figure that the field reads first."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from labkit.analysis.load import df_carried, df_load, limit_ns
from labkit.plots.style import duration, finish, log_ticks, series_style
from labkit.records import Record

QUANTILES = {"p50": "median", "p99": "99th percentile", "p99.9": "99.9th percentile"}


def plot_load_curve(record: Record, *others: Record, limit: float | None = None) -> go.Figure:
    """Latency of short requests over requests a second: median, 99th and 99.9th percentile.

    A line for each policy and baseline; a point that cannot be relied on is hollow, and says why
    when pointed at. The notice says how much load each carries before its 99.9th percentile is
    above the limit, which is the dotted line.

    Args:
        record: a run of `labkit.server`.
        others: more of them, as the same in the simulator; their lines say where they are from.
        limit: ns; None: what the first run's spec says.

    Raises:
        MissingSamples: one of them is no such run, or has no values.
    """
    tables = [(_suffix(one, record), df_load(one)) for one in (record, *others)]
    limit = limit_ns(record) if limit is None else limit
    fig = make_subplots(
        cols=len(QUANTILES),
        subplot_titles=list(QUANTILES.values()),
        shared_yaxes=True,
        horizontal_spacing=0.03,
    )
    names = list(dict.fromkeys(name for _, table in tables for name in table["series"]))
    for suffix, table in tables:
        for (name,), points in table.group_by("series", maintain_order=True):
            _draw(fig, f"{name}{suffix}", names.index(str(name)), points.sort("offered"))
    values = pl.concat([pl.concat([t[q] for q in QUANTILES]).drop_nulls() for _, t in tables])
    low, high = float(values.min()), max(float(values.max()), limit)  # type: ignore[arg-type]
    fig.update_yaxes(type="log", **log_ticks(low, high, duration))
    fig.update_yaxes(title="from arrival to answer", col=1)
    fig.update_xaxes(title="requests a second", rangemode="tozero")
    fig.add_hline(limit, line_dash="dot", line_width=1, line_color="gray", col=len(QUANTILES))
    scale = float(record.spec["scale"])
    times = "as published" if scale == 1 else f"{scale:g} times those published"
    return finish(
        fig,
        record,
        f"Latency of short requests over load; times are {times}",
        notice=_notice((record, *others), limit),
    )


def _suffix(record: Record, first: Record) -> str:
    """What tells a run's lines from those of the first."""
    if record is first:
        return ""
    backend = record.environment.get("backend")
    return " (simulator)" if backend == "simulator" else " (another run)"


def _notice(records: tuple[Record, ...], limit: float) -> str:
    said = []
    for record in records:
        for series, rate, bound in df_carried(record, limit).iter_rows():
            name = f"{series}{_suffix(record, records[0])}"
            said.append(f"{name} {bound}{' ' * bool(bound)}{rate:,.0f}")
    if not said:
        return "too few requests for a 99.9th percentile"
    lines = [", ".join(said[i : i + 4]) for i in range(0, len(said), 4)]
    return f"requests a second up to {duration(limit)}: " + "<br>".join(lines)


def _draw(fig: go.Figure, name: str, index: int, points: pl.DataFrame) -> None:
    style = series_style(index)
    simulated = name.endswith(")")
    sure = (points["doubt"] == "").to_list()
    for column, quantile in enumerate(QUANTILES, start=1):
        said = [
            f"{name}: {duration(value)} at {rate:,.0f} a second ({load} % of full load)"
            + (f"<br>{doubt}" if doubt else "")
            if value is not None
            else ""
            for value, rate, load, doubt in points.select(
                quantile, "offered", "load", "doubt"
            ).iter_rows()
        ]
        fig.add_scatter(
            x=points["offered"].to_list(),
            y=points[quantile].to_list(),
            mode="lines+markers",
            line={"width": 1 if simulated else 2, "color": style["color"],
                  "dash": "dot" if simulated else "solid"},
            marker={
                "size": 8,
                "color": style["color"],
                "symbol": ["circle" if yes else "circle-open" for yes in sure],
            },
            name=name,
            legendgroup=name,
            showlegend=column == 1,
            hovertext=said,
            hoverinfo="text",
            row=1,
            col=column,
        )  # fmt: skip
