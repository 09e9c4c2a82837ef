# SPDX-License-Identifier: MIT
"""The benchmark's machinery: rounds, results file, verdicts, comparison, report."""

from __future__ import annotations

import ast
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import synthetic

from labkit.analysis.compare import NotComparable
from labkit.benchmark import compare, guest, judge, results, suite
from labkit.benchmark.results import Results, SuiteResult
from labkit.benchmark.suite import (
    RIGORS,
    Bench,
    Contrast,
    Curve,
    Distribution,
    Rigor,
    Suite,
    SuiteError,
)
from labkit.experiments.asked import better
from labkit.pages import bench_report as report
from labkit.trace.errors import ForeignFile, NewerFormat, TruncatedFile
from labkit.verdict import DECIDED, verdict

RIGOR = Rigor("quick", repetitions=3, slices=2, slice_ms=1.0)
SWAP = Contrast("umcg/a", "futex/a", "ns", "A swap", "a futex hand-off", expect="better")
LOAD = Contrast("umcg/a", "futex/a", "op/s", "Work over UMCG", "plain threads", expect="not worse")
ENVIRONMENT = synthetic.ENVIRONMENT | {"accelerator": "kvm", "build": "b1", "commit": "c1"}


def a_suite(**changes):
    made = Suite(
        name="one",
        order=1,
        title="One",
        question="Is it?",
        refuted_by="It is not.",
        measure=lambda bench: None,
        contrasts=[SWAP, LOAD],
        spec={"size": 3},
        curves=[Curve("Over n", "ns", "n", {"UMCG": {1.0: "umcg/a"}, "none": {1.0: "gone"}})],
        help="Because.",
    )
    return replace(made, **changes)


def some_results(ratio=0.5, rate=1.0, runs=9, spread=0.01, **environment):
    random = np.random.default_rng(5)

    def around(value):
        return [value * (1 + spread * x) for x in random.uniform(-1, 1, runs)]

    samples = []
    for unit, factor in (("ns", ratio), ("op/s", rate)):
        for series, value in (("umcg/a", 100 * factor), ("futex/a", 100.0)):
            samples += [(series, i, v, unit, 10) for i, v in enumerate(around(value))]
    shape = Distribution.of(random.lognormal(5, 1, 3000))
    kept = SuiteResult(
        spec={"size": 3},
        samples=samples,
        distributions={"umcg/a": shape},
        counters={"umcg/a:probe_cost": 1.1},
        notes=["something was left out"],
        seconds=1.5,
    )
    return Results("quick", ENVIRONMENT | environment, {"one": kept})


def test_rounds_alternate_warm_up_and_take_the_median_of_slices():
    bench = Bench(RIGOR, cpus=(0,))
    seen = []
    for turn, (repetition, name) in enumerate(bench.rounds(["a", "b"], slices=2)):
        seen.append((repetition, name))
        bench.sample(name, repetition, turn, "ns", 5)
    assert [r for r, _ in seen] == [-1, -1] + [r for r in range(3) for _ in range(4)]
    assert [n for _, n in seen[:6]] == ["a", "b", "b", "a", "a", "b"]
    assert len(bench.samples) == 6
    assert ("a", 0, 3.5, "ns", 10) in bench.samples
    assert ("b", 0, 3.5, "ns", 10) in bench.samples


@pytest.mark.parametrize(("warm", "first"), [(["b"], ["b"]), ([], [])])
def test_what_warms_up_may_be_less_than_what_is_measured(warm, first):
    seen = list(Bench(RIGOR, cpus=(0,)).rounds(["a", "b"], warm=warm))
    assert [name for repetition, name in seen if repetition < 0] == first
    assert [name for repetition, name in seen if repetition == 0] == ["b", "a"]


