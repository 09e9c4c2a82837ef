# SPDX-License-Identifier: MIT
from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import synthetic

from labkit import analysis
from labkit.analysis.compare import bootstrap_ratio


def test_a_real_difference_is_significant_and_none_is_not() -> None:
    medians = {"umcg-swap/pinned": 500.0, "pipe/pinned": 1000.0, "futex/pinned": 1000.0}
    run = synthetic.record(samples=synthetic.samples(medians, "ns/switch", n=20))
    table = {r["series"]: r for r in analysis.df_ratio(run).iter_rows(named=True)}
    swap, pipe = table["umcg-swap/pinned"], table["pipe/pinned"]
    assert "futex/pinned" not in table
    assert swap["baseline"] == "futex/pinned"
    assert swap["verdict"] == "better"
    assert swap["low"] < swap["ratio"] < swap["high"] < 0.53
    assert pipe["verdict"] == "not significant"
    assert pipe["low"] < 1 < pipe["high"]


def test_more_operations_are_better_and_the_direction_is_the_units() -> None:
    medians = {"umcg/sleep": 500.0, "pthread/sleep": 1000.0}
    for unit, verdict in (("ns", "better"), ("op/s", "worse"), ("cpu", "less")):
        run = synthetic.record(samples=synthetic.samples(medians, unit))
        assert analysis.df_ratio(run)["verdict"].to_list() == [verdict]


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
    assert np.isnan(row["low"])
    assert row["verdict"] == "too few values"


def test_pairs_are_drawn_together() -> None:
    """Values that drift together: the pairs' ratio is certain although each alone is not."""
    rng = np.random.default_rng(3)
    drift = rng.lognormal(0, 0.5, 30)
    a, b = 2 * drift, drift
    paired, apart = bootstrap_ratio(a, b), bootstrap_ratio(a, b, paired=False)
    assert paired[1] == pytest.approx(2) == paired[2]
    assert apart[2] - apart[1] > 0.5
    assert bootstrap_ratio(a, b, paired=False) == apart


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(60):
        a, b = rng.normal(120, 6, 25), rng.normal(100, 5, 25)
        _, low, high = bootstrap_ratio(a, b)
        hits += low <= 1.2 <= high
    assert hits >= 50


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
    assert set(analysis.df_compare(a, a)["verdict"]) == {"not significant"}


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
