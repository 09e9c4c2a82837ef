# SPDX-License-Identifier: MIT
"""Tables as figures: latency distributions, throughput, comparison, ratios, occupancy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import polars as pl

from labkit import analysis
from labkit.analysis.requires import MissingSamples
from labkit.plots.ccdf import NAMED, curves, latencies, of_series
from labkit.plots.intervals import Interval, plot_intervals
from labkit.plots.style import (
    PLACE_COLOURS,
    SERIES_COLOURS,
    TOP_LEGEND,
    duration,
    finish,
    log_ticks,
    series_style,
)
from labkit.records import Record


def plot_latency(
    record: Record, which: str = "op", series: Sequence[str] | None = None
) -> go.Figure:
    """The whole distribution, tail first: the share that took longer than x, both axes log.

    Args:
        record: a run.
        which: one of `labkit.plots.ccdf.LATENCIES`.
        series: which to draw; None: all.

    Raises:
        labkit.analysis.MissingEvents: the run has not the events it takes.
        ValueError: unknown `which`.
    """
    rows, title = latencies(record, which, series)
    fig = go.Figure()
    for i, (name, n, ns, share) in enumerate(curves(rows)):
        fig.add_scatter(
            x=ns,
            y=share,
            mode="lines" if n > 1 else "markers",
            line={"shape": "vh", "width": 2, **series_style(i)},
            name=f"{name} (n {n:,})",
            hovertemplate="%{y:.3%} took %{x:,.0f} ns or longer<extra>" + name + "</extra>",
        )
    for level, name in NAMED:
        fig.add_hline(level, line={"width": 1, "color": "#c9ced4"}, layer="below")
        fig.add_annotation(
            x=1,
            xref="paper",
            y=np.log10(level),
            text=name,
            showarrow=False,
            xanchor="right",
            yanchor="bottom",
            font={"size": 11, "color": "#5b6673"},
        )
    ticks = log_ticks(rows["ns"].to_numpy().min(), rows["ns"].to_numpy().max(), duration)
    fig.update_xaxes(type="log", title="latency (log)", **ticks)
    fig.update_yaxes(type="log", title="share that took longer", tickformat="~%")
    return finish(fig, record, title, height=460)


def plot_histogram(
    record: Record,
    which: str = "op",
    series: Sequence[str] | None = None,
    bins_per_decade: int = 20,
) -> go.Figure:
    """The distribution as outlines over logarithmic bins; areas compare series of different n.

    Raises:
        labkit.analysis.MissingEvents: the run has not the events it takes.
        ValueError: unknown `which`.
    """
    rows, title = latencies(record, which, series)
    fig = go.Figure()
    for i, ((name,), group) in enumerate(rows.group_by("series", maintain_order=True)):
        logs = np.log10(group["ns"].to_numpy())
        low = np.floor(logs.min() * bins_per_decade)
        edges = np.arange(low, np.floor(logs.max() * bins_per_decade) + 2) / bins_per_decade
        counts, _ = np.histogram(logs, edges)
        fig.add_scatter(
            x=10 ** np.repeat(edges, 2),
            y=np.concatenate([[0], np.repeat(counts / len(logs), 2), [0]]),
            mode="lines",
            fill="tozeroy",
            fillcolor=_faint(series_style(i)["color"]),
            line={"width": 2, **series_style(i)},
            name=f"{name} (n {len(logs):,})",
            hovertemplate="%{x:,.0f} ns: %{y:.1%}<extra>" + str(name) + "</extra>",
        )
    ticks = log_ticks(rows["ns"].to_numpy().min(), rows["ns"].to_numpy().max(), duration)
    fig.update_xaxes(type="log", title="latency (log)", **ticks)
    fig.update_yaxes(title="share of operations in a bin", tickformat=".0%", rangemode="tozero")
    return finish(fig, record, title, height=400)


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.12)"


def plot_throughput(
    record: Record, series: Sequence[str] | None = None, bins: int = 60
) -> go.Figure:
    """Finished operations per second over time, one line a series.

    Raises:
        labkit.analysis.MissingEvents: the run has no `op` events.
    """
    table = of_series(analysis.df_throughput(record, bins), series)
    fig = go.Figure()
    for i, ((name,), rows) in enumerate(table.group_by("series", maintain_order=True)):
        fig.add_scatter(
            x=rows["s"].to_numpy() * 1e3,
            y=rows["per_s"].to_numpy(),
            mode="lines",
            line={"width": 2, "shape": "hvh", **series_style(i)},
            name=str(name),
            hovertemplate="%{x:.2f} ms: %{y:,.0f}/s<extra>" + str(name) + "</extra>",
        )
    fig.update_xaxes(title="time since the series began (ms)")
    fig.update_yaxes(
        title="operations per second (traced)", rangemode="tozero", separatethousands=True
    )
    return finish(fig, record, "Throughput over time", height=400)


def plot_comparison(record: Record, unit: str | None = None) -> go.Figure:
    """Every measured value of every series in one unit, with median and quartiles.

    Args:
        record: a run.
        unit: which of the samples' units; None: the first.

    Raises:
        MissingSamples: the run has no samples (in this unit).
    """
    units = record.samples["unit"].unique(maintain_order=True).to_list()
    chosen = unit if unit is not None else (units[0] if units else None)
    if chosen not in units:
        raise MissingSamples(
            f"no samples in {chosen!r}; the run has {', '.join(units) or 'no samples'}"
        )
    table = analysis.df_samples(record).filter(pl.col("unit") == chosen)
    values = record.samples.filter(pl.col("unit") == chosen)
    fig = go.Figure()
    fig.add_scatter(
        x=values["value"].to_numpy(),
        y=values["series"].to_list(),
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 12, "color": "#8b96a3"},
        name="one repetition",
        hovertemplate="%{y}: %{x:,.4g} " + str(chosen) + "<extra></extra>",
    )
    fig.add_scatter(
        x=table["median"].to_numpy(),
        y=table["series"].to_list(),
        mode="markers",
        marker={"size": 10, "color": SERIES_COLOURS[0]},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": (table["q3"] - table["median"]).to_numpy(),
            "arrayminus": (table["median"] - table["q1"]).to_numpy(),
            "thickness": 2,
        },
        name="median and quartiles",
        hovertemplate="%{y}: median %{x:,.4g} " + str(chosen) + "<extra></extra>",
    )
    numbers = values["value"].to_numpy()
    spread = numbers.min() > 0 and numbers.max() > 20 * numbers.min()
    fig.update_xaxes(title=f"{chosen}{' (log)' if spread else ''}")
    if spread:
        ticks = log_ticks(numbers.min(), numbers.max(), "{:,g}".format)
        fig.update_xaxes(type="log", **ticks)
    else:
        fig.update_xaxes(rangemode="tozero", exponentformat="none", separatethousands=True)
    _categories(fig, table["series"].to_list())
    return finish(
        fig, record, f"Measured values, {chosen}", height=140 + 30 * table.height
    ).update_layout(legend=TOP_LEGEND)


def _categories(fig: go.Figure, names: list[str]) -> None:
    """One row a name, from top to bottom, with room above the first and below the last."""
    fig.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=names,
        range=[len(names) - 0.4, -0.6],
    )


def plot_ratio(record: Record, baseline: str | None = None) -> go.Figure:
    """Each series over its baseline with its 95 % interval; 1 is "the same".

    Raises:
        MissingSamples: nothing in the run has a baseline.
    """
    table = analysis.df_ratio(record, baseline)
    if table.is_empty():
        raise MissingSamples(
            f"no series of the run {record.experiment!r} has a baseline to be set against"
        )
    dots = [
        Interval(f"{series} : {other.partition('/')[0]} ({unit})", *numbers)
        for series, other, unit, *numbers in table.select(
            "series", "baseline", "unit", "ratio", "ci_low", "ci_high"
        ).iter_rows()
    ]
    title = "Ratios to the baseline, 95 % intervals"
    return plot_intervals(dots, record, title, "ratio; 1: the same", ratio=True)


def plot_occupancy(record: Record, series: str | None = None) -> go.Figure:
    """Share of time each task spent in each state, stacked.

    Raises:
        labkit.analysis.MissingEvents: the run has no state changes.
    """
    table = analysis.df_occupancy(record)
    if series is not None:
        table = table.filter(pl.col("series") == series)
    names = table["name"].to_list()
    if table["series"].n_unique() > 1:
        names = [f"{n} [{s}]" for n, s in table.select("name", "series").iter_rows()]
    names = [n if c else f"{n} (in part)" for n, c in zip(names, table["complete"], strict=True)]
    notice = "" if table["complete"].all() else "In part: until events were lost, not to the end."
    columns = {
        "running": "RUNNING",
        "idle": "IDLE",
        "listed": "IDLE on the list",
        "blocked": "BLOCKED",
    }
    fig = go.Figure()
    for column, place in columns.items():
        fig.add_bar(
            x=table[column].to_numpy(),
            y=names,
            orientation="h",
            name=place,
            marker_color=PLACE_COLOURS[place],
            customdata=[
                duration(s * ns) for s, ns in table.select(column, "observed_ns").iter_rows()
            ],
            hovertemplate="%{y}: " + place + " %{x:.1%}, %{customdata}<extra></extra>",
        )
    fig.update_layout(barmode="stack")
    fig.update_xaxes(tickformat=".0%", range=[0, 1], title="share of the observed time")
    _categories(fig, names)
    height = 140 + 26 * len(names)
    fig = finish(fig, record, "Where the time went", height=height, notice=notice)
    return fig.update_layout(legend=TOP_LEGEND)
