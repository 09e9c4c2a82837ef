# SPDX-License-Identifier: MIT
"""From samples to verdicts: ratios with intervals, and what they say of each claim.

A difference is one when the whole 95 % interval is clear of 1 by a margin; there is none to speak
of when the whole interval lies within half that margin. All else is undecided: more runs or a
quieter machine may tell. Two measurements of one kernel may leave different contrasts undecided;
to decide one differently its ratio must move by more than the half margin between the two verdicts,
and by more than it does among the boots that the runs are spread over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from labkit.analysis.compare import bootstrap_ratio
from labkit.bench.results import Results, SuiteResult
from labkit.bench.suite import Contrast, Suite

#: The interval must be clear of 1 by so much; under TCG the host's other work is in every time.
MARGINS = {"tcg": 0.10}
MARGIN = 0.05

#: Fewer runs give a ratio and an interval, but no verdict.
FEWEST = 5

MORE_IS_BETTER = ("op/s",)

BETTER, WORSE, SAME = "better", "worse", "no difference"
UNDECIDED, FEW = "undecided", "too few runs"
#: The verdicts that say something; two different ones contradict each other.
DECIDED = (BETTER, WORSE, SAME)
HOLDS, REFUTED, OPEN = "holds", "refuted", "not shown"

#: How a ratio of these units is said; of all others, which are times, "as long as".
SAID = {
    "bytes/worker": "as much as",
    "op/s": "as much as",
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
        verdict: `better`, `worse`, `no difference`, `undecided` or `too few runs`.
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
        runs = f"{self.n} run{'s' if self.n != 1 else ''}"
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
        return f"a ratio of at {'least' if c.unit in MORE_IS_BETTER else 'most'} {c.limit:g}"

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


def margin(environment: Mapping[str, Any]) -> float:
    """How clear of 1 an interval must be in this environment."""
    return MARGINS.get(str(environment.get("accelerator")), MARGIN)


def verdict(low: float, high: float, n: int, unit: str, clear: float) -> str:
    """What an interval says, with a margin `clear` around 1."""
    if n < FEWEST or np.isnan(low):
        return FEW
    if high < 1 - clear:
        return WORSE if unit in MORE_IS_BETTER else BETTER
    if low > 1 + clear:
        return BETTER if unit in MORE_IS_BETTER else WORSE
    if 1 - clear / 2 <= low and high <= 1 + clear / 2:
        return SAME
    return UNDECIDED


def claim(contrast: Contrast, said: str, low: float, high: float, clear: float) -> str:
    """What an interval, and the verdict `said`, say of what was expected; "": nothing was.

    A limit is held by an interval that does not cross it. Better is claimed to be so by the margin.
    """
    if not contrast.expect and not contrast.limit:
        return ""
    if said == FEW:
        return OPEN
    if contrast.limit or contrast.expect == "not worse":
        more = contrast.unit in MORE_IS_BETTER
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
        ratio, low, high = bootstrap_ratio(x / y, np.ones_like(y))
        said = verdict(low, high, len(x), contrast.unit, clear)
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
