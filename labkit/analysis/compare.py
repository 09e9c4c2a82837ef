# SPDX-License-Identifier: MIT
"""Ratios of interleaved samples with intervals, warnings, and what must not be compared."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.analysis.needs import MissingSamples
from labkit.record import Record

#: Series that others are set against, in order of preference.
BASELINES = ("futex", "pthread", "condvar", "pipe", "eventfd", "sched_yield")

#: Below this many repetitions no interval is given.
FEWEST = 3

#: Environment keys that must agree before two runs may be compared.
COMPARED_KEYS = (
    "backend",
    "kernel",
    "kernel_version",
    "config_digest",
    "accelerator",
    "cpu",
    "cpus",
    "clock",
)

#: Units in which more is better.
_MORE_IS_BETTER = ("op/s", "1/s", "jain")

_CONFIDENCE = 0.95
_RESAMPLES = 9999

Values = npt.NDArray[np.float64]


class NotComparable(ValueError):
    """Two results were not made in the same environment or do not measure the same."""


def head_and_rest(series: str) -> tuple[str, str]:
    """What a series does it with, and what it does; those alike in the latter may be compared."""
    head, _, rest = series.partition("/")
    # "2 servers" of UMCG, and "4 servers on 2 cpus", stand beside "2 cpus" of threads.
    return head, re.sub(r"(?:\d+ servers? on )?(\d+) (servers?|cpus?)", r"\1 places", rest)


def _baseline(series: list[str], wanted: str | None) -> dict[str, str]:
    """The baseline of each series that has one: the same name but for its head."""
    split = {s: head_and_rest(s) for s in series}
    found = {}
    for name, (head, rest) in split.items():
        others = {h: s for s, (h, r) in split.items() if r == rest and h != head}
        if wanted is not None:
            if wanted in others:
                found[name] = others[wanted]
            continue
        for candidate in BASELINES:
            if candidate == head:
                break
            if candidate in others:
                found[name] = others[candidate]
                break
    return found


def _values(samples: pl.DataFrame, series: str, unit: str) -> dict[int, float]:
    rows = samples.filter((pl.col("series") == series) & (pl.col("unit") == unit))
    return dict(rows.select("repetition", "value").iter_rows())


def _ratio(a: Values, b: Values, axis: int = -1) -> Any:
    return np.median(a, axis=axis) / np.median(b, axis=axis)


def bootstrap_ratio(a: Values, b: Values, paired: bool = True) -> tuple[float, float, float]:
    """Ratio of the medians of a and b with its 95 % percentile bootstrap interval.

    `paired`: a[i] and b[i] were measured one after the other and are drawn together. The interval
    is nan with less than `FEWEST` values. The random numbers are fixed: the same values give the
    same interval.
    """
    ratio = float(_ratio(a, b))
    if min(len(a), len(b)) < FEWEST:
        return ratio, float("nan"), float("nan")
    # SciPy takes long to import in a guest under TCG, where most tables do without it.
    from scipy import stats

    result = stats.bootstrap(
        (a, b),
        _ratio,
        paired=paired,
        vectorized=True,
        confidence_level=_CONFIDENCE,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    interval = result.confidence_interval
    return ratio, float(interval.low), float(interval.high)


def _verdict(ratio: float, low: float, high: float, unit: str) -> str:
    if np.isnan(low):
        return "too few values"
    if low <= 1 <= high:
        return "not significant"
    better = (ratio > 1) == (unit in _MORE_IS_BETTER)
    if unit in ("cpu", "jain"):
        return "more" if ratio > 1 else "less"
    return "better" if better else "worse"


_RATIO_SCHEMA = {
    "series": pl.String(),
    "baseline": pl.String(),
    "unit": pl.String(),
    "value": pl.Float64(),
    "baseline_value": pl.Float64(),
    "ratio": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "n": pl.Int64(),
    "verdict": pl.String(),
}


def df_ratio(record: Record, baseline: str | None = None) -> pl.DataFrame:
    """Each series over its baseline, from samples that were taken alternately in one boot.

    Args:
        record: a run.
        baseline: what stands before the first `/` of the series to set the others against; None:
            the first of `BASELINES` that the run has.

    Returns:
        Rows `series`, `baseline`, `unit`, `value` and `baseline_value` (medians), `ratio`, `low`,
        `high` (95 % bootstrap interval of paired repetitions), `n` repetitions, `verdict`. In
        units of time, a ratio below 1 is better; in units of rate, above 1. A series of another
        placement is never a baseline. Empty when nothing has a baseline.

    Raises:
        MissingSamples: the run has no samples, or `baseline` names no series.
    """
    samples = record.samples
    if samples.is_empty():
        raise MissingSamples(f"the run {record.experiment!r} has no samples; nothing to compare")
    heads = {head_and_rest(s)[0] for s in samples["series"].unique()}
    if baseline is not None and baseline not in heads:
        raise MissingSamples(f"no series {baseline!r}; choose from {', '.join(sorted(heads))}")
    rows = []
    for (unit,), group in samples.group_by("unit", maintain_order=True):
        names = group["series"].unique(maintain_order=True).to_list()
        for name, other in _baseline(names, baseline).items():
            a, b = _values(group, name, str(unit)), _values(group, other, str(unit))
            both = sorted(a.keys() & b.keys())
            if not both or not all(b[i] for i in both):
                continue
            x, y = np.array([a[i] for i in both]), np.array([b[i] for i in both])
            ratio, low, high = bootstrap_ratio(x, y)
            verdict = _verdict(ratio, low, high, str(unit))
            medians = float(np.median(x)), float(np.median(y))
            rows.append((name, other, unit, *medians, ratio, low, high, len(both), verdict))
    return pl.DataFrame(rows, schema=_RATIO_SCHEMA, orient="row")


def df_samples(record: Record) -> pl.DataFrame:
    """By series and unit: median, quartiles, `n`, `spread` (interquartile range over median).

    One value alone has no spread: it is null.
    """
    value = pl.col("value")
    return (
        record.samples.group_by("series", "unit", maintain_order=True)
        .agg(
            n=pl.len(),
            median=value.median(),
            low=value.quantile(0.25, "linear"),
            high=value.quantile(0.75, "linear"),
        )
        .with_columns(
            spread=pl.when((pl.col("median") != 0) & (pl.col("n") > 1)).then(
                (pl.col("high") - pl.col("low")) / pl.col("median").abs()
            )
        )
    )


def warnings(record: Record) -> list[str]:
    """Reasons to doubt the run's values, in plain words; empty when there is none.

    Few repetitions, wide spread (quartiles further apart than 10 % of the median), drift (rank
    correlation with time), values from less than 100 ms, lost events, a stopped run, an
    interpreting accelerator.
    """
    said = []
    if record.environment.get("accelerator") == "tcg":
        said.append("under TCG absolute times mean nothing; only ratios within one run do")
    if lost := record.counters.get("lost", 0):
        said.append(f"{lost:g} events were lost: timelines have gaps")
    if record.counters.get("stopped"):
        said.append("the run was stopped before it was complete")
    doubts: dict[str, list[str]] = {}
    for row in df_samples(record).iter_rows(named=True):
        rows = record.samples.filter(
            (pl.col("series") == row["series"]) & (pl.col("unit") == row["unit"])
        ).sort("repetition")
        for what, how_much in _doubts(rows, row):
            name = f"{row['series']} ({row['unit']}{', ' + how_much if how_much else ''})"
            doubts.setdefault(what, []).append(name)
    return said + [f"{what}: {_some(names)}" for what, names in doubts.items()]


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + rest


def _doubts(rows: pl.DataFrame, summary: dict[str, Any]) -> list[tuple[str, str]]:
    """What is doubtful about one series' values, and by how much."""
    found = []
    values = rows["value"].to_numpy()
    if len(values) < 5:
        found.append((f"only {len(values)} repetitions, take 5 or more", ""))
    if summary["spread"] is not None and summary["spread"] > 0.1:
        found.append(
            (
                "unstable, the quartiles lie more than 10 % of the median apart, repeat on a quiet "
                "machine",
                f"{summary['spread']:.0%}",
            )
        )
    if len(values) >= 8 and len(set(values)) > 1:
        from scipy import stats

        trend = stats.spearmanr(rows["repetition"].to_numpy(), values)
        if trend.pvalue < 0.01:
            found.append(("drifts with time", f"rank correlation {trend.statistic:+.2f}"))
    if summary["unit"] == "ns/switch":
        shortest = float((values * rows["n"].to_numpy()).min()) / 1e6
        if shortest < 100:
            found.append(("measured for less than 100 ms a value", f"{shortest:.0f} ms"))
    return found


def differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """Why results of two environments must not be compared; empty when they may."""
    return [
        f"{key}: {a.get(key)!r} and {b.get(key)!r}"
        for key in COMPARED_KEYS
        if a.get(key) != b.get(key)
    ]


def df_compare(a: Record, b: Record) -> pl.DataFrame:
    """Run b over run a, series by series.

    Rows `series`, `unit`, `value_a`, `value_b`, `ratio`, `low`, `high`, `verdict`.

    The runs were not interleaved, so the interval is that of independent samples, and slow changes
    of the machine between the runs are in it as if they were a difference.

    Raises:
        NotComparable: experiment or environment differ (each difference is named), or no series is
            common.
    """
    if a.experiment != b.experiment:
        raise NotComparable(
            f"these are different experiments, {a.experiment!r} and {b.experiment!r}"
        )
    if unlike := differences(a.environment, b.environment):
        raise NotComparable(
            "the runs were made in different environments (" + "; ".join(unlike) + "); "
            "run both in the same boot"
        )
    if unlike := _spec_differences(a.spec, b.spec):
        raise NotComparable("the runs asked for different things (" + "; ".join(unlike) + ")")
    rows = []
    for series, unit in a.samples.select("series", "unit").unique(maintain_order=True).iter_rows():
        x = np.array(list(_values(a.samples, series, unit).values()))
        y = np.array(list(_values(b.samples, series, unit).values()))
        if not len(y) or not np.median(x):
            continue
        ratio, low, high = bootstrap_ratio(y, x, paired=False)
        verdict = _verdict(ratio, low, high, unit)
        rows.append((series, unit, np.median(x), np.median(y), ratio, low, high, verdict))
    if not rows:
        raise NotComparable("the runs have no series in common")
    columns = ["series", "unit", "value_a", "value_b", "ratio", "low", "high", "verdict"]
    return pl.DataFrame(rows, schema=columns, orient="row")


#: Spec fields that change how often or how much is traced, not what is measured.
_FREE_FIELDS = ("repetitions", "traced_rounds", "events", "methods", "placements", "works")


def _spec_differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    keys = sorted((a.keys() | b.keys()) - set(_FREE_FIELDS))
    return [f"{k}: {a.get(k)!r} and {b.get(k)!r}" for k in keys if a.get(k) != b.get(k)]


def df_probe(record: Record) -> pl.DataFrame:
    """What tracing costs: `series`, `cost` (time traced over time untraced, 1 is free)."""
    rows = [
        (name.removesuffix(":probe_cost"), float(value))
        for name, value in record.counters.items()
        if name.endswith(":probe_cost")
    ]
    return pl.DataFrame(rows, schema={"series": pl.String, "cost": pl.Float64}, orient="row")


def probe_sentence(record: Record) -> str:
    """What tracing costs, in one sentence."""
    table = df_probe(record)
    if table.is_empty():
        return "The cost of tracing was not measured: how much it slowed the work down is unknown."
    worst = table.sort("cost", descending=True).row(0, named=True)
    return (
        f"Tracing made the work take up to {worst['cost']:.2f} times as long ({worst['series']})."
    )
