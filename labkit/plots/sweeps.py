# SPDX-License-Identifier: MIT
"""A sweep as one figure: a number of each class over load, servers or policies."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from labkit.plots.style import duration, finish, log_ticks, series_style
from labkit.records import Record

#: What can be drawn, and what to call it.
NUMBERS = {
    "p50_ns": "median latency",
    "p99_ns": "99th percentile of latency",
    "p999_ns": "99.9th percentile of latency",
    "mean_ns": "mean latency",
    "max_ns": "longest latency",
    "response_p50_ns": "median time to first run",
    "per_s": "jobs a second",
    "late": "late jobs",
    "dropped": "dropped jobs",
    "utilisation": "utilisation of the servers",
    "overhead": "share of time that switching takes",
}
_AXES = ("load", "servers", "policy")
_TITLES = {"load": "load, as a factor of the workload's", "servers": "servers", "policy": "policy"}


def _axis(table: pl.DataFrame, x: str | None) -> str:
    """The first of the axes that has several values, or the one asked for."""
    if x is None:
        return next((axis for axis in _AXES if table[axis].n_unique() > 1), "policy")
    if x not in _AXES:
        raise ValueError(f"x is {x!r}; choose from {', '.join(_AXES)}")
    return x


def _lines(table: pl.DataFrame, x: str) -> list[tuple[str, pl.DataFrame]]:
    """What is told apart by colour: policies, and what else varies beside x."""
    others = [axis for axis in ("policy", "load", "servers") if axis != x]
    varying = [axis for axis in others if table[axis].n_unique() > 1]
    if not varying:
        return [("all", table)]
    found = []
    for values, rows in table.group_by(varying, maintain_order=True):
        named = zip(varying, values, strict=True)
        words = [str(v) if axis == "policy" else f"{axis} {v:g}" for axis, v in named]
        found.append((", ".join(words), rows))
    return found


def plot_sweep(table: pl.DataFrame, y: str = "p99_ns", x: str | None = None) -> go.Figure:
    """A number over load, servers or policies; a panel for each class, a line for each policy.

    A line is the median over seeds, its bars go from the least to the most of them.

    Args:
        table: what `labkit.sweep.sweep` returns or `labkit.sweep.read` reads.
        y: one of `NUMBERS`.
        x: `load`, `servers` or `policy`; None: the first of them that varies.

    Raises:
        ValueError: no such `x` or `y`, or there is nothing to draw.
    """
    if y not in NUMBERS:
        raise ValueError(f"y is {y!r}; choose from {', '.join(NUMBERS)}")
    x = _axis(table, x)
    drawn = table.filter(pl.col(y).is_not_null())
    if drawn.is_empty():
        raise ValueError(f"the sweep has no {y} to draw: no job was done")
    panels = list(drawn.group_by("workload", "class", maintain_order=True))
    fig = make_subplots(
        cols=len(panels),
        subplot_titles=[f"{workload}: {of}" for (workload, of), _ in panels],
        shared_yaxes=True,
        horizontal_spacing=0.03,
    )
    names = [name for name, _ in _lines(drawn, x)]
    for column, (_, rows) in enumerate(panels, start=1):
        for name, line in _lines(rows, x) if len(names) > 1 else [("all", rows)]:
            _draw(fig, column, name, names, _over_seeds(line, x, y), x)
    values = drawn[y].cast(pl.Float64)
    low, high = float(values.min()), float(values.max())  # type: ignore[arg-type]
    if y.endswith("_ns") and low > 0:
        fig.update_yaxes(type="log", **log_ticks(low, high, duration))
    fig.update_yaxes(title=NUMBERS[y], col=1)
    fig.update_xaxes(title=_TITLES[x])
    wrong = table.filter(pl.col("error").is_not_null())["key"].n_unique()
    notice = f"{wrong} simulations are missing: their policy went wrong" if wrong else ""
    return finish(fig, _record(table), NUMBERS[y].capitalize(), height=420, notice=notice)


def _over_seeds(rows: pl.DataFrame, x: str, y: str) -> pl.DataFrame:
    return rows.group_by(x, maintain_order=True).agg(
        middle=pl.col(y).median(), least=pl.col(y).min(), most=pl.col(y).max()
    )


def _draw(
    fig: go.Figure, column: int, name: str, names: list[str], points: pl.DataFrame, x: str
) -> None:
    index = names.index(name) if name in names else 0
    style: dict[str, Any] = series_style(index)
    fig.add_scatter(
        x=points[x].to_list(),
        y=points["middle"].to_list(),
        error_y={
            "array": (points["most"] - points["middle"]).to_list(),
            "arrayminus": (points["middle"] - points["least"]).to_list(),
            "thickness": 1,
        },
        mode="markers" if x == "policy" else "lines+markers",
        line={"width": 2, **style},
        marker={"symbol": index, "size": 8, "color": style["color"]},
        name=name,
        legendgroup=name,
        showlegend=column == 1 and len(names) > 1,
        row=1,
        col=column,
    )


def _record(table: pl.DataFrame) -> Record:
    """What the caption is made of."""
    return Record(
        spec={
            "experiment": "sweep",
            "points": table["key"].n_unique(),
            "policy": ", ".join(table["policy"].unique(maintain_order=True)),
            "seeds": table["seed"].n_unique(),
        },
        environment={"backend": "simulator"},
    )
