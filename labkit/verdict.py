# SPDX-License-Identifier: MIT
"""What a ratio with its interval says: one estimator, one minimum, one margin, one list of words.

Tables, the course's sentences, panels, pages and the benchmark all ask here. A difference is one
when the whole 95 % interval is clear of 1 by a margin; there is none to speak of when the whole
interval is within half that margin. All else is undecided: more repetitions or a quieter machine
may tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

#: Below this many repetitions no interval is given and nothing is concluded: of values with 8 % of
#: noise the interval of 3 covers the true ratio in 75 of 100 cases, of 4 in 88, of 5 in 94, of more
#: in 94 to 96. A test counts it again.
FEWEST = 5

#: The interval must be clear of 1 by so much; under TCG the host's other work is in every time.
MARGINS = {"tcg": 0.10}
MARGIN = 0.05

BETTER, WORSE = "better", "worse"
#: Of units in which neither is better.
MORE, LESS = "more", "less"
SAME, UNDECIDED, FEW = "no difference", "undecided", "too few values"
#: Verdicts that say that there is a difference, and those that say something.
DIFFERENT = (BETTER, WORSE, MORE, LESS)
DECIDED = (*DIFFERENT, SAME)

_CONFIDENCE = 0.95
_RESAMPLES = 9999

Values = npt.NDArray[np.float64]


def margin(environment: Mapping[str, Any]) -> float:
    """How clear of 1 an interval must be in this environment."""
    return MARGINS.get(str(environment.get("accelerator")), MARGIN)


def verdict(low: float, high: float, n: int, clear: float, better: str) -> str:
    """What an interval says.

    Args:
        low: lower end of the ratio's interval; nan: there is none.
        high: its upper end.
        n: repetitions.
        clear: the margin around 1; see `margin`.
        better: which is better in this unit, `MORE`, `LESS`, or "" for neither; see
            `labkit.experiments.asked.better`.
    """
    # An end is none, too, where a value and its baseline were both 0: nothing was done then.
    if n < FEWEST or np.isnan(low) or np.isnan(high):
        return FEW
    if 1 - clear / 2 <= low and high <= 1 + clear / 2:
        return SAME
    if high < 1 - clear or low > 1 + clear:
        which = MORE if low > 1 else LESS
        return which if not better else BETTER if which == better else WORSE
    return UNDECIDED


def ratio_of(a: Values, b: Values, paired: bool = True) -> tuple[float, float, float]:
    """How many times a is of b, with the ends of its 95 % interval.

    Args:
        a: values, all above 0.
        b: as many of what they are set against; with `paired=False` any number.
        paired: a[i] and b[i] were measured in one round, one after the other. The ratio is then the
            median of the rounds' own ratios: what slows down a whole round, or a whole boot, is in
            both values and goes out. In simulated rounds of 4 % noise whose machine drifts by 10 %
            a round, 9 of them err by 2.2 %, where the ratio of the two medians errs by 3.5 %; where
            nothing is shared both err alike. Its interval is that of order statistics, interpolated
            (Hettmansperger and Sheather, 1986), as it holds whatever the distribution and from
            `FEWEST` values on: a bootstrap's, drawn from 7 values, covers 88 of 100.
            `paired=False`, of two runs: the ratio of the medians, with the percentile bootstrap's
            interval. The random numbers are fixed: the same values give the same interval.

    Returns:
        The ratio, and the interval's ends; these are nan with less than `FEWEST` values.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = float(np.median(a / b) if paired else np.median(a) / np.median(b))
        if min(len(a), len(b)) < FEWEST:
            return middle, float("nan"), float("nan")
        return middle, *(_of_median(a / b) if paired else _of_two_medians(a, b))


def _of_median(values: Values) -> tuple[float, float]:
    """The interval of the median of values."""
    n, ordered = len(values), np.sort(values)

    def covers(k: int) -> float:
        """How often the k-th smallest and the k-th largest have the true median between them."""
        return float(1 - sum(math.comb(n, i) for i in range(k)) / 2 ** (n - 1))

    k = 1
    while covers(k + 1) >= _CONFIDENCE:
        k += 1
    inner = 0.0
    if covers(k) > _CONFIDENCE:
        over = (covers(k) - _CONFIDENCE) / (covers(k) - covers(k + 1))
        inner = (n - k) * over / (k + (n - 2 * k) * over)
    low = (1 - inner) * ordered[k - 1] + inner * ordered[k]
    high = (1 - inner) * ordered[n - k] + inner * ordered[n - k - 1]
    return float(low), float(high)


def _of_two_medians(a: Values, b: Values) -> tuple[float, float]:
    """The interval of the ratio of two medians."""
    # Written out: in a guest under TCG importing what SciPy has for it takes half a minute.
    random = np.random.default_rng(0)
    rows = random.integers(0, len(a), (_RESAMPLES, len(a)))
    others = random.integers(0, len(b), (_RESAMPLES, len(b)))
    drawn = np.median(a[rows], axis=1) / np.median(b[others], axis=1)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return float(low), float(high)