def test_a_quick_run_repeats_less_what_takes_seconds():
    """And a verdict takes five values."""
    counts = {name: Bench(rigor, cpus=(0,)).fewer for name, rigor in RIGORS.items()}
    assert counts == {"smoke": 1, "quick": 6, "full": 25, "virtual": 5}
    boots = RIGORS["quick"].boots
    part = replace(RIGORS["quick"], repetitions=RIGORS["quick"].repetitions // boots)
    assert boots * Bench(part, cpus=(0,)).fewer == counts["quick"]


def test_an_incomplete_repetition_leaves_no_sample():
    bench = Bench(RIGOR, cpus=(0,))
    for repetition, name in bench.rounds(["a"], slices=2):
        if repetition == 1:
            break
        bench.sample(name, repetition, 1.0, "ns", 1)
    assert [s[1] for s in bench.samples] == [0]


def test_calibration_reaches_the_time_asked_for():
    bench = Bench(RIGOR, cpus=(0,))
    assert bench.calibrate("a", lambda n: 100 * n) == pytest.approx(11_000, rel=0.01)


def test_quantiles_beyond_the_number_of_values_are_left_out():
    bench = Bench(RIGOR, cpus=(0,))
    for repetition, name in bench.rounds(["a"]):
        bench.latency(name, repetition, np.arange(1, 201))
    assert {s[0] for s in bench.samples} == {"a/p50", "a/p99"}
    shape = bench.distributions()["a"]
    assert shape.n == 600
    assert shape.share[0] == 1 and shape.x[-1] == 200
    assert all(x <= y for x, y in zip(shape.x, shape.x[1:], strict=False))


def test_distributions_of_two_boots_are_merged():
    random = np.random.default_rng(4)
    a, b = random.lognormal(5, 1, 3000), random.lognormal(6, 1, 9000)
    merged = Distribution.of(a).merged(Distribution.of(b))
    whole = Distribution.of(np.concatenate([a, b]))
    assert merged.n == 12_000 and len(merged.x) <= 201
    assert merged.share[0] == 1 and merged.x[-1] == whole.x[-1]
    assert all(x >= y for x, y in zip(merged.share, merged.share[1:], strict=False))
    for wanted in (0.9, 0.5, 0.1, 0.01, 0.001):
        at = [np.interp(-wanted, -np.array(d.share), d.x) for d in (merged, whole)]
        assert at[0] == pytest.approx(at[1], rel=0.1)


def test_parts_of_a_run_are_put_together(tmp_path, monkeypatch):
    def works(bench):
        for repetition, name in bench.rounds(["umcg/a", "futex/a"]):
            bench.sample(name, repetition, 1.0 + repetition, "ns", 1)
            bench.latency(name, repetition, np.arange(1, 6))
        bench.note("said in each")

    monkeypatch.setattr(suite, "load", lambda names: [a_suite(measure=works)])
    file = tmp_path / "r.json"
    for part in range(3):
        made = guest.measure(file, "quick", [], part, 3)
    kept = results.load(file).suites["one"]
    assert made.environment["boots"] == 3 and made.failures == []
    for series in ("umcg/a", "futex/a"):
        seen = {r: v for s, r, v, unit, _ in kept.samples if s == series and unit == "ns"}
        assert seen == {i: 1.0 + i for i in range(9)}
    assert kept.distributions["umcg/a"].n == 45
    assert kept.notes == ["said in each"]
    assert judge.judge([SWAP], kept, {})[0].n == 9


def test_what_failed_in_one_boot_is_not_tried_in_the_next(tmp_path, monkeypatch):
    calls = []

    def fails(bench):
        calls.append(1)
        raise OSError("no memory")

    def works(bench):
        for repetition, name in bench.rounds(["a/x"]):
            bench.sample(name, repetition, 1.0, "ns", 1)

    suites = [a_suite(measure=fails), replace(a_suite(measure=works), name="two")]
    monkeypatch.setattr(suite, "load", lambda names: suites)
    for part in range(3):
        made = guest.measure(tmp_path / "r.json", "quick", [], part, 3)
    assert made.failures == ["one: no memory"] and len(calls) == 1


def test_the_file_holds_everything_and_refuses_what_is_no_results_file(tmp_path):
    made = some_results()
    made.icount = {"patched": {"raw/futex": 1.0}, "repeats": True, "moved": [], "note": ""}
    file = made.save(tmp_path / "r.json")
    assert results.load(file) == made
    document = json.loads(file.read_text(encoding="utf-8"))
    for content, error in (
        ("not json", ForeignFile),
        (file.read_text(encoding="utf-8")[:-50], TruncatedFile),
        ("{}", ForeignFile),
        (json.dumps(document | {"format": 99}), NewerFormat),
        (json.dumps(document | {"suites": {"one": {"samples": [[1]]}}}), TruncatedFile),
        (json.dumps({k: v for k, v in document.items() if k != "rigor"}), TruncatedFile),
    ):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(error, match=r"r\.json"):
            results.load(file)


@pytest.mark.parametrize(
    ("low", "high", "n", "unit", "said"),
    [
        (0.5, 0.6, 9, "ns", "better"),
        (1.2, 1.3, 9, "ns", "worse"),
        (1.2, 1.3, 9, "op/s", "better"),
        (0.5, 0.6, 9, "op/s", "worse"),
        (0.98, 1.02, 9, "ns", "no difference"),
        (0.98, 1.02, 9, "op/s", "no difference"),
        (0.90, 0.94, 9, "ns", "better"),
        (0.90, 0.96, 9, "ns", "undecided"),
        (0.96, 1.02, 9, "ns", "undecided"),
        (0.5, 1.5, 9, "ns", "undecided"),
        (1.04, 1.3, 9, "ns", "undecided"),
        (0.5, 0.6, 4, "ns", "too few values"),
        (float("nan"), float("nan"), 9, "ns", "too few values"),
    ],
)
def test_a_verdict_needs_the_interval_clear_of_one(low, high, n, unit, said):
    assert verdict(low, high, n, 0.05, better(unit)) == said


@pytest.mark.parametrize(
    ("expect", "limit", "low", "high", "n", "unit", "outcome"),
    [
        ("better", 0, 0.5, 0.6, 9, "ns", "holds"),
        ("better", 0, 1.5, 1.6, 9, "ns", "refuted"),
        ("better", 0, 0.98, 1.02, 9, "ns", "refuted"),
        ("better", 0, 0.9, 1.1, 9, "ns", "not shown"),
        ("better", 0, 0.5, 0.6, 4, "ns", "not shown"),
        ("not worse", 0, 0.9, 1.01, 9, "ns", "holds"),
        ("not worse", 0, 0.9, 1.2, 9, "ns", "not shown"),
        ("not worse", 0, 0.99, 1.2, 9, "op/s", "holds"),
        ("not worse", 0, 0.5, 0.6, 9, "ns", "holds"),
        ("not worse", 0, 1.5, 1.6, 9, "ns", "refuted"),
        ("", 10, 2.0, 9.0, 9, "ns", "holds"),
        ("", 10, 9.0, 11.0, 9, "ns", "not shown"),
        ("", 10, 11.0, 12.0, 9, "ns", "refuted"),
        ("", 0.5, 0.6, 0.9, 9, "op/s", "holds"),
        ("", 0.5, 0.3, 0.4, 9, "op/s", "refuted"),
        ("", 0, 1.5, 1.6, 9, "ns", ""),
    ],
)
def test_what_an_interval_says_of_a_claim(expect, limit, low, high, n, unit, outcome):
    contrast = Contrast("umcg/a", "futex/a", unit, "A", "B", expect, limit)
    said = verdict(low, high, n, 0.05, better(unit))
    assert judge.claim(contrast, said, low, high, 0.05) == outcome


def test_findings_carry_interval_and_runs():
    fast, same = judge.judge([SWAP, LOAD], some_results().suites["one"], ENVIRONMENT)
    assert (fast.verdict, fast.claim, fast.n) == ("better", "holds", 9)
    assert fast.low < fast.ratio < fast.high < 0.55
    assert same.verdict == "no difference" and same.claim == "holds"
    assert fast.sentence() == (
        "A swap: 0.50 times as long as a futex hand-off (95 % interval "
        f"{fast.low:.2f} to {fast.high:.2f}, 9 runs)."
    )
    short = some_results(runs=1).suites["one"]
    (alone,) = judge.judge([replace(SWAP, expect="", limit=2.0)], short, ENVIRONMENT)
    assert alone.sentence().endswith("(no interval, 1 run).")
    assert alone.interval == "—" and alone.claim == "not shown"
    assert alone.claimed == "a ratio of at most 2" and same.claimed == "not worse"
    gone = Contrast("umcg/b", "futex/a", "ns", "x", "y")
    assert judge.judge([gone], some_results().suites["one"], ENVIRONMENT) == []


def test_noise_of_a_busy_machine_gives_no_verdict():
    """The same distribution on both sides, wildly spread: at most one in twenty errs."""
    random = np.random.default_rng(8)
    wrong = 0
    for _ in range(60):
        a, b = random.lognormal(0, 0.5, (2, 9))
        kept = SuiteResult(
            samples=[
                (s, i, v, "ns", 1)
                for s, values in (("umcg/a", a), ("futex/a", b))
                for i, v in enumerate(values)
            ]
        )
        found = judge.judge([SWAP], kept, {"accelerator": "tcg"})
        wrong += found[0].verdict in ("better", "worse")
    assert wrong <= 3


def test_the_same_measured_twice_gives_the_same_verdicts():
    made = compare.compare(some_results(), some_results(spread=0.005), [a_suite()])
    assert [(c.agrees, c.contradicts) for c in made.changes] == [(True, False)] * 2
    assert [c.verdict for c in made.changes] == ["no difference"] * 2
    assert made.notes == [] and made.refused == {}
    assert compare.summary(made.changes) == [
        "Of 2 contrasts 2 are decided alike in both files, 0 in neither, 0 in one only; "
        "0 are decided differently.",
        "Of 2 claims 2 have the same outcome in both files; "
        "0 hold in one and are refuted in the other.",
    ]


@pytest.mark.parametrize("noise", [0.01, 0.05])
@pytest.mark.parametrize("ratio", [0.5, 0.9, 0.95, 1.0, 1.05, 1.1, 2.0])
def test_two_boots_of_a_noisy_machine_do_not_contradict_each_other(ratio, noise):
    """Whatever the true ratio, near a threshold or far; each boot moves it by up to 2 %."""
    random = np.random.default_rng(11)

    def boot():
        moved = ratio * random.uniform(0.98, 1.02)
        machine = random.lognormal(0, 0.3, 9)  # what disturbs both of a pair
        values = {
            series: value * machine * random.lognormal(0, noise, 9)
            for series, value in (("umcg/a", moved), ("futex/a", 1.0))
        }
        samples = [(s, i, v, "ns", 1) for s, vs in values.items() for i, v in enumerate(vs)]
        kept = SuiteResult(spec={"size": 3}, samples=samples)
        return Results("quick", ENVIRONMENT | {"accelerator": "tcg"}, {"one": kept})

    twice = [compare.compare(boot(), boot(), [a_suite()]).changes[0] for _ in range(12)]
    assert not [change for change in twice if change.contradicts]
    if noise == 0.01 and ratio in (0.5, 1.0, 2.0):
        assert all(change.agrees and change.a.verdict in DECIDED for change in twice)


def test_a_ratio_that_changed_is_found():
    made = compare.compare(some_results(), some_results(ratio=1.5, build="b2"), [a_suite()])
    swap, load = made.changes
    assert swap.change == pytest.approx(3, rel=0.05)
    assert (swap.verdict, swap.contradicts) == ("worse", True)
    assert load.verdict == "no difference"
    assert made.notes == ["build: b1 and b2"]
    first, claims, *against = compare.summary(made.changes)
    assert "1 are decided alike in both files" in first and "; 1 are decided differently." in first
    assert claims.endswith("1 hold in one and are refuted in the other.")
    assert [line.partition(": A swap")[0] for line in against] == ["one: better", "one: worse"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("accelerator", "tcg"),
        ("cpus", [0]),
        ("cpu", "x"),
        ("config_digest", "y"),
        ("clock", "hpet"),
        ("boot_options", "preempt=full"),
    ],
)
def test_other_environments_are_refused_with_the_reason(key, value):
    with pytest.raises(NotComparable, match=f"different environments.*{key}: "):
        compare.compare(some_results(), some_results(**{key: value}), [a_suite()])


