# SPDX-License-Identifier: MIT
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import plotly.graph_objects as go
import polars as pl
import pytest
import synthetic

from labkit import analysis, plots
from labkit.plots.style import TCG_WARNING, duration, log_ticks
from labkit.records import Record

RUN = synthetic.record()
SVG = "{http://www.w3.org/2000/svg}"

FIGURES: list[Callable[[Record], go.Figure]] = [
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
    whole = plots.plot_timeline(run).svg
    assert "Aggregated" in whole and "zoom" not in whole
    begin = int(events["t"][4000])
    close = plots.plot_timeline(run, t0=begin, t1=begin + 10_000).svg
    assert "Every one of" in close


def test_a_timeline_is_a_picture_with_its_words_in_a_notebook_and_in_a_file(tmp_path: Path) -> None:
    drawn = plots.plot_timeline(RUN, t0=int(RUN.events["t"][600]), t1=int(RUN.events["t"][900]))
    root = ElementTree.fromstring(drawn.save(tmp_path / "t.svg").read_text(encoding="utf-8"))
    assert drawn._repr_html_() == drawn.svg and len(repr(drawn)) < 200
    with pytest.raises(ValueError, match=r"t\.png: the picture is written as SVG"):
        drawn.save(tmp_path / "t.png")
    assert not (tmp_path / "t.png").exists()
    words = " ".join(root.itertext())
    for part in ("Timeline: umcg/model", "server 0", "kernel 6.1.0-model", TCG_WARNING, "by run"):
        assert part in words
    rows = [int(shape.get("data-r", -1)) for shape in root.iter(f"{SVG}rect")]
    drawn_rows = RUN.events[sorted({row for row in rows if row >= 0})]
    assert drawn_rows.height and (drawn_rows["new"] != "none").all()


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
