# SPDX-License-Identifier: MIT
"""A trace that others made, as a `Record` that analysis and plots know."""

from __future__ import annotations

import os
import time
from pathlib import Path

import polars as pl

from labkit.records import TASK_SCHEMA, Record, empty
from labkit.trace import foreign, loss, schema
from labkit.trace.foreign import Foreign
from labkit.trace.states import with_states

#: Name of the experiment of such a run.
IMPORTED = "import"

#: More tasks than this are two series, so that those that ran most can be seen.
MOST_TOGETHER = 40

ALL, BUSIEST, OTHERS = "all tasks", "busiest tasks", "other tasks"


def read(path: str | os.PathLike[str]) -> Record:
    """Read a trace that other tools have recorded; see `labkit.import_trace`."""
    source = Path(path)
    found = foreign.read(source)
    trace = found.trace
    events = _with_losses(with_states(trace.events), trace.gaps)
    counters: dict[str, int | float] = {"lost": trace.lost, "not understood": trace.bad}
    counters |= {f"no row: {name}": count for name, count in sorted(trace.unknown.items())}
    spec = {
        "experiment": IMPORTED,
        "file": source.name,
        "form": found.form,
        "notes": notes(found),
    }
    where = {
        "backend": "imported",
        "clock": found.clock or "as recorded",
        "cpus": sorted(trace.events.filter(pl.col("cpu") >= 0)["cpu"].unique().to_list()),
        "imported": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }
    return Record(
        spec=spec,
        environment=where,
        events=events,
        tasks=tasks(events, trace.names, trace.stretches),
        counters=counters,
    )


def _with_losses(events: pl.DataFrame, gaps: list[tuple[int, int, int]]) -> pl.DataFrame:
    """The table with rows that say where nothing is known: a task may run on any CPU."""
    if not gaps:
        return events
    tids = sorted(events.filter(pl.col("tid") > 0)["tid"].unique())
    # What ended a gap is known: it is a nanosecond later.
    gaps = [(cpu, begin, end - 1) for cpu, begin, end in gaps if end - 1 > begin]
    cpus = events.filter(pl.col("cpu") >= 0)["cpu"].unique().to_list()
    parts = [
        loss.rows([(0, "lost", begin, end)], one)
        for cpu, begin, end in gaps
        for one in ([cpu] if cpu >= 0 else cpus)
    ]
    parts += [loss.rows([(tid, "lost", begin, end) for tid in tids]) for _, begin, end in gaps]
    return schema.sort(pl.concat([events, *parts]))


def notes(found: Foreign) -> list[str]:
    """What was not understood, has no row, or was left out: a sentence each."""
    said = list(found.notes)
    trace = found.trace
    if trace.bad:
        said.append(f"not understood: {trace.bad}; the first is {trace.first_bad}")
    if trace.unknown:
        names = sorted(trace.unknown, key=lambda name: -trace.unknown[name])
        shown = ", ".join(f"{name} ({trace.unknown[name]})" for name in names[:5])
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        said.append(
            f"{sum(trace.unknown.values())} events are of tracepoints that the event table has no "
            f"row for: {shown}{more}"
        )
    if trace.stretches:
        count = max(trace.stretches.values())
        said.append(
            f"{count} recordings, or clocks, are in one file (its time goes back); each is a "
            "series of its own, and nothing compares them"
        )
    if trace.lost:
        said.append(f"{trace.lost} events had been lost when it was recorded")
    return said


def tasks(
    events: pl.DataFrame, names: dict[int, str], stretches: dict[int, int] | None = None
) -> pl.DataFrame:
    """The tasks of these events by what they are called; two of one name have their tid, too.

    Args:
        events: with state changes.
        names: by tid.
        stretches: which recording each is of, by tid, where there are several.
    """
    by_tid = events.filter(pl.col("tid") > 0)
    kinds = pl.col("kind").cast(pl.String)
    seen = by_tid.group_by("tid").agg(
        worker=kinds.is_in(["umcg_run", "umcg_block", "umcg_preempt"]).any(),
        server=kinds.is_in(["umcg_switch", "umcg_wake_server"]).any(),
        ran=(pl.col("new") == "running").sum(),
    )
    if seen.is_empty():
        return empty(TASK_SCHEMA)
    name = pl.col("tid").replace_strict(names, default=None, return_dtype=pl.String)
    named = seen.with_columns(name=name.fill_null("<...>"))
    busiest = named["ran"].top_k(min(MOST_TOGETHER, named.height)).min()
    series = pl.lit(ALL)
    if stretches:
        number = pl.col("tid").replace_strict(stretches, default=None, return_dtype=pl.Int64)
        series = pl.format("recording {}", number)
    elif named.height > MOST_TOGETHER:
        series = pl.when(pl.col("ran") >= busiest).then(pl.lit(BUSIEST)).otherwise(pl.lit(OTHERS))
    role = pl.when("worker").then(pl.lit("worker")).when("server").then(pl.lit("server"))
    twice = pl.col("name").is_duplicated()
    return schema.conform(
        named.sort("tid").select(
            "tid",
            role=role.otherwise(pl.lit("thread")),
            name=pl.when(twice).then(pl.format("{}:{}", "name", "tid")).otherwise("name"),
            series=series,
        ),
        TASK_SCHEMA,
    )
