# SPDX-License-Identifier: MIT
"""Latency distributions as curves, tail first: the share of operations that took longer than x."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.analysis.latency import (
    latencies_detection,
    latencies_op,
    latencies_preemption,
    latencies_wake,
)
from labkit.analysis.requires import MissingEvents
from labkit.records import Record

#: Which latency there is, its source and what to call it.
LATENCIES = {
    "op": (latencies_op, "Latency of operations"),
    "detection": (latencies_detection, "Block detection: BLOCKED until the server runs"),
    "wake": (latencies_wake, "Waking: IDLE on the list until RUNNING"),
    "preemption": (latencies_preemption, "Preemption: asked until off the server"),
}

#: Shares that have a name.
NAMED = ((0.5, "p50"), (0.1, "p90"), (0.01, "p99"), (0.001, "p99.9"))

_POINTS = 400


class Curve(NamedTuple):
    """One series: `share[i]` of its `n` operations took `ns[i]` or longer; `ns` ascends."""

    series: str
    n: int
    ns: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]


def latencies(
    record: Record, which: str, series: Sequence[str] | None = None
) -> tuple[pl.DataFrame, str]:
    """Rows `series`, `ns` (at least 1) of one of `LATENCIES`, by series; and what to call it.

    Raises:
        MissingEvents: the run has not the events it takes, or none of these series.
        ValueError: unknown `which`.
    """
    if which not in LATENCIES:
        raise ValueError(f"unknown latency {which!r}; choose from {', '.join(LATENCIES)}")
    source, title = LATENCIES[which]
    # A logarithmic axis has no zero: what took less than the clock's step is shown as 1 ns.
    rows = of_series(source(record).with_columns(pl.col("ns").clip(1)), series)
    return rows.sort("series", maintain_order=True), title


def of_series(rows: pl.DataFrame, series: Sequence[str] | None) -> pl.DataFrame:
    """The rows of these series; None: all.

    Raises:
        MissingEvents: there are none.
    """
    kept = rows if series is None else rows.filter(pl.col("series").is_in(list(series)))
    if kept.is_empty():
        raise MissingEvents(f"no events of series {', '.join(series or ['(any)'])} to draw")
    return kept


def curves(rows: pl.DataFrame) -> Iterator[Curve]:
    """The curves of rows of `latencies`, at most 400 points each."""
    for (name,), group in rows.group_by("series", maintain_order=True):
        values = np.sort(group["ns"].to_numpy())
        n = len(values)
        # Even steps in the logarithm of the share: the tail keeps all of its few points.
        rank = np.unique(n - np.geomspace(n, 1, min(n, _POINTS)).round().astype(int))
        yield Curve(str(name), n, values[rank], (n - rank) / n)