def test_another_workload_is_refused_with_the_reason():
    other = some_results()
    other.suites["one"].spec = {"size": 4}
    with pytest.raises(NotComparable, match="one: the workloads differ: size"):
        compare.compare(some_results(), other, [a_suite()])
    other.suites = {}
    with pytest.raises(NotComparable, match="only the first file has it"):
        compare.compare(some_results(), other, [a_suite()])


def with_peers(patched, **kept):
    """Results whose peers took 1 s unpatched and `patched` s patched."""
    made = some_results()
    boot = {"patched": {"hackbench": {"s": [patched]}}, "base": {"hackbench": {"s": [1.0]}}}
    made.peers = {"boots": [boot] * 5, "commands": {"hackbench": "hackbench -l 10"}} | kept
    return made


def test_peers_are_compared_as_suites_are():
    made = compare.compare(with_peers(1.0), with_peers(1.3), [a_suite()])
    (peer,) = [change for change in made.changes if change.suite == "peers"]
    assert (peer.a.claim, peer.b.claim, peer.verdict) == ("holds", "refuted", "worse")
    assert peer.change == pytest.approx(1.3) and peer.contradicts


def test_peers_with_other_arguments_are_refused_with_the_reason():
    longer = with_peers(1.0, commands={"hackbench": "hackbench -l 99"})
    made = compare.compare(with_peers(1.0), longer, [a_suite()])
    assert made.refused == {"peers": "the workloads differ: hackbench"}
    made = compare.compare(with_peers(1.0), some_results(), [a_suite()])
    assert made.refused == {"peers": "only the first file has it"}


