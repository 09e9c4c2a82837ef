# SPDX-License-Identifier: MIT
"""Ratios of interleaved samples with intervals, warnings, and what must not be compared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from labkit.analysis.requires import MissingSamples
from labkit.experiments.asked import baselines, better, free_fields
from labkit.names import counted
from labkit.records import LOSS_KINDS, Record
from labkit.trace.loss import incomplete
from labkit.verdict import FEWEST, Values, margin, ratio_of, verdict

#: Of the keys below those that older files do not have; it makes no difference that they do not.
_LATE_KEYS = ("governor", "turbo", "smt", "aslr")

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
    *_LATE_KEYS,
)

#: Columns of what has changed from one run to another.
_CHANGE = ("ratio", "ci_low", "ci_high", "verdict")

#: Orders that a permutation test tries.
_SHUFFLES = 9999


class NotComparable(ValueError):
    """Two results were not made in the same environment or do not measure the same."""


def head_and_rest(series: str) -> tuple[str, str]:
    """What a series does it with, and what it does; those alike in the latter may be compared."""
    head, _, rest = series.partition("/")
    # "2 servers" of UMCG, and "4 servers on 2 cpus", stand beside "2 cpus" of threads.
    return head, re.sub(r"(?:\d+ servers? on )?(\d+) (servers?|cpus?)", r"\1 places", rest)


def _baseline(series: list[str], wanted: str | None, preferred: Sequence[str]) -> dict[str, str]:
    """The baseline of each series that has one: the same name but for its head."""
    split = {s: head_and_rest(s) for s in series}
    found = {}
    for name, (head, rest) in split.items():
        others = {h: s for s, (h, r) in split.items() if r == rest and h != head}
        if wanted is not None:
            if wanted in others:
                found[name] = others[wanted]
            continue
        for candidate in preferred:
            if candidate == head:
                break
            if candidate in others:
                found[name] = others[candidate]
                break
    return found


def _values(samples: pl.DataFrame, series: str, unit: str) -> dict[int, float]:
    rows = samples.filter((pl.col("series") == series) & (pl.col("unit") == unit))
    return dict(rows.select("repetition", "value").iter_rows())


def rank_correlation(
    x: Sequence[float] | Values, y: Sequence[float] | Values
) -> tuple[float, float]:
    """Spearman's rank correlation, and how often chance alone gives one as strong.

    The second is a permutation test's: the share of shuffled orders of y. The random numbers are
    fixed.
    """
    a, b = (pl.Series(values, strict=False).rank().to_numpy() for values in (x, y))
    a, b = ((ranks - ranks.mean()) / (ranks.std() or 1) for ranks in (a, b))
    found = float(a @ b) / len(a)
    shuffled = np.random.default_rng(0).permuted(np.tile(b, (_SHUFFLES, 1)), axis=1)
    as_strong = np.abs(shuffled @ a) / len(a) >= abs(found) - 1e-9
    return found, float(1 + as_strong.sum()) / (1 + _SHUFFLES)


_RATIO_SCHEMA = {
    "series": pl.String(),
    "baseline": pl.String(),
    "unit": pl.String(),
    "value": pl.Float64(),
    "baseline_value": pl.Float64(),
    "ratio": pl.Float64(),
    "ci_low": pl.Float64(),
    "ci_high": pl.Float64(),
    "n": pl.Int64(),
    "verdict": pl.String(),
}


def df_ratio(record: Record, baseline: str | None = None) -> pl.DataFrame:
    """Each series over its baseline, from samples that were taken alternately in one boot.

    Args:
        record: a run.
        baseline: what stands before the first `/` of the series to set the others against; None:
            the first of its experiment's baselines that the run has.

    Returns:
        Rows `series`, `baseline`, `unit`, `value` and `baseline_value` (medians), `ratio`
        (the median of the repetitions' own ratios, which need not be that of the two medians; see
        `labkit.verdict.ratio_of`), `ci_low`, `ci_high` (its 95 % interval), `n`, `verdict`. In
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
    preferred, clear = baselines(record.experiment), margin(record.environment)
    rows = []
    for (unit,), group in samples.group_by("unit", maintain_order=True):
        names = group["series"].unique(maintain_order=True).to_list()
        for name, other in _baseline(names, baseline, preferred).items():
            a, b = _values(group, name, str(unit)), _values(group, other, str(unit))
            both = sorted(a.keys() & b.keys())
            if not both or not all(b[i] for i in both):
                continue
            x, y = np.array([a[i] for i in both]), np.array([b[i] for i in both])
            ratio, low, high = ratio_of(x, y)
            said = verdict(low, high, len(both), clear, better(str(unit)))
            medians = float(np.median(x)), float(np.median(y))
            rows.append((name, other, unit, *medians, ratio, low, high, len(both), said))
    return pl.DataFrame(rows, schema=_RATIO_SCHEMA, orient="row")


