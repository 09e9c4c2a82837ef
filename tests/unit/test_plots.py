# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
import polars as pl
import pytest
import synthetic

from labkit import analysis, plots
from labkit.plots.style import PLACE_COLOURS, TCG_WARNING, duration, log_ticks
from labkit.record import Record

RUN = synthetic.record()

FIGURES: list[Callable[[Record], go.Figure]] = [
    plots.plot_timeline,
    plots.plot_latency,
    plots.plot_histogram,
    plots.plot_throughput,
    plots.plot_comparison,
    plots.plot_ratio,
    plots.plot_occupancy,
    lambda r: plots.plot_latency(r, "detection"),
    lambda r: plots.plot_latency(r, "wake"),
    lambda r: plots.plot_latency(r, "preemption"),
]


@pytest.mark.parametrize("plot", FIGURES)
def test_every_figure_carries_its_environment(plot: Callable[[Record], go.Figure]) -> None:
    fig = plot(RUN)
    text = " ".join(a.text for a in fig.layout.annotations if a.text).replace("<br>", " ")
    for part in (
        "kernel 6.1.0-model",
        "config 0123456789ab",
        "TCG",
        "a model of a CPU",
        "2 CPUs",
        "pinning",
        "clock tsc",
        "9 repetitions",
        TCG_WARNING,
    ):
        assert part in text
    assert len(fig.data)
    fig.to_json()


def test_outside_tcg_there_is_no_warning_and_lost_events_are_said() -> None:
    kvm = synthetic.record(
        environment=RUN.environment | {"accelerator": "kvm"}, counters={"lost": 12}
    )
    assert TCG_WARNING not in plots.caption(kvm)
    assert "12 events were lost" in plots.caption(kvm)


def test_a_figure_comes_apart_into_drawing_and_words() -> None:
    whole = plots.plot_ratio(RUN)
    parts = plots.take_apart(whole)
    assert parts.caption == plots.caption(RUN)
    assert "Ratios" in parts.title
    assert not parts.figure.layout.annotations
    assert parts.figure.layout.title.text is None
    assert whole.layout.annotations, "the figure itself stays whole"


def test_the_timeline_says_when_it_is_aggregated() -> None:
    events, tasks = synthetic.model_events(2, 6, 8000)
    run = synthetic.record(events=events, tasks=tasks)
    assert "Aggregated" in plots.plot_timeline(run).layout.title.text
    begin = int(events["t"][4000])
    close = plots.plot_timeline(run, t0=begin, t1=begin + 30_000)
    assert "Every one of" in close.layout.title.text


def test_a_close_timeline_has_lanes_colours_hatches_and_arrows() -> None:
    begin = int(RUN.events["t"][600])
    end = int(RUN.events["t"][900])
    fig = plots.plot_timeline(RUN, t0=begin, t1=end)
    assert fig.layout.yaxis2.ticktext[:2] == ("server 0", "server 1")
    bars = [t for t in fig.data if t.type == "bar" and t.hovertext is not None]
    assert {b.marker.color for b in bars if isinstance(b.marker.color, str)} == set(
        PLACE_COLOURS.values()
    )
    shapes = {b.marker.pattern.shape for b in bars}
    assert {"/", "x"} <= shapes
    names = {t.name for t in fig.data}
    assert {"→ run", "→ place given back", "RUNNING", "PREEMPTED", "LOCKED"} <= names
    assert any("by run" in text for b in bars for text in b.hovertext)


def test_every_drawn_state_names_its_row_of_the_table() -> None:
    fig = plots.plot_timeline(RUN)
    rows = {int(r) for t in fig.data if t.customdata is not None for r in t.customdata if r >= 0}
    assert rows
    drawn = RUN.events[sorted(rows)]
    assert (drawn["new"] != "none").all()


def test_unknown_names_are_refused_with_the_choices() -> None:
    with pytest.raises(analysis.MissingEvents, match="the run has umcg/model"):
        plots.plot_timeline(RUN, series="typo")
    with pytest.raises(ValueError, match="choose from op, detection"):
        plots.plot_latency(RUN, "typo")
    with pytest.raises(analysis.MissingSamples, match="the run has ns"):
        plots.plot_comparison(RUN, "typo")
    with pytest.raises(analysis.MissingEvents, match="no events of series typo"):
        plots.plot_latency(RUN, series=["typo"])
    with pytest.raises(analysis.MissingSamples, match="baseline"):
        plots.plot_ratio(synthetic.record(samples=synthetic.samples({"a": 1.0})))


def test_umcg_comes_first_among_series() -> None:
    tasks = RUN.tasks.with_columns(
        series=pl.when(pl.col("role") == "server")
        .then(pl.lit("futex/x"))
        .otherwise(pl.lit("umcg/x"))
    )
    assert plots.series_of(synthetic.record(tasks=tasks)) == ["umcg/x", "futex/x"]


def test_durations_and_ticks_read_well() -> None:
    assert [duration(x) for x in (5, 1500, 2_000_000, 3e9)] == ["5 ns", "1.5 µs", "2 ms", "3 s"]
    ticks = log_ticks(0.8, 1.3, "{:g}".format)
    assert {"0.8", "1", "1.2"} <= set(ticks["ticktext"])
    assert log_ticks(1, 1e6, str)["tickvals"] == [10.0**e for e in range(7)]
    assert log_ticks(5, 5, str)["tickvals"]
