# SPDX-License-Identifier: MIT
"""Can a load's figures be relied on? What the generator did, beside what it was asked to do.

After lancet (Kogias, Mallon, Bugnion: Lancet, USENIX ATC 2019), which checks its own arrivals and
that the system is stationary before it prints a percentile.
"""

from __future__ import annotations

import numpy as np

from labkit.experiments.outcome import Result
from labkit.workload.drawn import Jobs

#: Of the Kolmogorov-Smirnov distance times the root of n: one honest generator in a hundred is
#: farther from what was asked for.
_FAR = 1.63
#: The client may be late by this part of the 99th percentile of all latencies.
_LATE = 0.1
#: A queue that did not grow is empty this part of the time that requests came after the last.
_DRAINED = 0.1


def checks(jobs: Jobs, result: Result) -> dict[str, float]:
    """How far each is from what may be: above 1, what came of it cannot be relied on.

    `arrivals` are those of independent requests; `queue` does not grow; `client` (on the kernel)
    does not send so late that it is seen in the latencies.
    """
    sent = jobs.arrival_ns.astype(np.float64)
    if result.late_ns is not None:
        sent = sent + result.late_ns
    longest, span = float(jobs.service_ns.max()), float(jobs.arrival_ns[-1])
    left = result.elapsed_ns - span - 2 * longest
    found = {
        "arrivals": distance(np.diff(np.sort(sent))) / _FAR,
        "queue": max(left, 0.0) / (_DRAINED * span),
    }
    answered = np.concatenate([*result.latency_ns.values(), np.empty(0)])
    if result.late_ns is not None and answered.size:
        tail = float(np.quantile(answered, 0.99))
        found["client"] = float(np.quantile(result.late_ns, 0.99)) / (_LATE * tail)
    return found


def distance(gaps: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Kolmogorov's and Smirnov's distance from exponential gaps of that mean, times root n."""
    n = len(gaps)
    expected = 1 - np.exp(-np.sort(gaps) / gaps.mean())
    above = np.arange(1, n + 1) / n - expected
    below = expected - np.arange(n) / n
    return float(max(above.max(), below.max()) * np.sqrt(n))
