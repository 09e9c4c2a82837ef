# SPDX-License-Identifier: MIT
"""What the kernel's tracepoints become in the event table, whatever has recorded and kept them.

Tables of fields come in, one a tracepoint, as text or as numbers; rows of the event table go out.
All of it works on whole columns: a trace has millions of rows and few different values.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from labkit.records import EVENT_SCHEMA, KERNEL_KINDS, STATES, empty
from labkit.trace import schema

_STATE_BITS = {
    "R": 0, "S": 1, "D": 2, "T": 4, "t": 8, "X": 16, "x": 16, "Z": 32, "P": 64, "I": 128, "W": 128,
}  # fmt: skip
_FLAG_BITS = {"locked": 0x40, "preempted": 0x80, "adopt": 0x100, "free": 0x200, "rank": 0x400}
_STATE_MASK, _FULL_MASK = 0x3F, 0x3FFFF

#: A state whose letter this module does not know: the task could not go on, which is what counts.
_SOME_STATE = 1


#: Larger numbers are no thread and no CPU (PID_MAX_LIMIT and NR_CPUS of Linux are smaller).
MOST_TIDS, MOST_CPUS = 2**31 - 1, 2**15 - 1


@dataclass
class KernelTrace:
    """What the kernel recorded.

    Attributes:
        events: event table. `sched_switch`: `tid` comes on `cpu`, `peer` leaves it, `arg` is the
            leaver's state (0: it could go on). `sched_wakeup`, `sched_wakeup_new`, `sched_waking`:
            `tid` is woken for `cpu` by `peer`. `sched_migrate_task`: `tid` moves to `cpu` from CPU
            `arg`. `umcg_*`: `tid` goes from `old` to `new`.
        lost: events that the kernel dropped because the buffer was full.
        missing: tracepoints that this kernel does not have.
        unknown: events that have no row in the table, by name.
        names: what tasks are called, by tid.
        bad: pieces that are no event and were not understood: lines of a text.
        first_bad: the first of them, with where it stands; empty when there is none.
        gaps: CPU, and from and until when (ns) events of it had been lost; CPU -1: of all of them.
        stretches: which recording of several each task is of, by tid; empty when there is one.
    """

    events: pl.DataFrame = field(default_factory=lambda: empty(EVENT_SCHEMA))
    lost: int = 0
    missing: tuple[str, ...] = ()
    unknown: dict[str, int] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    bad: int = 0
    first_bad: str = ""
    gaps: list[tuple[int, int, int]] = field(default_factory=list)
    stretches: dict[int, int] = field(default_factory=dict)


def sched_state(value: Any) -> int:
    """The scheduler's state of a task that leaves, as its bits: 0 means that it could go on.

    Args:
        value: a number, as the kernel has it, or letters, as it is printed: `R+`, `S`, `D|K`.
    """
    if isinstance(value, int):
        return value & 0xFF
    text = str(value)
    number = _number(text)
    if number is not None:
        return number & 0xFF
    bits = sum(_STATE_BITS.get(letter, 0) for letter in text.rstrip("+").split("|"))
    return bits or (0 if text.startswith("R") else _SOME_STATE)


def _number(text: str) -> int | None:
    """A number as tools print it, with 0x or without; None: it is none."""
    with contextlib.suppress(ValueError):
        return int(text, 16 if text.startswith("0x") else 10)
    return None


def state_word(value: Any) -> tuple[str, int]:
    """State and flags of a state word, given as number or as `running(locked|preempted)`."""
    if isinstance(value, str):
        number = _number(value)
        value = value if number is None else number
    if isinstance(value, int):
        number = value & _STATE_MASK
        state = STATES[number] if number < len(STATES) else "none"
        return state, value & _FULL_MASK & ~_STATE_MASK
    name, _, flags = str(value).rstrip(")").partition("(")
    bits = 0
    for flag in filter(None, flags.split("|")):
        with contextlib.suppress(ValueError):
            bits |= _FLAG_BITS[flag] if flag in _FLAG_BITS else int(flag, 0)
    return name if name in STATES else "none", bits & _FULL_MASK & ~_STATE_MASK


def _mapped(column: pl.Series, make: Callable[[Any], Any], kind: pl.DataType) -> pl.Series:
    """`make` of every value, called once for each that is different."""
    values = column.unique().to_list()
    return column.replace_strict(values, [make(value) for value in values], return_dtype=kind)


def _sched_switch(f: pl.DataFrame) -> list[Any]:
    return [
        pl.col("next_pid").alias("tid"),
        pl.col("prev_pid").alias("peer"),
        _mapped(f["prev_state"], sched_state, pl.Int64()).alias("arg"),
    ]


def _sched_wake(f: pl.DataFrame) -> list[Any]:
    # Kernels before 5.x, and some ways to print, do not say for which CPU: then where it was seen.
    target = pl.col("target_cpu").fill_null(pl.col("cpu")) if "target_cpu" in f.columns else "cpu"
    return [
        pl.col("pid").alias("tid"),
        pl.col("common_pid").alias("peer"),
        target.alias("cpu") if isinstance(target, pl.Expr) else pl.col(target),
    ]


def _sched_migrate(f: pl.DataFrame) -> list[Any]:
    return [
        pl.col("pid").alias("tid"),
        pl.col("dest_cpu").alias("cpu"),
        pl.col("orig_cpu").alias("arg"),
    ]


def _umcg(f: pl.DataFrame) -> list[Any]:
    made: list[Any] = []
    have = set(f.columns)
    made.append(pl.col("tid" if "tid" in have else "common_pid").alias("tid"))
    if "peer" in have:
        made.append(pl.col("peer"))
    for name in ("old", "new"):
        if name in have:
            made.append(_mapped(f[name], lambda v: state_word(v)[0], pl.String()).alias(name))
    if "new" in have:
        made.append(_mapped(f["new"], lambda v: state_word(v)[1], pl.Int64()).alias("flags"))
    return made


#: What each tracepoint becomes, and the fields that it must have for that.
ROWS: dict[str, tuple[Callable[[pl.DataFrame], list[Any]], tuple[str, ...]]] = {
    "sched_switch": (_sched_switch, ("prev_pid", "prev_state", "next_pid")),
    **dict.fromkeys(("sched_wakeup", "sched_wakeup_new", "sched_waking"), (_sched_wake, ("pid",))),
    "sched_migrate_task": (_sched_migrate, ("pid", "orig_cpu", "dest_cpu")),
    **{kind: (_umcg, ()) for kind in KERNEL_KINDS if kind.startswith("umcg_")},
}


def rows(kind: str, fields: pl.DataFrame) -> pl.DataFrame:
    """Rows of the event table, and the column `row`; what cannot be a task or a CPU has no row.

    Args:
        kind: one of `ROWS`.
        fields: columns `row` (of the source, which decides between equal times), `t` (ns), `cpu`,
            `common_pid` (the thread that was running), and the tracepoint's own fields.
    """
    make, _ = ROWS[kind]
    made = fields.with_columns(*make(fields), kind=pl.lit(kind))
    if "peer" not in made.columns:
        made = made.with_columns(peer=pl.lit(schema.DEFAULTS["peer"]))
    made = made.filter(
        pl.col("t") >= 0,
        pl.col("tid").is_between(0, MOST_TIDS),
        pl.col("peer").is_between(0, MOST_TIDS),
        pl.col("cpu").is_between(0, MOST_CPUS),
    )
    columns = []
    for name, dtype in EVENT_SCHEMA.items():
        value = pl.col(name) if name in made.columns else pl.lit(schema.DEFAULTS[name])
        columns.append(value.cast(dtype).alias(name))
    return made.select(*columns, "row")


def join(parts: Iterable[pl.DataFrame], tids: Iterable[int] | None = None) -> pl.DataFrame:
    """One event table of the `rows` of all tracepoints.

    Args:
        parts: tables that `rows` made.
        tids: keep only rows about these threads; None: all.
    """
    every = list(parts)
    if not every:
        return empty(EVENT_SCHEMA)
    table = pl.concat(every).sort("t", "row").drop("row")
    if tids is not None:
        wanted = pl.Series(sorted(set(tids)), dtype=pl.Int32)
        table = table.filter(
            pl.col("tid").is_in(wanted.implode()) | pl.col("peer").is_in(wanted.implode())
        )
    return schema.validate(schema.sort(table))
