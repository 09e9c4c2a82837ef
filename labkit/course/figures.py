# SPDX-License-Identifier: MIT
"""Figures of a run that need no script: they stay in a saved notebook and in its HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import polars as pl
from IPython.display import HTML, SVG

from labkit import analysis
from labkit.analysis.needs import MissingEvents, MissingSamples
from labkit.course.sentences import Comparison
from labkit.panels import Timeline
from labkit.panels.results import table_html
from labkit.plots.curves import draw_latency
from labkit.plots.dots import Dot, draw_dots
from labkit.plots.style import caption
from labkit.plots.window import series_of
from labkit.record import STATE_KINDS
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
        MissingEvents: nobody was woken in this series.
    """
    tasks = run.tasks.filter(pl.col("series") == series)["tid"].implode()
    events = run.events.filter(pl.col("tid").is_in(tasks))
    # An operation ends when its worker runs, and its latency counts from the call that woke it.
    woken = events.filter(pl.col("kind") == "op").with_columns(called=pl.col("t") - pl.col("arg"))
    if woken.is_empty():
        raise MissingEvents(f"nobody was woken in series {series!r} of the run {run.experiment!r}")
    calls = woken.group_by("called").agg(pl.len(), last=pl.col("t").max()).sort("called")
    # One that was not asleep yet has a call of its own.
    whole = calls.filter(pl.col("len") == pl.col("len").max())
    call, _, last = whole.row(whole.height // 2)
    margin = (last - call) / 20
    view = Timeline(run, series)
    view.zoom(call - events["t"][0] - margin, last - events["t"][0] + margin)
    return view


def values(run: Run, unit: str | None = None) -> SVG:
    """Median and quartiles of every series in one unit.

    Args:
        run: with samples.
        unit: which; None: the first.

    Raises:
        MissingSamples: the run has none in this unit.
    """
    table = analysis.df_samples(run)
    chosen = unit if unit is not None or table.is_empty() else table["unit"][0]
    rows = table.filter(pl.col("unit") == chosen)
    if rows.is_empty():
        raise MissingSamples(f"the run {run.experiment!r} has no samples in {chosen or 'any unit'}")
    dots = [Dot(*row) for row in rows.select("series", "median", "low", "high").iter_rows()]
    return _svg(draw_dots(dots, "Median and quartiles", str(chosen), caption(run)))


def ratios(run: Run, baseline: str | None = None) -> SVG:
    """Every series over its baseline with the 95 % interval; hollow: not distinguishable from 1.

    Raises:
        MissingSamples: nothing in the run has a baseline.
    """
    table = analysis.df_ratio(run, baseline)
    if table.is_empty():
        raise MissingSamples(f"no series of the run {run.experiment!r} has a baseline")
    dots = [
        Dot(f"{series} : {other.partition('/')[0]} ({unit})", ratio, low, high)
        for series, other, unit, ratio, low, high in table.select(
            "series", "baseline", "unit", "ratio", "low", "high"
        ).iter_rows()
    ]
    title = "Ratio to the baseline, 95 % interval; hollow: may be 1"
    return _svg(draw_dots(dots, title, "ratio", caption(run), ratio=True))


def tail(run: Run, which: str = "op", series: Sequence[str] | None = None) -> HTML:
    """The whole distribution of a latency, tail first; see `labkit.plots.curves.draw_latency`."""
    drawn, said = draw_latency(run, which, series), escape(caption(run))
    small = "font-size:11px;color:#5b6673;max-width:900px"
    return _html(
        f'<figure style="margin:0">{drawn}<figcaption style="{small}">{said}</figcaption></figure>'
    )


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
    told = "Ratio of the medians, 95 % interval, repetitions"
    return table(pl.DataFrame(rows, schema=names, orient="row"), told)


def _html(text: str) -> HTML:
    return HTML(data=text)  # type: ignore[no-untyped-call]


def _svg(text: str) -> SVG:
    return SVG(data=text)  # type: ignore[no-untyped-call]
