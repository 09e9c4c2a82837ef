# SPDX-License-Identifier: MIT
"""What the report says, in whatever form: its sentences and its tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from labkit import analysis
from labkit.benchmark.judge import HOLDS, OPEN, REFUTED, Finding, judge_all, judge_peers
from labkit.benchmark.results import Results, SuiteResult
from labkit.benchmark.suite import Suite
from labkit.names import counted
from labkit.verdict import BETTER, SAME, WORSE, margin

#: Said once, for all figures.
METHOD = (
    "Series that are set against each other ran alternately in the same boot, on the same CPUs, "
    "doing the same work in C. A value is the median of short slices that alternate, too; the "
    "first round is thrown away. A run is a pair of values of one repetition. A ratio is the "
    "median of the runs' ratios, so that what disturbs a whole repetition is not in it; its 95 % "
    "interval is that of a median. “Better” and “worse” need the whole interval to be clear "
    "of 1 by {margin:.1%}; “no difference” needs the whole interval within {half:.1%} of 1; "
    "everything else is “undecided”. Of a hundred such intervals about five miss the true ratio: "
    "that is what the margins are for. {boots} A claim of “better” is refuted by “worse” and by "
    "“no difference”."
)
#: Of results whose clock counted instructions.
VIRTUAL = (
    "Times are guest instructions, one a nanosecond, on one CPU: what the host did meanwhile is in "
    "none of them, nor are caches, pipelines and other CPUs."
)

NOTHING_WORSE = "Nothing was shown to be worse over UMCG in these results."

#: What the instruction counts are.
COUNTED = (
    "Guest instructions of a round trip (two switches) or one call, on one CPU under QEMU's "
    "-icount. Each image was counted twice; "
)
#: What the field's own programs are for.
PEERS = (
    "The field's own programs, unmodified, on the patched and the unpatched kernel: has anything "
    "else become slower? Two kernels need two boots, so pairs of boots alternate, and each pair is "
    "one run."
)

#: How to make these figures again.
REPEAT = (
    ("everything again, on this machine", "make bench"),
    ("the longer one", "labkit bench --rigor full"),
    ("where the machine is busy", "labkit bench --rigor virtual"),
    ("one suite", "labkit bench --suite NAME"),
    ("the instruction counts against bench/baseline.json", "labkit bench --icount"),
    ("this file against another", "labkit bench compare A.json B.json"),
    ("this page from its file", "labkit bench report FILE.json"),
)


def method(results: Results) -> str:
    """How a figure is made and what a verdict takes, in these results' environment."""
    clear = margin(results.environment)
    count = results.environment.get("boots", 1)
    boots = (
        f"The runs are spread over {count} boots, so that what a boot changes is in the intervals."
        if count > 1
        else "All runs were made in one boot: what another one changes is in no interval."
    )
    return METHOD.format(margin=clear, half=clear / 2, boots=boots)


def summary(results: Results, suites: Sequence[Suite]) -> list[str]:
    """The first things to know, a sentence each."""
    findings = [f for group in judge_all(results, suites).values() for f in group]
    mine = [f for f in findings if f.about_umcg]
    made = [f for f in findings if f.claim]
    count = {what: sum(f.verdict == what for f in mine) for what in (BETTER, WORSE, SAME)}
    said = [
        f"{len(mine)} contrasts of UMCG with something else, in "
        f"{counted(len(results.suites), 'suite')}: better in {count[BETTER]}, worse in "
        f"{count[WORSE]}, no difference in {count[SAME]}, undecided in "
        f"{len(mine) - sum(count.values())}.",
        f"Of {len(made)} claims made before measuring {sum(f.claim == HOLDS for f in made)} hold, "
        f"{sum(f.claim == REFUTED for f in made)} are refuted, "
        f"{sum(f.claim == OPEN for f in made)} could not be shown.",
    ]
    peers = judge_peers(results)
    if peers:
        worse = [f.contrast.what for f in peers if f.verdict == WORSE]
        close = sum(f.claim == HOLDS for f in peers)
        said.append(
            f"{len(peers)} measures of the field's own programs, patched against unpatched: "
            + (f"slower: {', '.join(worse)}; " if worse else "none shown to be slower; ")
            + f"{close} shown not to be."
        )
    said += [f"Not complete: {failure}." for failure in results.failures]
    return said


