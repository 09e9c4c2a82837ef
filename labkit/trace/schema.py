# SPDX-License-Identifier: MIT
"""The one event table: how to make, check, merge and sort it.

One row is one change of one task's state word (`tid` is the task that changed, whatever changed
it), one finished operation (`op`), one remark (`mark`), or one kernel tracepoint. The columns and
their types are `labkit.records.EVENT_SCHEMA`. Rows are sorted by `t`; rows with equal `t` keep the
order in which their source gave them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from labkit.records import (
    EVENT_SCHEMA,
    KERNEL_KINDS,
    KINDS,
    ROLES,
    STATE_KINDS,
    STATES,
    TASK_SCHEMA,
    empty,
)
from labkit.trace.errors import ClockMismatch, SchemaError

#: Values of the columns that a source does not give.
DEFAULTS: dict[str, Any] = {
    "cpu": -1,
    "old": "none",
    "new": "none",
    "flags": 0,
    "peer": 0,
    "arg": 0,
}

#: Bits of `flags` that user space and kernel use; 8 to 12 are reserved.
RESERVED_FLAGS = 0x1800


def _enum_values(dtype: pl.DataType) -> tuple[str, ...]:
    return tuple(dtype.categories) if isinstance(dtype, pl.Enum) else ()


def conform(table: pl.DataFrame, schema: dict[str, pl.DataType] = EVENT_SCHEMA) -> pl.DataFrame:
    """Cast a table to a schema, in its column order; missing event columns get `DEFAULTS`.

    Raises:
        SchemaError: naming the column and the first value that does not fit.
    """
    columns: list[pl.Expr | pl.Series] = []
    missing = [c for c in schema if c not in table.columns and c not in DEFAULTS]
    if missing:
        raise SchemaError(
            f"columns {', '.join(missing)} are missing; a table needs {', '.join(schema)}"
        )
    extra = [c for c in table.columns if c not in schema]
    if extra:
        raise SchemaError(f"unknown columns {', '.join(extra)}; drop them, or keep them elsewhere")
    for name, dtype in schema.items():
        if name not in table.columns:
            columns.append(pl.lit(DEFAULTS[name]).cast(dtype).alias(name))
            continue
        have = table[name]
        if have.dtype == dtype:
            columns.append(pl.col(name))
            continue
        if isinstance(dtype, pl.Enum) and isinstance(have.dtype, pl.Enum | pl.Categorical):
            have = have.cast(pl.String)
        try:
            cast = have.cast(dtype)
        except pl.exceptions.PolarsError as error:
            raise SchemaError(_misfit(name, have, dtype)) from error
        columns.append(cast)
    return table.select(columns) if table.height else empty(schema)


def _misfit(name: str, have: pl.Series, dtype: pl.DataType) -> str:
    allowed = _enum_values(dtype)
    if allowed and have.dtype == pl.String:
        bad = have.filter(~have.is_in(allowed))
        return f"column {name!r}: {bad[0]!r} is not one of {', '.join(allowed)}"
    wrong = have.to_frame().filter(
        pl.col(name).is_not_null() & pl.col(name).cast(dtype, strict=False).is_null()
    )[name]
    shown = f"{wrong[0]!r} does not fit" if len(wrong) else f"values are {have.dtype}"
    return f"column {name!r}: {shown}; it must be {dtype}"


def events(rows: Iterable[dict[str, Any]] | dict[str, Any]) -> pl.DataFrame:
    """An event table from rows (dicts) or columns (dict of sequences), cast, checked and sorted.

    `t`, `tid` and `kind` are needed; the others default to `DEFAULTS`.

    Raises:
        SchemaError: a column is missing, unknown or has a value that does not fit.
    """
    listed = None if isinstance(rows, dict) else list(rows)
    if not (rows if listed is None else listed):
        return empty(EVENT_SCHEMA)
    table = pl.DataFrame(rows if listed is None else listed, infer_schema_length=None)
    given = [pl.col(c).fill_null(d) for c, d in DEFAULTS.items() if c in table.columns]
    return validate(sort(conform(table.with_columns(given))))


def tasks(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """A task table (`labkit.records.TASK_SCHEMA`) from dicts with tid, role, name and series.

    Raises:
        SchemaError: a column is missing, unknown or has a value that does not fit.
    """
    listed = list(rows)
    return conform(pl.from_dicts(listed), TASK_SCHEMA) if listed else empty(TASK_SCHEMA)


def sort(table: pl.DataFrame) -> pl.DataFrame:
    """Rows in order of `t`; equal times keep their order. A sorted table is returned as it is."""
    if table["t"].is_sorted():
        return table.set_sorted("t")
    return table.sort("t", maintain_order=True)


def validate(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table if it is an event table.

    Raises:
        SchemaError: wrong columns or types, a null, a negative time, an unsorted table, a tid or
            CPU out of range, or reserved flag bits, each with the row.
    """
    if dict(table.schema) != EVENT_SCHEMA:
        raise SchemaError(
            "not the columns of an event table; labkit.trace.schema.conform() may cast it"
        )
    without_nulls(table, "events")
    if not table["t"].is_sorted():
        raise SchemaError("times are not in order; labkit.trace.schema.sort() puts them in order")
    rules = {
        "t is negative; times are ns of CLOCK_MONOTONIC": pl.col("t") < 0,
        "tid is negative": pl.col("tid") < 0,
        "peer is negative; 0 means none": pl.col("peer") < 0,
        "cpu is below -1; -1 means unknown": pl.col("cpu") < -1,
        "flags holds state bits (0-5) or bits above 17": (pl.col("flags") & ~0x3FFC0) != 0,
    }
    broken = table.select(**{str(i): rule.any() for i, rule in enumerate(rules.values())}).row(0)
    for bad, (what, rule) in zip(broken, rules.items(), strict=True):
        if bad:
            at = table.with_row_index().filter(rule).row(0, named=True)
            raise SchemaError(f"event {at.pop('index')}: {what}: {at}")
    return table


