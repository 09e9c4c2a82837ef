# SPDX-License-Identifier: MIT
"""Predictions: the figure says what is off."""

from __future__ import annotations

import polars as pl
import pytest

import labkit
from labkit.native import engine
from labkit.pages.report import page
from labkit.plots import plot_prediction
from labkit.plots.prediction import table
from labkit.predicted import SERIES
from labkit.records import SAMPLE_SCHEMA, Record


def _record(ratios: dict[str, float]) -> Record:
    rows = []
    for series, ratio in ratios.items():
        for value, unit in (
            (ratio * 100, "simulated ns"),
            (100.0, "measured ns"),
            (ratio, "ratio"),
        ):
            rows.append((series, 0, value, unit, 10))
    samples = pl.DataFrame(rows, schema=SAMPLE_SCHEMA, orient="row")
    return Record(spec={"experiment": "prediction"}, environment={}, samples=samples)


def test_the_figure_says_what_is_off_by_more_than_a_fifth() -> None:
    good = SERIES.format("constant", "jobs", "fifo")
    bad = SERIES.format("two classes", "urgent", "./mine.so:a=1") + "/p99"
    record = _record({good: 1.19, bad: 0.5})
    rows = table(record)
    assert rows["off"].to_list() == [False, True]
    assert rows.row(1)[:4] == ("two classes", "urgent", "./mine.so:a=1", "p99")
    fig = plot_prediction(record)
    assert "1 of 2 are off by more than 20%" in fig.layout.title.text
    assert [text for trace in fig.data for text in trace.text or () if text] == ["-50%"]
    assert "within 20%" in plot_prediction(_record({good: 0.9})).layout.title.text


def test_a_run_of_something_else_is_no_prediction() -> None:
    with pytest.raises(ValueError, match=r"labkit\.prediction"):
        table(Record(spec={"experiment": "swap"}, environment={}))


@pytest.mark.skipif(engine.enabled(), reason="needs a kernel without UMCG")
def test_without_umcg_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(labkit.experiments.NoUmcgError, match="no UMCG"):
        labkit.prediction()


def test_its_report_shows_the_figure() -> None:
    bad = SERIES.format("two classes", "urgent", "las") + "/p99"
    assert "1 of 1 are off by more than 20%" in page([_record({bad: 0.5})])
