# SPDX-License-Identifier: MIT
"""One verdict: tables, sentences, panels and the benchmark say the same of the same values."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import synthetic

from labkit import analysis, course, verdict
from labkit.benchmark import judge
from labkit.benchmark.results import SuiteResult
from labkit.benchmark.suite import Contrast
from labkit.experiments.asked import better

ACCELERATORS, UNITS = ("kvm", "tcg"), ("ns", "op/s", "cpu", "jain")
RATIOS, NUMBERS = (0.5, 0.93, 1.0, 1.02, 1.07, 1.5), (3, 4, 5, 9)


def cases() -> list[object]:
    """The product; `make test` runs every pair of a unit, a ratio and a number of values."""
    return [
        pytest.param(
            accelerator,
            unit,
            ratio,
            number,
            marks=() if (k + i + j) % 4 == 0 and i // 2 % 2 == a else pytest.mark.long,
        )
        for a, accelerator in enumerate(ACCELERATORS)
        for k, unit in enumerate(UNITS)
        for i, ratio in enumerate(RATIOS)
        for j, number in enumerate(NUMBERS)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("accelerator", "unit", "ratio", "n"), cases())
def test_everybody_says_the_same(accelerator: str, unit: str, ratio: float, n: int) -> None:
    medians = {"umcg/sleep": 100.0 * ratio, "pthread/sleep": 100.0}
    samples = synthetic.samples(medians, unit, n=n, spread=0.005)
    environment = synthetic.ENVIRONMENT | {"accelerator": accelerator}
    run = synthetic.record(samples=samples, environment=environment)
    row = analysis.df_ratio(run).row(0, named=True)
    said = course.say(run, "umcg/sleep", "pthread/sleep")
    contrast = Contrast("umcg/sleep", "pthread/sleep", unit, "UMCG", "threads")
    measured = SuiteResult(samples=samples.rows())
    (finding,) = judge.judge([contrast], measured, environment)
    assert row["verdict"] == said.word == finding.verdict
    assert (row["ratio"], row["ci_low"]) == pytest.approx((said.ratio, said.low), nan_ok=True)
    other = run.samples.with_columns(value=100.0 * pl.col("value") / ratio / 100.0)
    table = analysis.df_compare(synthetic.record(samples=other, environment=environment), run)
    against_itself = table.filter(series="umcg/sleep")["verdict"][0]
    if ratio in (0.5, 1.0, 1.5):
        assert against_itself == row["verdict"]


@pytest.mark.parametrize(
    ("low", "high", "n", "unit", "said"),
    [
        (0.5, 0.9, 9, "ns", "better"),
        (1.2, 1.3, 9, "ns", "worse"),
        (1.2, 1.3, 9, "op/s", "better"),
        (1.2, 1.3, 9, "cpu", "more"),
        (0.5, 0.6, 9, "jain", "less"),
        (0.98, 1.02, 9, "ns", "no difference"),
        (0.96, 1.02, 9, "ns", "undecided"),
        (1.01, 1.04, 9, "ns", "undecided"),
        (0.5, 0.6, 4, "ns", "too few values"),
        (np.nan, np.nan, 9, "ns", "too few values"),
    ],
)
def test_the_rule(low: float, high: float, n: int, unit: str, said: str) -> None:
    assert verdict.verdict(low, high, n, verdict.MARGIN, better(unit)) == said


def test_a_difference_smaller_than_the_margin_is_none_however_often_it_is_measured() -> None:
    samples = synthetic.samples({"umcg/x": 102.0, "pthread/x": 100.0}, n=200, spread=0.01)
    environment = synthetic.ENVIRONMENT | {"accelerator": "kvm"}
    row = analysis.df_ratio(synthetic.record(samples=samples, environment=environment)).row(
        0, named=True
    )
    assert row["ci_low"] > 1, "the interval alone would call it a difference"
    assert row["verdict"] in ("no difference", "undecided")