def test_the_report_says_what_does_not_help_with_interval_and_runs(tmp_path):
    made = some_results(ratio=1.5, spread=1e-6, accelerator="tcg")
    made.peers = {
        "boots": [
            {k: {"hackbench": {"s": [v + i / 100]}} for k, v in (("patched", 1.0), ("base", 1.0))}
            for i in range(5)
        ],
        "commands": {"hackbench": "hackbench -g 1"},
        "missing": ["cyclictest"],
        "failed": {},
    }
    made.icount = {
        "patched": {"raw/futex": 100.0, "raw/umcg-swap": 80.0},
        "base": {"raw/futex": 99.0},
        "repeats": True,
        "moved": [],
        "note": "",
    }
    html, markdown = report.write(made, [a_suite()], tmp_path / "page.html")
    for text in (html.read_text(encoding="utf-8"), markdown.read_text(encoding="utf-8")):
        assert "A swap: 1.50 times as long as a futex hand-off (95 % interval 1.50" in text
        assert "Because." in text and "9 runs" in text
        assert "refuted" in text
        assert "absolute times mean nothing" in text
        assert "raw/umcg-swap" in text and "0.80" in text and "+1.01%" in text
        assert "hackbench" in text and "cyclictest" in text
        assert "SOSP 2021" in text and "labkit bench compare" in text
    assert "http://" not in html.read_text(encoding="utf-8").split("</script>")[-1]
    page = html.read_text(encoding="utf-8")
    assert page.count('class="plotly-graph-div"') == 3  # ratios, curve, distribution


