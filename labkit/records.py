# SPDX-License-Identifier: MIT
"""The data of one run of an experiment: what was asked, where, and what happened.

This module is the floor that `experiments`, `trace`, `analysis` and `plots` all stand on: it holds
plain data and the column types, and imports none of them. `labkit.run.Run` is a `Record` with the
conveniences of a notebook (`table()`, `timeline()`, `save()`) and is what a user meets.

Modules below `labkit.run` take and return `Record`; a `Run` is one, so they accept it too.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import polars as pl

#: What the kernel's tracepoints say; `labkit.trace.kernel` makes rows of them.
KERNEL_KINDS = (
    "sched_switch",
    "sched_wakeup",
    "sched_waking",
    "sched_migrate_task",
    "umcg_register",
    "umcg_unregister",
    "umcg_run",
    "umcg_switch",
    "umcg_block",
    "umcg_wake",
    "umcg_wake_server",
    "umcg_preempt",
    "umcg_pass",
    "umcg_adopt",
    "umcg_take",
    "umcg_timeout",
    "umcg_violation",
    "sched_wakeup_new",
)

#: Kinds that change the state word of their task in user space or in the kernel's hooks.
STATE_KINDS = (
    "register",
    "unregister",
    "run",
    "yield",
    "swap",
    "block",
    "wake",
    "preempt",
    "timeout",
    "wait",
)

#: Where nothing is known: from `t` to `arg` (ns) the recording lost the task's state changes
#: (`lost`; of tid 0: what happened on that CPU), or its operations (`lost_op`).
LOSS_KINDS = ("lost", "lost_op")

#: What an event can be. `op` is one finished operation of the workload.
KINDS = (*STATE_KINDS, "op", "mark", *KERNEL_KINDS, *LOSS_KINDS)

#: States of a task. A thread of a baseline is only ever `running` or `blocked`.
STATES = ("none", "running", "idle", "blocked")

#: Roles of a task; `thread` is an ordinary thread of a baseline, `basic` a UMCG basic task.
ROLES = ("server", "worker", "thread", "basic")

#: The event table. One row an event, sorted by `t`; see `Record.events` for the units.
EVENT_SCHEMA: dict[str, pl.DataType] = {
    "t": pl.Int64(),
    "tid": pl.Int32(),
    "cpu": pl.Int16(),
    "kind": pl.Enum(KINDS),
    "old": pl.Enum(STATES),
    "new": pl.Enum(STATES),
    "flags": pl.Int32(),
    "peer": pl.Int32(),
    "arg": pl.Int64(),
}

#: The tasks of a run, one row a thread.
TASK_SCHEMA: dict[str, pl.DataType] = {
    "tid": pl.Int32(),
    "role": pl.Enum(ROLES),
    "name": pl.String(),
    "series": pl.String(),
}

#: The measured values of a run, one row a value.
SAMPLE_SCHEMA: dict[str, pl.DataType] = {
    "series": pl.String(),
    "repetition": pl.Int32(),
    "value": pl.Float64(),
    "unit": pl.String(),
    "n": pl.Int64(),
}


def empty(schema: dict[str, pl.DataType]) -> pl.DataFrame:
    """A table of this schema (`EVENT_SCHEMA`, `TASK_SCHEMA`, `SAMPLE_SCHEMA`) with no rows."""
    return pl.DataFrame(schema=schema)


@dataclass(kw_only=True)
class Record:
    """One run of one experiment, as plain data.

    Attributes:
        spec: what was asked: `experiment` (its name: swap, wake, block, preempt) and every field of
            the experiment's spec dataclass, as JSON types. Units stand in the field names
            (`value_ms`, `duration_s`).
        environment: where it ran, as JSON types (see `labkit.environment.collect`): kernel, abi,
            accelerator, CPUs, clock, commit, ...
        events: the event table, sorted by `t`, columns `EVENT_SCHEMA`:

            - `t` int64, ns of CLOCK_MONOTONIC
            - `tid` int32, the thread the event is about
            - `cpu` int16, the CPU it happened on, -1 unknown
            - `kind` one of `KINDS`
            - `old`, `new` one of `STATES`: the task's state before and after
            - `flags` int32: the low 18 bits of the UMCG state word without the state
              (0x40 locked, 0x80 preempted, bits 13-17 the library's); 0 in a baseline
            - `peer` int32: the other task (that was run, that woke it, the server), 0 none
            - `arg` int64: for `op` the latency or service time in ns, for a loss its end in ns,
              else of the kind's own
        tasks: one row a thread, columns `TASK_SCHEMA`; `series` is the line of the experiment it
            worked for (`samples.series`).
        samples: measured values, columns `SAMPLE_SCHEMA`: `series` (what was measured, such as
            `futex/pinned`), `repetition` from 0, `value` in `unit` (`ns/switch`, `ns`, `1/s`, ...),
            `n` the operations the value is made of.
        counters: totals: events `lost`, hand-offs, ... ; int or float by name. A counter of one
            series is named `series:counter`.
    """

    spec: dict[str, Any]
    environment: dict[str, Any]
    events: pl.DataFrame = field(default_factory=lambda: empty(EVENT_SCHEMA))
    tasks: pl.DataFrame = field(default_factory=lambda: empty(TASK_SCHEMA))
    samples: pl.DataFrame = field(default_factory=lambda: empty(SAMPLE_SCHEMA))
    counters: dict[str, int | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the tables' columns.

        Raises:
            ValueError: a table has other columns or types than its schema.
        """
        for name, schema in (
            ("events", EVENT_SCHEMA),
            ("tasks", TASK_SCHEMA),
            ("samples", SAMPLE_SCHEMA),
        ):
            got = dict(getattr(self, name).schema)
            if got != schema:
                wrong = sorted(c for c in schema.keys() | got.keys() if got.get(c) != schema.get(c))
                raise ValueError(
                    f"table {name!r} does not have its columns; wrong, missing or too many: "
                    f"{', '.join(wrong) or 'only their order'}"
                )

    @property
    def experiment(self) -> str:
        """Name of the experiment (`swap`, `wake`, `block`, `preempt`)."""
        return str(self.spec.get("experiment", "?"))


def a_run(given: Any) -> Record:
    """What was given, where a run is wanted.

    Raises:
        TypeError: it is something else; says what to do with a file's name.
    """
    if isinstance(given, Record):
        return given
    opens = ": labkit.load() opens a file" if isinstance(given, str | os.PathLike) else ""
    raise TypeError(f"give a run, not {given!r:.60}{opens}")
