# SPDX-License-Identifier: MIT
"""From samples to verdicts: ratios with intervals, and what they say of each claim.

The verdicts are those of `labkit.verdict`. Two measurements of one kernel may leave different
contrasts undecided; to decide one differently its ratio must move by more than the half margin
between the two verdicts, and by more than it does among the boots that the runs are spread over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from labkit.benchmark.results import Results, SuiteResult
from labkit.benchmark.suite import Contrast, Suite
from labkit.experiments.asked import better
from labkit.names import counted
from labkit.verdict import BETTER, FEW, MORE, SAME, WORSE, margin, ratio_of, verdict

HOLDS, REFUTED, OPEN = "holds", "refuted", "not shown"

#: How a ratio of these units is said; of all others, which are times, "as long as".
SAID = {
    "bytes/worker": "as much as",
    "op/s": "as much as",
    "share": "as much as",
    "cpu ns/op": "as much CPU time as",
}


@dataclass(frozen=True)
class Finding:
    """What came of one contrast.

    Attributes:
        contrast: what was set against what.
        value: median of the first.
        other: median of the second.
        ratio: median over the runs of the first over the second. What slows a whole repetition
            down is in both, and so in neither this nor its interval.
        low: of the 95 % interval; nan when there are too few runs for one.
        high: see `low`.
        n: runs, that is pairs of values of one repetition.
        verdict: `better`, `worse`, `no difference`, `undecided` or `too few values`.
        claim: `holds`, `refuted` or `not shown`; "" when nothing is claimed.
    """

    contrast: Contrast
    value: float
    other: float
    ratio: float
    low: float
    high: float
    n: int
    verdict: str
    claim: str

    def sentence(self) -> str:
        """The finding in words, with its interval and the number of runs."""
        c = self.contrast
        runs = counted(self.n, "run")
        sure = "no interval" if np.isnan(self.low) else f"95 % interval {self.interval}"
        return (
            f"{c.what}: {self.ratio:.2f} times {SAID.get(c.unit, 'as long as')} {c.against} "
            f"({sure}, {runs})."
        )

    @property
    def claimed(self) -> str:
        """What was claimed before measuring, in words; "" when nothing was."""
        c = self.contrast
        if not c.limit:
            return c.expect
        return f"a ratio of at {'least' if better(c.unit) == MORE else 'most'} {c.limit:g}"

    @property
    def interval(self) -> str:
        """The 95 % interval; a dash where there is none."""
        return interval(self.low, self.high)

    @property
    def about_umcg(self) -> bool:
        """UMCG against something else, and not one use of it, or of threads, against another."""
        c = self.contrast
        return c.series.startswith("umcg") and not c.baseline.startswith("umcg")


def interval(low: float, high: float) -> str:
    """A 95 % interval for a reader; a dash where there is none."""
    return "—" if np.isnan(low) else f"{low:.2f} to {high:.2f}"


def claim(contrast: Contrast, said: str, low: float, high: float, clear: float) -> str:
    """What an interval, and the verdict `said`, say of what was expected; "": nothing was.

    A limit is held by an interval that does not cross it. Better is claimed to be so by the margin.
    """
    if not contrast.expect and not contrast.limit:
        return ""
    if said == FEW:
        return OPEN
    if contrast.limit or contrast.expect == "not worse":
        more = better(contrast.unit) == MORE
        limit = contrast.limit or (1 - clear if more else 1 + clear)
        if low > limit:
            return HOLDS if more else REFUTED
        if high < limit:
            return REFUTED if more else HOLDS
        return OPEN
    return {BETTER: HOLDS, WORSE: REFUTED, SAME: REFUTED}.get(said, OPEN)


def _by_repetition(result: SuiteResult, series: str, unit: str) -> dict[int, float]:
    return {r: v for s, r, v, u, _ in result.samples if s == series and u == unit}


def pairs(result: SuiteResult, contrast: Contrast) -> tuple[Any, Any]:
    """The values of both series in the repetitions that have both, as two arrays."""
    a = _by_repetition(result, contrast.series, contrast.unit)
    b = _by_repetition(result, contrast.baseline, contrast.unit)
    both = [r for r in sorted(a.keys() & b.keys()) if b[r]]
    return np.array([a[r] for r in both]), np.array([b[r] for r in both])


def judge(
    contrasts: Iterable[Contrast], result: SuiteResult, environment: Mapping[str, Any]
) -> list[Finding]:
    """What came of these contrasts; those without values are left out."""
    clear = margin(environment)
    found = []
    for contrast in contrasts:
        x, y = pairs(result, contrast)
        if not len(x):
            continue
        ratio, low, high = ratio_of(x, y)
        said = verdict(low, high, len(x), clear, better(contrast.unit))
        held = claim(contrast, said, low, high, clear)
        medians = float(np.median(x)), float(np.median(y))
        found.append(Finding(contrast, *medians, ratio, low, high, len(x), said, held))
    return found


def judge_all(results: Results, suites: Sequence[Suite]) -> dict[str, list[Finding]]:
    """The findings of every suite that the results have."""
    return {
        suite.name: judge(suite.contrasts, results.suites[suite.name], results.environment)
        for suite in suites
        if suite.name in results.suites
    }


def peers_as_suite(results: Results) -> tuple[list[Contrast], SuiteResult | None]:
    """The patched kernel against the unpatched: one value a boot, one ratio a pair of boots.

    None when no peers were measured.
    """
    kept = results.peers or {}
    if not kept.get("boots"):
        return [], None
    found = SuiteResult(spec=dict(kept.get("commands", {})))
    contrasts: dict[tuple[str, str], Contrast] = {}
    for number, boot in enumerate(kept["boots"]):
        for kernel, programs in boot.items():
            for program, units in programs.items():
                for unit, values in units.items():
                    series = f"{kernel}/{program}"
                    median = float(np.median(values))
                    found.samples.append((series, number, median, unit, len(values)))
                    contrasts[program, unit] = Contrast(
                        f"patched/{program}",
                        f"base/{program}",
                        unit,
                        f"{program} on the patched kernel",
                        "on the unpatched kernel",
                        expect="not worse",
                    )
    return list(contrasts.values()), found


def judge_peers(results: Results) -> list[Finding]:
    """The findings of `peers_as_suite`."""
    contrasts, found = peers_as_suite(results)
    return judge(contrasts, found, results.environment) if found else []
