# SPDX-License-Identifier: MIT
from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import synthetic

from labkit import analysis, environment, experiments, verdict
from labkit.analysis.compare import rank_correlation
from labkit.cli import measure
from labkit.verdict import FEWEST, ratio_of


def test_a_real_difference_is_significant_and_none_is_not() -> None:
    medians = {"umcg-swap/pinned": 500.0, "pipe/pinned": 1000.0, "futex/pinned": 1000.0}
    run = synthetic.record(samples=synthetic.samples(medians, "ns/switch", n=20))
    table = {r["series"]: r for r in analysis.df_ratio(run).iter_rows(named=True)}
    swap, pipe = table["umcg-swap/pinned"], table["pipe/pinned"]
    assert "futex/pinned" not in table
    assert swap["baseline"] == "futex/pinned"
    assert swap["verdict"] == "better"
    assert swap["ci_low"] < swap["ratio"] < swap["ci_high"] < 0.53
    assert pipe["verdict"] in ("no difference", "undecided")
    assert pipe["ci_low"] < 1 < pipe["ci_high"]


def test_more_operations_are_better_and_the_direction_is_the_units() -> None:
    medians = {"umcg/sleep": 500.0, "pthread/sleep": 1000.0}
    for unit, said in (("ns", "better"), ("op/s", "worse"), ("cpu", "less")):
        run = synthetic.record(samples=synthetic.samples(medians, unit))
        assert analysis.df_ratio(run)["verdict"].to_list() == [said]


def test_placements_are_never_mixed() -> None:
    medians = {"umcg-swap/pinned": 500.0, "futex/unpinned": 1000.0}
    run = synthetic.record(samples=synthetic.samples(medians, "ns/switch"))
    assert analysis.df_ratio(run).is_empty()


def test_servers_stand_beside_as_many_cpus() -> None:
    over = ("2 servers", "4 servers on 2 cpus", "4 servers on 2 cpus/last")
    medians = {f"umcg-futex/{name}": 5.0 for name in over}
    medians |= {"futex/2 cpus": 9.0, "futex/2 cpus/last": 12.0, "futex/1 cpus": 4.0}
    run = synthetic.record(samples=synthetic.samples(medians))
    assert analysis.df_ratio(run).select("series", "baseline").rows() == [
        ("umcg-futex/2 servers", "futex/2 cpus"),
        ("umcg-futex/4 servers on 2 cpus", "futex/2 cpus"),
        ("umcg-futex/4 servers on 2 cpus/last", "futex/2 cpus/last"),
    ]


def test_the_baseline_can_be_chosen_and_must_exist() -> None:
    medians = {"umcg-swap/pinned": 5.0, "pipe/pinned": 9.0, "futex/pinned": 7.0}
    run = synthetic.record(samples=synthetic.samples(medians))
    assert set(analysis.df_ratio(run, "pipe")["baseline"]) == {"pipe/pinned"}
    with pytest.raises(analysis.MissingSamples, match="choose from futex, pipe, umcg-swap"):
        analysis.df_ratio(run, "piep")
    with pytest.raises(analysis.MissingSamples, match="no samples"):
        analysis.df_ratio(synthetic.record(samples=run.samples.clear()))


def test_too_few_repetitions_give_no_interval() -> None:
    run = synthetic.record(samples=synthetic.samples({"umcg/x": 1.0, "pthread/x": 2.0}, n=2))
    row = analysis.df_ratio(run).row(0, named=True)
    assert np.isnan(row["ci_low"])
    assert row["verdict"] == "too few values"


def test_pairs_are_drawn_together() -> None:
    """Values that drift together: the pairs' ratio is certain although each alone is not."""
    rng = np.random.default_rng(3)
    drift = rng.lognormal(0, 0.5, 30)
    a, b = 2 * drift, drift
    paired, apart = ratio_of(a, b), ratio_of(a, b, paired=False)
    assert paired[1] == pytest.approx(2) == paired[2]
    assert apart[2] - apart[1] > 0.5
    assert ratio_of(a, b, paired=False) == apart


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(60):
        a, b = rng.normal(120, 6, 25), rng.normal(100, 5, 25)
        _, low, high = ratio_of(a, b)
        hits += low <= 1.2 <= high
    assert hits >= 50