def test_the_report_of_a_failed_and_stopped_run(tmp_path):
    made = some_results()
    made.suites["one"] = SuiteResult(spec={"size": 3}, error="no <memory>", stopped=True)
    html, markdown = report.write(made, [a_suite()], tmp_path / "page.html")
    assert "no &lt;memory&gt;" in html.read_text(encoding="utf-8")
    assert "Not complete: one: interrupted." in markdown.read_text(encoding="utf-8")
    assert made.failures == ["one: no <memory>", "one: interrupted"]


def test_a_suite_that_fails_does_not_take_the_others(tmp_path, monkeypatch):
    def fails(bench):
        raise OSError("the disk is gone")

    def works(bench):
        for repetition, name in bench.rounds(["umcg/a"]):
            bench.sample(name, repetition, 1.0, "ns", 1)

    suites = [a_suite(name="bad", measure=fails), a_suite(measure=works)]
    monkeypatch.setattr(suite, "load", lambda names: suites)
    file = tmp_path / "r.json"
    made = guest.measure(file, "smoke", [])
    assert made.failures == ["bad: the disk is gone"]
    assert len(results.load(file).suites["one"].samples) == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_other_cpus_end_a_suite_with_the_reason(tmp_path, monkeypatch):
    mine = os.sched_getaffinity(0)

    def moved(bench):
        for repetition, name in bench.rounds(["umcg/a"]):
            if repetition == 4:
                os.sched_setaffinity(0, {min(mine)})
            bench.sample(name, repetition, 1.0, "ns", 1)

    monkeypatch.setattr(suite, "load", lambda names: [a_suite(measure=moved)])
    try:
        made = guest.measure(tmp_path / "r.json", "quick", [])
    finally:
        os.sched_setaffinity(0, mine)
    assert "one: the CPUs that may be used changed from" in made.failures[0]
    assert len(results.load(tmp_path / "r.json").suites["one"].samples) == 5