def without_nulls(table: pl.DataFrame, what: str) -> pl.DataFrame:
    """Return the table if every row has every column.

    Raises:
        SchemaError: naming the columns.
    """
    nulls = [c for c in table.columns if table[c].null_count()]
    if nulls:
        raise SchemaError(f"{what}: columns {', '.join(nulls)} have nulls; every row needs a value")
    return table


def validate_tasks(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table if each of its tasks has a tid of its own.

    Raises:
        SchemaError: a null, or two tasks with one tid.
    """
    twice = without_nulls(table, "tasks").filter(pl.col("tid").is_duplicated())["tid"]
    if len(twice):
        raise SchemaError(f"two tasks have the tid {twice[0]}; give each a tid of its own")
    return table


def merge(*sources: pl.DataFrame) -> pl.DataFrame:
    """One table of several, sorted by time. Sources are event tables on CLOCK_MONOTONIC.

    Raises:
        SchemaError: a source is not an event table.
        ClockMismatch: a source shares no stretch of time with the first; it was on another clock.
    """
    filled = [sort(conform(s)) for s in sources if s.height]
    if not filled:
        return empty(EVENT_SCHEMA)
    first, last = filled[0]["t"][0], filled[0]["t"][-1]
    for i, source in enumerate(filled[1:], start=2):
        start, end = source["t"][0], source["t"][-1]
        # A second of grace: a source may begin right after another has ended.
        if start > last + 10**9 or end < first - 10**9:
            away = start - last if start > last else first - end
            raise ClockMismatch(
                f"source {i} lies {away / 1e9:.1f} s apart from source 1: they were not recorded "
                "on one clock or not together; record all on CLOCK_MONOTONIC (trace_clock mono)"
            )
        first, last = min(first, start), max(last, end)
    return validate(sort(pl.concat(filled)))


__all__ = [
    "DEFAULTS",
    "EVENT_SCHEMA",
    "KERNEL_KINDS",
    "KINDS",
    "RESERVED_FLAGS",
    "ROLES",
    "STATES",
    "STATE_KINDS",
    "conform",
    "events",
    "merge",
    "sort",
    "tasks",
    "validate",
    "validate_tasks",
    "without_nulls",
]
