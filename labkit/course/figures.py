# SPDX-License-Identifier: MIT
"""Figures and tables of a run for the notebooks; they stay in a saved one and in its HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import plotly.graph_objects as go
import polars as pl
from IPython.display import HTML

from labkit import plots
from labkit.analysis.requires import MissingEvents
from labkit.course.sentences import Comparison
from labkit.panels import Timeline
from labkit.panels.results import table_html
from labkit.plots.window import series_of
from labkit.records import STATE_KINDS
from labkit.run import Run


def close_up(
    run: Run, series: str | None = None, changes: int = 40, begin: float = 0.5
) -> Timeline:
    """The timeline of a few state changes, so that every one can be read.

    Args:
        run: with events.
        series: which; None: the first.
        changes: state changes to show.
        begin: where in the series to begin: 0 its first, 1 its last change.
    """
    name = series if series is not None else series_of(run)[0]
    tasks = run.tasks.filter(pl.col("series") == name)["tid"].implode()
    events = run.events.filter(pl.col("tid").is_in(tasks))
    times = events.filter(pl.col("kind").is_in(STATE_KINDS))["t"]
    first = min(round(begin * len(times)), max(0, len(times) - changes))
    part = times.slice(first, changes) - events["t"][0]
    view = Timeline(run, name)
    view.zoom(int(part[0]), int(part[-1]) + 1)
    return view


def storm(run: Run, series: str) -> Timeline:
    """The timeline of one wake-up of a crowd: from the call until the last of them has run.

    Args:
        run: of the experiment wake, with events.
        series: which.

    Raises:
        MissingEvents: no thread was woken in this series.
    """
    tasks = run.tasks.filter(pl.col("series") == series)["tid"].implode()
    events = run.events.filter(pl.col("tid").is_in(tasks))
    # An operation ends when its worker runs, and its latency counts from the call that woke it.
    woken = events.filter(pl.col("kind") == "op").with_columns(called=pl.col("t") - pl.col("arg"))
    if woken.is_empty():
        raise MissingEvents(
            f"no thread was woken in series {series!r} of the run {run.experiment!r}"
        )
    calls = woken.group_by("called").agg(pl.len(), last=pl.col("t").max()).sort("called")
    # One that was not asleep yet has a call of its own.
    whole = calls.filter(pl.col("len") == pl.col("len").max())
    call, _, last = whole.row(whole.height // 2)
    margin = (last - call) / 20
    view = Timeline(run, series)
    view.zoom(call - events["t"][0] - margin, last - events["t"][0] + margin)
    return view


def values(run: Run, unit: str | None = None) -> go.Figure:
    """Every value of every series in one unit, with median and quartiles.

    Args:
        run: with samples.
        unit: which; None: the first.

    Raises:
        MissingSamples: the run has none in this unit.
    """
    return plots.plot_comparison(run, unit)


def ratios(run: Run, baseline: str | None = None) -> go.Figure:
    """Every series over its baseline with the 95 % interval; hollow: not distinguishable from 1.

    Raises:
        MissingSamples: nothing in the run has a baseline.
    """
    return plots.plot_ratio(run, baseline)


def tail(run: Run, which: str = "op", series: Sequence[str] | None = None) -> go.Figure:
    """The whole distribution of a latency, tail first; see `labkit.plots.plot_latency`."""
    return plots.plot_latency(run, which, series)


def table(rows: pl.DataFrame, caption: str = "") -> HTML:
    """All rows of a table as a page shows it best: no types, no quotes, four digits."""
    words = rows.with_columns(
        pl.when(column).then(pl.lit("yes")).otherwise(pl.lit("no")).alias(column)
        for column, dtype in rows.schema.items()
        if dtype == pl.Boolean
    )
    return _html(table_html(words, caption, {}))


def verdicts(comparisons: Iterable[Comparison]) -> HTML:
    """Several comparisons as a table."""
    names = ("series", "over", "unit", "ratio", "from", "to", "n", "verdict")
    rows = [
        (c.series, c.baseline, c.unit, c.ratio, c.low, c.high, c.n, c.word) for c in comparisons
    ]
    told = "Median of the repetitions' ratios, 95 % interval, repetitions"
    return table(pl.DataFrame(rows, schema=names, orient="row"), told)


def _html(text: str) -> HTML:
    return HTML(data=text)  # type: ignore[no-untyped-call]
