# SPDX-License-Identifier: MIT
"""What a policy chose, and what it passed over: properties of a schedule that no clock changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import polars as pl

from labkit.records import Record


class Waiting(NamedTuple):
    """A thread that is ready at the time of a choice.

    Attributes:
        tid: its thread id.
        klass: the class of its job.
        arrived_ns: when it came, or became ready last.
        had_ns: for so long it has run since it began.
        described: its class in the workload's description (`labkit.workload.to_dict`).
        server: which server chooses; 0 is the first.
    """

    tid: int
    klass: str
    arrived_ns: int
    had_ns: int
    described: dict[str, Any]
    server: int = -1


class Choices(NamedTuple):
    """How often a policy had a choice, and the choices that were not in order."""

    made: int
    wrong: pl.DataFrame


def choices(run: Record, key: Callable[[Waiting], Any]) -> Choices:
    """Hold every choice of a simulated run against an order.

    Args:
        run: of `labkit.simulate`, with events.
        key: what the order goes by; the thread with the smallest has to go first.

    Returns:
        The number of times that more than one thread was ready, and rows `t` (ns), `chosen`,
        `better` (names) of those where another thread had a smaller key.
    """
    described = {of["name"]: of for of in run.spec["workload"]["classes"]}
    names = dict(run.tasks.select("tid", "name").iter_rows())
    workers = set(run.tasks.filter(pl.col("role") == "worker")["tid"].to_list())
    ready: dict[int, Waiting] = {}
    runs_since: dict[int, int] = {}
    had: Counter[int] = Counter()
    made, wrong = 0, []
    rows = run.events.select("t", "tid", "cpu", pl.col("old", "new").cast(pl.String))
    for t, tid, cpu, old, new in rows.iter_rows():
        if tid not in workers or old == new:
            continue
        if old == "running":
            had[tid] += t - runs_since.pop(tid, t)
        if new == "running":
            runs_since[tid] = t
        if new == "idle":
            klass = names[tid].rpartition(" ")[0]
            ready[tid] = Waiting(tid, klass, t, had[tid], described[klass])
        elif new == "running" and (chosen := ready.pop(tid, None)) and ready:
            made += 1
            # A server of the simulator is a CPU of the same number.
            best = min((waiting._replace(server=cpu) for waiting in ready.values()), key=key)
            if key(best) < key(chosen._replace(server=cpu)):
                wrong.append((t, names[tid], names[best.tid]))
    schema = {"t": pl.Int64, "chosen": pl.String, "better": pl.String}
    return Choices(made, pl.DataFrame(wrong, schema=schema, orient="row"))