def df_samples(record: Record) -> pl.DataFrame:
    """By series and unit: median, quartiles `q1`, `q3`, `n`, `spread` (their distance over median).

    One value alone has no spread: it is null.
    """
    value = pl.col("value")
    return (
        record.samples.group_by("series", "unit", maintain_order=True)
        .agg(
            n=pl.len(),
            median=value.median(),
            q1=value.quantile(0.25, "linear"),
            q3=value.quantile(0.75, "linear"),
        )
        .with_columns(
            spread=pl.when((pl.col("median") != 0) & (pl.col("n") > 1)).then(
                (pl.col("q3") - pl.col("q1")) / pl.col("median").abs()
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
        said.append(f"{lost:g} events were lost{_lost_where(record)}")
    if record.counters.get("stopped"):
        because = record.environment.get("stopped_because")
        said.append(
            f"the run was stopped before it was complete{f': {because}' if because else ''}"
        )
    said += _without_faults(record)
    doubts: dict[str, list[str]] = {}
    # A simulation of one seed gives the same values however often it is made.
    one_is_all = (
        record.environment.get("backend") == "simulator" and "repetitions" not in record.spec
    )
    for row in df_samples(record).iter_rows(named=True):
        rows = record.samples.filter(
            (pl.col("series") == row["series"]) & (pl.col("unit") == row["unit"])
        ).sort("repetition")
        for what, how_much in _doubts(rows, row, one_is_all=one_is_all):
            name = f"{row['series']} ({row['unit']}{', ' + how_much if how_much else ''})"
            doubts.setdefault(what, []).append(name)
    return said + [f"{what}: {_some(names)}" for what, names in doubts.items()]


def _without_faults(record: Record) -> list[str]:
    """Series whose operations should fault and mostly did not."""
    said = []
    for counter, faults in record.counters.items():
        series, _, what = counter.rpartition(":")
        mine = (pl.col("series") == series) & (pl.col("unit") == "op/s")
        counted = record.samples.filter(mine)["n"].to_list() if what == "major_faults" else []
        operations = sum(counted)
        if faults < 0.9 * operations:
            said.append(f"only {faults / operations:.0%} of the operations of {series} faulted")
    return said


def _lost_where(record: Record) -> str:
    """Which series' events tell less than all, and from when on."""
    begins = dict(
        record.events.join(record.tasks.select("tid", "series"), on="tid")
        .group_by("series")
        .agg(pl.col("t").min())
        .iter_rows()
    )
    gaps = {
        series: since - begins[series]
        for kind in LOSS_KINDS
        for series, since in incomplete(record, kind).iter_rows()
    }
    if not gaps:
        return ": timelines and what is made of events have gaps"
    told = [f"{series} ({since / 1e6:.3g} ms after its begin)" for series, since in gaps.items()]
    return f": nothing made of events goes beyond {_some(told)}; raise `events`"


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + rest


def _doubts(
    rows: pl.DataFrame, summary: dict[str, Any], *, one_is_all: bool
) -> list[tuple[str, str]]:
    """What is doubtful about one series' values, and by how much."""
    found = []
    values = rows["value"].to_numpy()
    if len(values) < FEWEST and not one_is_all:
        count = counted(len(values), "repetition")
        found.append((f"only {count}, take {FEWEST} or more", ""))
    if summary["spread"] is not None and summary["spread"] > 0.1:
        found.append(
            (
                "unstable, the quartiles are more than 10 % of the median apart, repeat on a quiet "
                "machine",
                f"{summary['spread']:.0%}",
            )
        )
    if len(values) >= 8 and len(set(values)) > 1:
        correlation, chance = rank_correlation(rows["repetition"].to_numpy(), values)
        if chance < 0.01:
            found.append(("drifts with time", f"rank correlation {correlation:+.2f}"))
    if summary["unit"] == "ns/switch":
        shortest = float((values * rows["n"].to_numpy()).min()) / 1e6
        if shortest < 100:
            found.append(("measured for less than 100 ms a value", f"{shortest:.0f} ms"))
    return found


def differences(
    a: dict[str, Any],
    b: dict[str, Any],
    *,
    times: bool = True,
    keys: Sequence[str] = COMPARED_KEYS,
) -> list[str]:
    """Why results of two environments must not be compared; empty when they may.

    Args:
        a: an environment (`labkit.environment.collect`).
        b: another.
        times: absolute values are to be compared, which needs one boot, known as such; ratios
            that were made within each run do not.
        keys: of the environments, what must be alike.
    """
    found = [
        f"{key}: {a.get(key)!r} and {b.get(key)!r}"
        for key in keys
        if a.get(key) != b.get(key) and (key not in _LATE_KEYS or (key in a and key in b))
    ]
    if times and (why := clocks_differ(a, b)):
        found.append(why)
    return found


def clocks_differ(a: dict[str, Any], b: dict[str, Any]) -> str:
    """Why times of one environment say nothing beside those of another; "" where they do."""
    if a.get("backend") == b.get("backend") == "simulator":  # virtual time is the same anywhere
        return ""
    boots = [env.get("boot_id") for env in (a, b)]
    if not all(boots):
        return "boot: unknown, as one of them was recorded by a labkit that did not note it"
    return "" if boots[0] == boots[1] else f"boot: {boots[0]} and {boots[1]}"


def check_comparable(a: Record, b: Record, *, times: bool) -> None:
    """Refuse to compare two runs of different experiments or environments; see `differences`.

    Raises:
        NotComparable: with each difference, and what can be done.
    """
    if a.experiment != b.experiment:
        raise NotComparable(
            f"these are different experiments, {a.experiment!r} and {b.experiment!r}"
        )
    if unlike := differences(a.environment, b.environment, times=times):
        raise NotComparable(
            "the runs were made in different environments (" + "; ".join(unlike) + "); "
            "run both in the same boot"
            + (", or compare the ratios made within each (df_compare_ratios)" if times else "")
        )


def _check_alike(a: Record, b: Record, *, times: bool) -> None:
    """Refuse, besides, runs of which different things were asked."""
    check_comparable(a, b, times=times)
    if unlike := _spec_differences(a.spec, b.spec):
        raise NotComparable("the runs asked for different things (" + "; ".join(unlike) + ")")


def df_compare(a: Record, b: Record) -> pl.DataFrame:
    """Run b over run a, series by series.

    Rows `series`, `unit`, `value_a`, `value_b`, `ratio`, `ci_low`, `ci_high`, `verdict`.

    The runs were not interleaved, so the interval is that of independent samples, and slow changes
    of the machine between the runs are in it as if they were a difference.

    Raises:
        NotComparable: experiment, environment or boot differ (each difference is named), or no
            series is common.
    """
    _check_alike(a, b, times=True)
    rows = []
    for series, unit in a.samples.select("series", "unit").unique(maintain_order=True).iter_rows():
        x = np.array(list(_values(a.samples, series, unit).values()))
        y = np.array(list(_values(b.samples, series, unit).values()))
        if not len(y) or not np.median(x):
            continue
        rows.append((series, unit, np.median(x), np.median(y), *changed(y, x, unit, a.environment)))
    if not rows:
        raise NotComparable("the runs have no series in common")
    columns = ["series", "unit", "value_a", "value_b", *_CHANGE]
    return pl.DataFrame(rows, schema=columns, orient="row")


def changed(
    new: Values, old: Values, unit: str, environment: Mapping[str, Any]
) -> tuple[float, float, float, str]:
    """Values over others, measured at another time: the ratio, its interval's ends, the verdict."""
    ratio, low, high = ratio_of(new, old, paired=False)
    count = min(len(new), len(old))
    return ratio, low, high, verdict(low, high, count, margin(environment), better(unit))


def df_compare_ratios(a: Record, b: Record, baseline: str | None = None) -> pl.DataFrame:
    """The ratios of run b over those of run a, each made within its run: also of two boots.

    Args:
        a: a run.
        b: another.
        baseline: see `df_ratio`.

    Returns:
        Rows `series`, `baseline`, `unit`, `ratio_a`, `ratio_b`, `ratio` (b over a), `ci_low`,
        `ci_high` (95 % interval of independent repetitions), `verdict`.

    Raises:
        NotComparable: experiment or environment differ but for the boot, or no ratio is common.
    """
    _check_alike(a, b, times=False)
    rows = []
    common = df_ratio(a, baseline).join(
        df_ratio(b, baseline), on=["series", "baseline", "unit"], maintain_order="left"
    )
    for series, other, unit in common.select("series", "baseline", "unit").iter_rows():
        of_a, of_b = (_ratios(one.samples, series, other, unit) for one in (a, b))
        medians = float(np.median(of_a)), float(np.median(of_b))
        rows.append((series, other, unit, *medians, *changed(of_b, of_a, unit, a.environment)))
    if not rows:
        raise NotComparable("the runs have no ratio in common")
    columns = ["series", "baseline", "unit", "ratio_a", "ratio_b", *_CHANGE]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _ratios(samples: pl.DataFrame, series: str, baseline: str, unit: str) -> Values:
    """Of each repetition that has both."""
    x, y = _values(samples, series, unit), _values(samples, baseline, unit)
    return np.array([x[i] / y[i] for i in sorted(x.keys() & y.keys()) if y[i]])


def _spec_differences(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """What was asked for otherwise, but for how often and how much is traced."""
    keys = sorted((a.keys() | b.keys()) - free_fields(str(a.get("experiment"))))
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
    if record.events.is_empty():
        return "Nothing was traced, so nothing was slowed down by it."
    if record.environment.get("backend") == "simulator":
        return "Tracing takes no virtual time."
    if record.environment.get("backend") == "imported":
        return "How much tracing slowed the work down is not in the trace."
    if table.is_empty():
        return "The cost of tracing was not measured: how much it slowed the work down is unknown."
    worst = table.sort("cost", descending=True).row(0, named=True)
    return (
        f"Tracing made the work take up to {worst['cost']:.2f} times as long ({worst['series']})."
    )