def _coverage(n: int, trials: int) -> float:
    """How often the interval of n pairs without any difference, 8 % of noise, contains 1."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(trials):
        a, b = rng.lognormal(0, 0.08, (2, n))
        _, low, high = ratio_of(a, b)
        hits += low <= 1 <= high
    return hits / trials


def test_the_fewest_values_give_an_interval_that_holds_and_fewer_would_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _coverage(FEWEST, 2000) >= 0.93
    assert all(0.935 <= _coverage(n, 2000) <= 0.97 for n in range(FEWEST + 1, FEWEST + 5))
    monkeypatch.setattr(verdict, "FEWEST", 3)
    assert all(_coverage(n, 600) < 0.91 for n in (3, 4))


SPECS = [*(spec() for spec in experiments.SPECS.values()), *measure.DEMO]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_defaults_give_intervals_and_no_doubt_about_their_own_numbers(
    spec: experiments.Spec,
) -> None:
    asked = spec.to_dict()
    assert asked["repetitions"] >= FEWEST
    assert asked.get("value_ms", 100) >= 100


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kernel", "6.2.0"),
        ("accelerator", "kvm"),
        ("cpus", [0]),
        ("clock", "hpet"),
        ("cpu", "other"),
    ],
)
def test_another_environment_is_refused_with_the_reason(key: str, value: object) -> None:
    a = synthetic.record()
    b = synthetic.record(environment=a.environment | {key: value})
    assert analysis.differences(a.environment, b.environment) == [
        f"{key}: {a.environment[key]!r} and {value!r}"
    ]
    with pytest.raises(analysis.NotComparable, match=f"different environments.*{key}"):
        analysis.df_compare(a, b)


def test_other_things_asked_are_refused() -> None:
    a = synthetic.record()
    with pytest.raises(analysis.NotComparable, match="different experiments"):
        analysis.df_compare(a, synthetic.record(spec={"experiment": "swap"}))
    with pytest.raises(analysis.NotComparable, match="workers: 5 and 50"):
        analysis.df_compare(a, synthetic.record(spec=a.spec | {"workers": 50}))
    with pytest.raises(analysis.NotComparable, match="no series in common"):
        analysis.df_compare(a, synthetic.record(samples=synthetic.samples({"else": 1.0})))


def test_two_runs_compare() -> None:
    a = synthetic.record()
    faster = a.samples.with_columns(pl.col("value") / 2)
    table = analysis.df_compare(a, synthetic.record(samples=faster))
    assert table["ratio"].to_list() == pytest.approx([0.5, 0.5])
    assert table["verdict"].to_list() == ["better", "better"]
    assert set(analysis.df_compare(a, a)["verdict"]) == {"no difference"}


def test_warnings_say_what_is_doubtful() -> None:
    calm = synthetic.record(
        environment=synthetic.ENVIRONMENT | {"accelerator": "kvm"},
    )
    assert analysis.warnings(calm) == []
    wild = synthetic.samples({"umcg/sleep": 10.0}, "ns/switch", n=4, spread=0.4)
    said = "\n".join(
        analysis.warnings(synthetic.record(samples=wild, counters={"lost": 9, "stopped": 1}))
    )
    for part in (
        "TCG",
        "9 events were lost",
        "stopped",
        "only 4 repetitions",
        "unstable",
        "100 ms",
    ):
        assert part in said
    drifting = calm.samples.with_columns(value=1000.0 + pl.col("repetition"))
    assert "drifts" in "".join(analysis.warnings(synthetic.record(samples=drifting)))


def test_probe_cost_by_series() -> None:
    assert analysis.df_probe(synthetic.record()).rows() == [("umcg/sleep", 1.25)]


def test_the_rank_correlation_is_spearmans() -> None:
    """Values and chances as SciPy 1.17 gives them (`scipy.stats.spearmanr`)."""
    x = np.arange(10)
    for y, want, chance in (
        ([3, 1, 4, 1, 5, 9, 2, 6, 5, 3], 0.3914538, 0.2633),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 1.0, 0.0),
        ([10, 9, 8, 7, 6, 5, 4, 3, 2, 1.0], -1.0, 0.0),
        ([2, 1, 4, 3, 6, 5, 8, 7, 10, 9], 0.9393939, 0.0),
        ([7] * 10, 0.0, 1.0),
    ):
        found, by_chance = rank_correlation(x, y)
        assert found == pytest.approx(want, abs=1e-6)
        assert by_chance == pytest.approx(chance, abs=0.015)


def test_the_interval_of_two_runs_is_scipys_percentile_bootstrap() -> None:
    """`scipy.stats.bootstrap` 1.17 with `default_rng(0)`, 9999 resamples, gave this."""
    rng = np.random.default_rng(1)
    a, b = rng.lognormal(0, 0.1, 9), rng.lognormal(0, 0.1, 9)
    assert ratio_of(a, b, paired=False)[1:] == pytest.approx(
        (0.9632865721557415, 1.0912867291952522), rel=1e-9
    )


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [
        # Of so few the smallest and the largest hold 93.75 % of the time, which is what there is.
        (5, 1, 5),
        # 96.875 % from the first to the sixth, 78.125 % from the second to the fifth.
        (6, 1 + 0.5 / 1.4, 6 - 0.5 / 1.4),
        # 95.7 % from the 8th to the 18th, 89.2 % one further in.
        (25, 8.1981, 17.8019),
    ],
)
def test_the_interval_of_pairs_is_that_of_order_statistics(n: int, low: float, high: float) -> None:
    ratios = np.random.default_rng(2).permutation(n) + 1.0
    weights = np.arange(1.0, n + 1)
    found = ratio_of(ratios * weights, weights)
    assert found == pytest.approx(((n + 1) / 2, low, high), rel=1e-4)


def test_times_of_two_boots_are_refused_and_ratios_are_not() -> None:
    a, b = synthetic.record(), synthetic.record()
    b.environment = synthetic.ENVIRONMENT | {"boot_id": "other"}
    with pytest.raises(analysis.NotComparable) as refused:
        analysis.df_compare(a, b)
    assert "boot: b00d and other" in str(refused.value)
    assert "df_compare_ratios" in str(refused.value)
    b.samples = b.samples.with_columns(
        value=pl.when(pl.col("series") == "umcg/sleep").then(1.5 * pl.col("value")).otherwise(7.0)
    )
    table = analysis.df_compare_ratios(a, b)
    row = table.row(0, named=True)
    assert (row["series"], row["baseline"], row["unit"]) == ("umcg/sleep", "pthread/sleep", "ns")
    assert row["ratio"] == pytest.approx(row["ratio_b"] / row["ratio_a"])
    assert row["ci_low"] <= row["ratio"] <= row["ci_high"]
    assert row["verdict"] == "worse"
    b.environment["governor"] = "powersave"
    with pytest.raises(analysis.NotComparable, match="governor: '' and 'powersave'"):
        analysis.df_compare_ratios(a, b)
    b.environment = {**synthetic.ENVIRONMENT}
    b.spec = a.spec | {"workers": 9}
    with pytest.raises(analysis.NotComparable, match="workers"):
        analysis.df_compare_ratios(a, b)


def test_a_run_that_does_not_know_its_boot_is_not_taken_for_one_of_this() -> None:
    a, b = synthetic.record(), synthetic.record()
    for key in ("boot_id", "governor", "turbo", "smt", "aslr", "load"):
        a.environment.pop(key)
    for first, second in ((a, b), (b, a), (a, a)):
        with pytest.raises(analysis.NotComparable, match="boot: unknown"):
            analysis.df_compare(first, second)
    assert analysis.df_compare_ratios(a, b).height == 1


def test_this_machine_knows_its_boot_and_what_speeds_it_up() -> None:
    here = environment.collect()
    assert (
        here["boot_id"]
        == Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    )
    assert here["aslr"] in ("0", "1", "2")
    assert here["smt"] in (True, False, None) and here["turbo"] in (True, False, None)
    assert isinstance(here["governor"], str) and here["load"] >= 0