def claims(results: Results, suites: Sequence[Suite]) -> list[Finding]:
    """What was claimed before measuring, with what came of it."""
    return [f for group in judge_all(results, suites).values() for f in group if f.claim]


def claim_said(finding: Finding) -> str:
    """The finding, and what had been claimed."""
    return f"{finding.sentence()} Claimed: {finding.claimed}."


def unhelpful(results: Results, suites: Sequence[Suite]) -> list[tuple[Suite, list[Finding]]]:
    """By suite, what UMCG makes worse; suites without such a finding are left out."""
    judged = judge_all(results, suites)
    found = []
    for suite in suites:
        group = judged.get(suite.name, [])
        worse = [f for f in group if f.verdict == WORSE and f.about_umcg]
        if worse:
            found.append((suite, sorted(worse, key=_badness, reverse=True)))
    return found


def _badness(finding: Finding) -> float:
    return max(finding.ratio, 1 / finding.ratio) if finding.ratio > 0 else 0.0


def indifferent(results: Results, suites: Sequence[Suite]) -> dict[str, list[Finding]]:
    """What UMCG does not change, and what stayed undecided; each may be empty."""
    judged = judge_all(results, suites)
    mine = [f for group in judged.values() for f in group if f.about_umcg]
    return {
        "No difference": [f for f in mine if f.verdict == SAME],
        "Undecided": [f for f in mine if f.verdict not in (BETTER, WORSE, SAME)],
    }


def findings_table(findings: Iterable[Finding]) -> pl.DataFrame:
    """The ratio table: one row a contrast."""
    rows = [
        (
            f.contrast.series,
            f.contrast.baseline,
            f.contrast.unit,
            f"{f.ratio:.2f}",
            f.interval,
            f.n,
            f.verdict,
            f.claim or "—",
            f.value,
            f.other,
        )
        for f in findings
    ]
    columns = ["series", "baseline", "unit", "ratio", "95 % interval", "runs", "verdict"]
    columns += ["claim", "median", "baseline_median"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def peers_table(findings: Iterable[Finding]) -> pl.DataFrame:
    """The same, where all are of the patched kernel over the unpatched."""
    return (
        findings_table(findings)
        .drop("baseline")
        .with_columns(pl.col("series").str.strip_prefix("patched/"))
        .rename({"series": "program", "median": "patched", "baseline_median": "unpatched"})
    )


def counts_table(results: Results) -> pl.DataFrame:
    """Instruction counts: patched, unpatched, and both over each other."""
    counted = results.icount or {}
    patched, base = counted.get("patched", {}), counted.get("base", {})
    futex = patched.get("raw/futex")
    rows = [
        (
            row,
            count,
            base.get(row),
            f"{count / base[row] - 1:+.2%}" if row in base else "",
            f"{count / futex:.2f}" if futex else "",
        )
        for row, count in patched.items()
    ]
    columns = ["program_and_row", "instructions", "unpatched", "patches_add", "over_futex"]
    schema = dict(
        zip(columns, [pl.String, pl.Float64, pl.Float64, pl.String, pl.String], strict=True)
    )
    return pl.DataFrame(rows, schema=schema, orient="row")


def doubts(results: Results, name: str, result: SuiteResult) -> list[str]:
    """Reasons to doubt a suite's values."""
    said = [*([f"failed: {result.error}"] if result.error else []), *result.notes]
    if not result.samples:
        return said
    record = result.record(name, results.environment)
    return said + [w for w in analysis.warnings(record) if not w.startswith("under TCG")]


def repeats(counted: dict[str, Any]) -> str:
    """Did counting twice give the same?"""
    if counted["repeats"]:
        return "both counts agree to the digit."
    return f"these differ: {', '.join(counted['moved'])}."


def peer_problems(peers: dict[str, object]) -> list[str]:
    """Which peers were not run, and why."""
    if not peers:
        return ["The peers were not run."]
    said = [f"Not run: {peers['error']}."] if peers.get("error") else []
    missing, failed = peers.get("missing"), peers.get("failed")
    if isinstance(missing, list) and missing:
        said.append(f"Not installed (Debian: linux-perf, rt-tests): {', '.join(missing)}.")
    if isinstance(failed, dict):
        said += [f"{name} failed: {why}" for name, why in failed.items()]
    return said
