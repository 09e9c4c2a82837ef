# SPDX-License-Identifier: MIT
"""What every experiment needs: progress, and a place to collect a run's data."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from labkit import environment
from labkit.experiments.alone import Cpus
from labkit.experiments.losses import loss_rows
from labkit.native import engine
from labkit.records import EVENT_SCHEMA, KINDS, SAMPLE_SCHEMA, STATES, TASK_SCHEMA, Record

#: No thread's id is higher (PID_MAX_LIMIT of Linux).
_BEYOND_TIDS = 1 << 22


@dataclass(frozen=True)
class Update:
    """What `progress` is called with.

    Attributes:
        done: measurements finished.
        total: measurements planned.
        what: the series being measured.
        live: what its threads are doing, None between measurements.
    """

    done: int
    total: int
    what: str
    live: engine.Progress | None = None


ProgressCallback = Callable[[Update], None]


def first_cpus(count: int) -> tuple[int, ...]:
    """The first `count` CPUs this process may use, or all of them when there are fewer."""
    return environment.cpus()[:count]


class Collector:
    """Gathers the data of one run, measurement by measurement."""

    def __init__(
        self,
        asked: dict[str, Any],
        total: int,
        progress: ProgressCallback | None,
        stop: threading.Event | None,
    ) -> None:
        self._asked = asked
        self.stop = stop
        self.counters: dict[str, int | float] = {"lost": 0}
        self._environment = environment.collect()
        self._cpus = Cpus()
        self._progress = progress
        self._total = total
        self._done = 0
        self._what = ""
        self._events: list[pl.DataFrame] = []
        self._tasks: list[tuple[int, str, str, str]] = []
        self._samples: list[tuple[str, int, float, str, int]] = []

    @property
    def hooks(self) -> engine.Hooks:
        """What ends a measurement of the engine early, and what watches it."""
        return {"stop": self.stop, "watch": self.watch}

    def begin(self, what: str) -> None:
        """The next measurement is of series `what`.

        Raises:
            Disturbed: this thread's CPUs have changed.
        """
        self._cpus.check()
        self._what = what
        self._tell(None)

    def end(self) -> None:
        """That measurement is over."""
        self._done += 1
        self._tell(None)

    def watch(self, live: engine.Progress) -> None:
        """Pass the progress of the running measurement on.

        Raises:
            Disturbed: this thread's CPUs have changed, which ends the measurement.
        """
        self._cpus.check()
        self._tell(live)

    def _tell(self, live: engine.Progress | None) -> None:
        if self._progress:
            self._progress(Update(self._done, self._total, self._what, live))

    def made_in(self, environment: Mapping[str, Any]) -> None:
        """It is measured elsewhere than here: in the simulator."""
        self._environment = dict(environment)

    def left_out(self, series: str, why: str, *, fewer: int) -> None:
        """A series that was asked for and cannot be had here; `environment["left_out"]` says so.

        `fewer`: measurements that are not made.
        """
        self._total -= fewer
        self._environment.setdefault("left_out", {})[series] = why

    def sample(self, series: str, repetition: int, value: float, unit: str, n: int) -> None:
        """Add one measured value."""
        self._samples.append((series, repetition, float(value), unit, n))

    def trace(
        self,
        series: str,
        outcome: engine.Outcome,
        *,
        keep: bool = True,
        names: Sequence[str] = (),
    ) -> None:
        """Keep the events and tasks of a traced measurement, and count what it lost.

        `keep=False`: only count, where the events of another repetition stand for all. `names`:
        what the tasks are called, with a number each; where it is "" or not given, by their role.
        """
        self.counters["lost"] += sum(task.lost for task in outcome.tasks)
        if not keep:
            return
        outcome = self._with_tids_of_its_own(outcome)
        numbers: dict[str, int] = {}
        own = [*names, *[""] * (len(outcome.tasks) - len(names))]
        for task, given in zip(outcome.tasks, own, strict=True):
            kind = given or task.role
            index = numbers[kind] = numbers.get(kind, -1) + 1
            name = f"{'urgent ' if task.urgent and not given else ''}{kind} {index}"
            self._tasks.append((task.tid, task.role, name, series))
        self._events += [event_table(outcome.events), loss_rows(outcome)]

    def trace_of(self, series: str, record: Record) -> None:
        """Keep the events and tasks of a simulation, as this series."""
        shift = _BEYOND_TIDS + max((task[0] for task in self._tasks), default=0)
        peer = pl.when(pl.col("peer") > 0).then(pl.col("peer") + shift).otherwise(pl.col("peer"))
        moved = record.events.with_columns(tid=pl.col("tid") + shift, peer=peer)
        self._events.append(moved.cast(EVENT_SCHEMA))  # type: ignore[arg-type]
        self._tasks += [
            (tid + shift, role, name, series) for tid, role, name, _ in record.tasks.iter_rows()
        ]

    def _with_tids_of_its_own(self, outcome: engine.Outcome) -> engine.Outcome:
        """The kernel gives a tid again when all have been given; a run has each task once."""
        known = {task[0] for task in self._tasks}
        events, tasks = outcome.events, []
        for task in outcome.tasks:
            tid = task.tid
            if tid in known:
                tid = _BEYOND_TIDS + len(known)
                for column in ("tid", "peer"):
                    events[column][events[column] == task.tid] = tid
            known.add(tid)
            tasks.append(dataclasses.replace(task, tid=tid))
        return dataclasses.replace(outcome, tasks=tasks)

    def run(self, *, stopped: bool, because: str = "") -> Record:
        """The run so far; `stopped` runs say so in `counters["stopped"]`.

        `because` is why, where nobody has asked for it: in `environment["stopped_because"]`.
        """
        if stopped:
            self.counters["stopped"] = 1
        if because:
            self._environment["stopped_because"] = because
        events = pl.concat(self._events) if self._events else pl.DataFrame(schema=EVENT_SCHEMA)
        return Record(
            spec=self._asked,
            environment=self._environment,
            events=events.sort("t", maintain_order=True),
            tasks=pl.DataFrame(self._tasks, schema=TASK_SCHEMA, orient="row"),
            samples=pl.DataFrame(self._samples, schema=SAMPLE_SCHEMA, orient="row"),
            counters=self.counters,
        )


def event_table(rows: np.ndarray[Any, np.dtype[np.void]]) -> pl.DataFrame:
    """The engine's events (`engine.EVENT_DTYPE`) as the event table."""
    columns: dict[str, pl.Series] = {}
    names = {"kind": KINDS, "old": STATES, "new": STATES}
    for name, kind in EVENT_SCHEMA.items():
        numbers = np.ascontiguousarray(rows[name])
        if name in names:  # numbered in the order of the names
            columns[name] = pl.Series(name, names[name], dtype=kind).gather(numbers)
        else:
            columns[name] = pl.Series(name, numbers, dtype=kind)
    return pl.DataFrame(columns)


def latencies(outcome: engine.Outcome, kind: str, tids: set[int] | None = None) -> Any:
    """The `arg` of all events of `kind` (of these threads), ns, in order of time."""
    rows = outcome.events[outcome.events["kind"] == KINDS.index(kind)]
    if tids is not None:
        rows = rows[np.isin(rows["tid"], list(tids))]
    return rows["arg"]
