# SPDX-License-Identifier: MIT
"""Two results files: did a ratio change? Absolute times of two boots are never compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from labkit.analysis.compare import COMPARED_KEYS, NotComparable, changed, differences
from labkit.benchmark import icount, judge
from labkit.benchmark.judge import Finding
from labkit.benchmark.results import Results, SuiteResult
from labkit.benchmark.suite import Contrast, Suite
from labkit.verdict import DECIDED

#: What may differ: it is what one compares. Ratios are made within each boot.
_MAY_DIFFER = ("kernel", "kernel_version")

#: A suite's name, its contrasts, and what each file has of it.
_Pair = tuple[str, Sequence[Contrast], SuiteResult | None, SuiteResult | None]


@dataclass(frozen=True)
class Change:
    """One contrast in both files.

    Attributes:
        suite: whose; `peers` for the field's own programs.
        contrast: which.
        a: its finding in the first file.
        b: in the second.
        change: ratio of b over ratio of a.
        low: of the 95 % interval of that.
        high: see `low`.
        verdict: of b against a; see `labkit.benchmark.judge`.
    """

    suite: str
    contrast: Contrast
    a: Finding
    b: Finding
    change: float
    low: float
    high: float
    verdict: str

    @property
    def agrees(self) -> bool:
        """The two files' own verdicts are the same."""
        return self.a.verdict == self.b.verdict

    @property
    def contradicts(self) -> bool:
        """Both files have a verdict, and another one."""
        return self.decided == 2 and not self.agrees

    @property
    def decided(self) -> int:
        """In how many of the two files."""
        return (self.a.verdict in DECIDED) + (self.b.verdict in DECIDED)


@dataclass(frozen=True)
class Comparison:
    """What two files have in common, and what they have not.

    Attributes:
        changes: one for each contrast that both have.
        refused: suites that cannot be compared, with the reason.
        notes: what differs and may.
        moved: instruction counts that differ by more than `icount.TOLERANCE`.
    """

    changes: list[Change]
    refused: dict[str, str]
    notes: list[str]
    moved: list[tuple[str, str, float | None, float | None]]


def check(a: Results, b: Results) -> list[str]:
    """What differs between the environments and may.

    Raises:
        NotComparable: something differs that may not; each difference is named.
    """
    keys = [key for key in (*COMPARED_KEYS, "boot_options") if key not in _MAY_DIFFER]
    if unlike := differences(a.environment, b.environment, times=False, keys=keys):
        raise NotComparable(
            "these results were made in different environments (" + "; ".join(unlike) + "); "
            "measure both on one machine, with one configuration"
        )
    return [
        f"{key}: {a.environment.get(key)} and {b.environment.get(key)}"
        for key in (*_MAY_DIFFER, "build", "commit", "boots")
        if a.environment.get(key) != b.environment.get(key)
    ] + ([f"rigor: {a.rigor} and {b.rigor}"] if a.rigor != b.rigor else [])


def summary(changes: Sequence[Change]) -> list[str]:
    """Do the two files agree: verdicts, claims, and two sentences for each contradiction."""
    against = [change for change in changes if change.contradicts]
    by_decided = [sum(change.decided == files for change in changes) for files in range(3)]
    said = [
        f"Of {len(changes)} contrasts {by_decided[2] - len(against)} are decided alike in both "
        f"files, {by_decided[0]} in neither, {by_decided[1]} in one only; "
        f"{len(against)} are decided differently."
    ]
    claims = [change for change in changes if change.a.claim]
    if claims:
        alike = sum(change.a.claim == change.b.claim for change in claims)
        opposed = sum(
            {change.a.claim, change.b.claim} == {judge.HOLDS, judge.REFUTED} for change in claims
        )
        said.append(
            f"Of {len(claims)} claims {alike} have the same outcome in both files; "
            f"{opposed} hold in one and are refuted in the other."
        )
    for change in against:
        said += [
            f"{change.suite}: {change.a.verdict}: {change.a.sentence()}",
            f"{change.suite}: {change.b.verdict}: {change.b.sentence()}",
        ]
    return said


def _common(a: Results, b: Results, suites: Sequence[Suite]) -> Iterator[_Pair]:
    """Every suite that one file or both have, the peers last."""
    for suite in suites:
        yield suite.name, suite.contrasts, a.suites.get(suite.name), b.suites.get(suite.name)
    contrasts, of_a = judge.peers_as_suite(a)
    _, of_b = judge.peers_as_suite(b)
    yield "peers", contrasts, of_a, of_b


def compare(a: Results, b: Results, suites: Sequence[Suite]) -> Comparison:
    """Everything that can be compared.

    Raises:
        NotComparable: the environments differ, or nothing can be compared.
    """
    notes = check(a, b)
    changes: list[Change] = []
    refused: dict[str, str] = {}
    for name, contrasts, x, y in _common(a, b, suites):
        if x is None and y is None:
            continue
        if x is None or y is None:
            refused[name] = f"only the {'second' if x is None else 'first'} file has it"
            continue
        if x.spec != y.spec:
            unlike = [k for k in sorted(x.spec.keys() | y.spec) if x.spec.get(k) != y.spec.get(k)]
            refused[name] = f"the workloads differ: {', '.join(unlike)}"
            continue
        of_b = {f.contrast: f for f in judge.judge(contrasts, y, b.environment)}
        for one in judge.judge(contrasts, x, a.environment):
            other = of_b.get(one.contrast)
            if other is None:
                continue
            # Each a ratio of values that belong together one by one.
            was, now = (np.divide(*judge.pairs(result, one.contrast)) for result in (x, y))
            moved = changed(now, was, one.contrast.unit, a.environment)
            changes.append(Change(name, one.contrast, one, other, *moved))
    moved_counts = []
    if a.icount and b.icount and "patched" in a.icount and "patched" in b.icount:
        known: dict[str, icount.Counts] = {
            k: a.icount[k] for k in ("patched", "base") if k in a.icount
        }
        moved_counts = icount.moved(b.icount, known)
    if not changes and not (a.icount and b.icount):
        why = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise NotComparable(f"the files have nothing in common that can be compared ({why or '-'})")
    return Comparison(changes, refused, notes, moved_counts)
