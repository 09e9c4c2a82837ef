# SPDX-License-Identifier: MIT
"""Sentences that say what the data say, and claims that must hold on every machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import EllipsisType

import polars as pl

from labkit.analysis.compare import check_comparable
from labkit.analysis.requires import MissingSamples
from labkit.course.predictions import Prediction, settle
from labkit.experiments.asked import better
from labkit.model import invariants
from labkit.names import counted
from labkit.records import Record
from labkit.verdict import LESS, MARGIN, margin, ratio_of, verdict


@dataclass(frozen=True)
class Comparison:
    """One series over another, as a sentence.

    Attributes:
        series: what is set against `baseline`.
        baseline: see there.
        unit: of the values.
        ratio: of the medians.
        low: lower end of the ratio's 95 % interval; nan: too few values.
        high: its upper end.
        n: repetitions.
        predicted: what the reader wrote down, None: nothing yet; `...`: was not asked for.
        note: what else must be said.
        clear: the interval must be clear of 1 by so much for a difference to be one.
        better: what is better in this unit, `more` or `less`; "": neither.
    """

    series: str
    baseline: str
    unit: str
    ratio: float
    low: float
    high: float
    n: int
    predicted: float | EllipsisType | None = ...
    note: str = ""
    clear: float = MARGIN
    better: str = LESS

    @property
    def word(self) -> str:
        """The verdict; see `labkit.verdict` for the words."""
        return verdict(self.low, self.high, self.n, self.clear, self.better)

    def _against_prediction(self) -> str:
        if self.predicted is ...:
            return ""
        if self.predicted is None:
            return " You have not written down a prediction."
        if self.low <= self.predicted <= self.high:
            return f" You predicted {self.predicted:g}, within the interval."
        if self.predicted <= 0:
            return f" You predicted {self.predicted:g}; a ratio is above 0."
        if not 0 < self.ratio < math.inf:  # on a machine so busy that one of them did nothing
            return f" You predicted {self.predicted:g}."
        off = max(self.predicted / self.ratio, self.ratio / self.predicted)
        return f" You predicted {self.predicted:g}, {off:.2f} times off."

    def __str__(self) -> str:
        return (
            f"{self.series}: {self.ratio:.3g} times the {self.unit} of {self.baseline} (95 % "
            f"interval {self.low:.3g} to {self.high:.3g}, {counted(self.n, 'repetition')}): "
            f"{self.word}." + self._against_prediction() + self.note
        )

    __repr__ = __str__

    def _repr_markdown_(self) -> str:
        return str(self).replace(f": {self.word}.", f": **{self.word}**.")


def say(
    run: Record,
    series: str,
    baseline: str,
    *,
    unit: str | None = None,
    predicted: Prediction | float | EllipsisType | None = ...,
) -> Comparison:
    """Compare two series of one run in a sentence that says what the data say.

    Args:
        run: samples that were taken in turn.
        series: what is set against `baseline`.
        baseline: see there.
        unit: of the samples to take; None: the first that both have.
        predicted: the ratio the reader expected, None: none.

    Raises:
        MissingSamples: the run does not have both series in one unit.
    """
    of = {
        name: run.samples.filter(
            (pl.col("series") == name) & (pl.col("unit") == unit if unit else pl.lit(True))
        )
        for name in (series, baseline)
    }
    pairs = of[series].join(
        of[baseline], on=["unit", "repetition"], suffix="_b", maintain_order="left"
    )
    if pairs.is_empty():
        known = ", ".join(run.samples["series"].unique(maintain_order=True))
        raise MissingSamples(
            f"{series!r} and {baseline!r} have no samples in {unit or 'a common unit'}; the run "
            f"has {known}"
        )
    pairs = pairs.filter(pl.col("unit") == pairs["unit"][0])
    ratio, low, high = ratio_of(pairs["value"].to_numpy(), pairs["value_b"].to_numpy())
    kind = str(pairs["unit"][0])
    return Comparison(
        series,
        baseline,
        kind,
        ratio,
        low,
        high,
        pairs.height,
        settle(predicted, _measured(ratio, low, high)),
        clear=margin(run.environment),
        better=better(kind),
    )


def say_across(
    run: Record,
    baseline: Record,
    series: str,
    *,
    unit: str | None = None,
    predicted: Prediction | float | EllipsisType | None = ...,
) -> Comparison:
    """Compare one series of two runs that differ in what was asked.

    They were made one after the other, so a slow change of the machine looks like a difference.

    Args:
        run: one run.
        baseline: the other.
        series: of both.
        unit: of the samples to take; None: the first of `run`.
        predicted: the ratio the reader expected, None: none.

    Raises:
        MissingSamples: one of them does not have the series in this unit.
        NotComparable: they were made in different environments or boots.
    """
    boots = {one.environment.get("boot_id") for one in (run, baseline)}
    check_comparable(run, baseline, times=None not in boots)
    note = "" if None not in boots else " (Whether both are of one boot was not recorded.)"
    mine = run.samples.filter(pl.col("series") == series)
    if unit is None:
        unit = "" if mine.is_empty() else str(mine["unit"][0])
    chosen = (pl.col("series") == series) & (pl.col("unit") == unit)
    a, b = (one.samples.filter(chosen)["value"].to_numpy() for one in (run, baseline))
    if not len(a) or not len(b):
        raise MissingSamples(f"not both runs have samples of {series!r} in {unit or 'any unit'}")
    ratio, low, high = ratio_of(a, b, paired=False)
    keys = [k for k in run.spec if run.spec[k] != baseline.spec.get(k)]
    asked = [", ".join(f"{k} {_short(one.spec.get(k))}" for k in keys) for one in (run, baseline)]
    names = [f"{series} ({words or 'again'})" for words in asked]
    count = min(len(a), len(b))
    return Comparison(
        names[0],
        names[1],
        unit,
        ratio,
        low,
        high,
        count,
        settle(predicted, _measured(ratio, low, high)),
        note,
        clear=margin(run.environment),
        better=better(unit),
    )


def _measured(ratio: float, low: float, high: float) -> str:
    return f"{ratio:.3g} (95 % interval {low:.3g} to {high:.3g})"


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def answer(question: str, predicted: object, measured: object) -> None:
    """Print what was measured beside what the reader wrote down (None: nothing)."""
    predicted = settle(predicted, measured)
    told = "You have not written down a prediction."
    if predicted is not None:
        told = f"You predicted {predicted}{': right' if predicted == measured else ''}."
    print(f"{question}: {measured}. {told}")


def claim(text: str, holds: bool) -> None:
    """Print `text` with a tick if it holds.

    Raises:
        AssertionError: it does not.
    """
    if not holds:
        raise AssertionError(f"does not hold: {text}")
    print(f"✓ {text}")


def check(run: Record) -> None:
    """Check the run's trace for every invariant of the protocol and list them.

    Raises:
        AssertionError: one is violated, and no event was lost that could explain it.
    """
    found = invariants.check_record(run)
    if found.result == "FAILED":
        raise AssertionError(f"{found}\n{found.violations.head(5)}")
    broken = set(found.violations["invariant"])
    for name, rule in invariants.INVARIANTS.items():
        print(f"{'?' if name in broken else '✓'} {invariants.said(rule)}")
    print(found)