def test_an_interrupt_keeps_what_was_measured(tmp_path, monkeypatch):
    def interrupted(bench):
        for repetition, name in bench.rounds(["umcg/a"]):
            if repetition == 4:
                raise KeyboardInterrupt
            bench.sample(name, repetition, 1.0, "ns", 1)

    monkeypatch.setattr(suite, "load", lambda names: [a_suite(measure=interrupted)])
    file = tmp_path / "r.json"
    with pytest.raises(KeyboardInterrupt):
        guest.measure(file, "quick", [])
    kept = results.load(file).suites["one"]
    assert kept.stopped and len(kept.samples) == 4


def test_every_suite_is_complete_and_its_names_are_real(tmp_path):
    suites = suite.load()
    assert [s.name for s in suites] == [
        *("handoff", "wake", "block", "preempt", "spawn", "memory", "scale", "server", "mixed"),
        *("deadline", "programs"),
    ]  # fmt: skip
    assert [s.name for s in suites if s.by_name] == ["programs"]
    for one in suites:
        assert one.question.endswith("?") and one.refuted_by and one.help and one.spec
        assert len(set(one.contrasts)) == len(one.contrasts)
        assert {c.expect for c in one.contrasts} <= {"", "better", "not worse"}
        json.dumps(dict(one.spec))
        imported = {
            node.module
            for node in ast.walk(ast.parse((suite.FOLDER / f"{one.name}.py").read_text("utf-8")))
            if isinstance(node, ast.ImportFrom)
        }
        asked = "labkit.programs." if one.by_name else "labkit.experiments."
        assert any(name.startswith(asked) for name in imported)
        assert not any(name.startswith("labkit.native") for name in imported), one.name
    with pytest.raises(SuiteError, match="no suite 'handof'; choose from block, deadline, handoff"):
        suite.load(["handof"])
    (tmp_path / "empty.py").write_text("", encoding="utf-8")
    with pytest.raises(SuiteError, match="defines no SUITE"):
        suite.load(folder=tmp_path)
