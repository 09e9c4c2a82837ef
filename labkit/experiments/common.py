# SPDX-License-Identifier: MIT
"""What every experiment needs: a checked spec, progress, and a place to collect a run's data."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl

from labkit import environment
from labkit.native import engine
from labkit.record import EVENT_SCHEMA, KINDS, SAMPLE_SCHEMA, STATES, TASK_SCHEMA
from labkit.run import Run


class SpecError(ValueError):
    """A value of a spec is not allowed; `str()` says which, why, and what is."""


class NoUmcgError(SpecError):
    """Only UMCG series were asked for, on a kernel without it."""


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


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What is asked of an experiment. Fields end in their unit (`_s`, `_ms`, `_us`)."""

    experiment: ClassVar[str]
    #: Lowest and highest value of each field that is a number.
    limits: ClassVar[Mapping[str, tuple[float, float]]] = {}
    #: What each field that is a choice may hold.
    choices: ClassVar[Mapping[str, Sequence[str]]] = {}

    def __post_init__(self) -> None:
        for name, allowed in self.choices.items():
            self.choice(name, allowed)
        for name, (low, high) in self.limits.items():
            self.number(name, low, high)
            if name == "servers":
                check_cpus(name, getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """The spec as JSON types, with `experiment`."""
        fields = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }
        return {"experiment": self.experiment, **fields}

    def number(self, name: str, low: float, high: float, why: str = "") -> None:
        """Check that field `name` is a number (whole where its default is) in [low, high].

        Raises:
            SpecError: it is not.
        """
        value: Any = getattr(self, name)
        default = next(f.default for f in dataclasses.fields(self) if f.name == name)
        wants_whole = isinstance(default, int)
        kinds: Any = int if wants_whole else (int, float)
        allowed = f"allowed is {low:g} to {high:g}" + (f" ({why})" if why else "")
        if isinstance(value, bool) or not isinstance(value, kinds):
            whole = "a whole number" if wants_whole else "a number"
            raise SpecError(f"{name} is {value!r}, not {whole}; {allowed}")
        if math.isnan(value) or not low <= value <= high:
            raise SpecError(f"{name} is {value}; {allowed}")

    def choice(self, name: str, allowed: Sequence[str]) -> None:
        """Check that field `name` is a sequence of one or more of `allowed`, each once.

        Raises:
            SpecError: it is not.
        """
        values = getattr(self, name)
        if isinstance(values, str) or not isinstance(values, tuple | list) or not values:
            raise SpecError(f"{name} is {values!r}; give one or more of {', '.join(allowed)}")
        for value in values:
            if value not in allowed:
                raise SpecError(f"{name}: unknown {value!r}; choose from {', '.join(allowed)}")
        if len(set(values)) != len(values):
            raise SpecError(f"{name}: {', '.join(values)} names something twice")
        object.__setattr__(self, name, tuple(values))


def first_cpus(count: int) -> tuple[int, ...]:
    """The first `count` CPUs this process may use, or all of them when there are fewer."""
    return environment.cpus()[:count]


def check_cpus(name: str, count: int) -> None:
    """Raise `SpecError` when `count` CPUs are more than this process may use."""
    have = len(environment.cpus())
    if count > have:
        raise SpecError(f"{name} is {count}; this machine gives {have} CPUs: give 1 to {have}")


class Collector:
    """Gathers the data of one run, measurement by measurement."""

    def __init__(
        self,
        spec: Spec,
        total: int,
        progress: ProgressCallback | None,
        stop: threading.Event | None,
    ) -> None:
        self.spec = spec
        self.stop = stop
        self.counters: dict[str, int | float] = {"lost": 0}
        self._environment = environment.collect()
        self._progress = progress
        self._total = total
        self._done = 0
        self._what = ""
        self._events: list[pl.DataFrame] = []
        self._tasks: list[tuple[int, str, str, str]] = []
        self._samples: list[tuple[str, int, float, str, int]] = []

    def begin(self, what: str) -> None:
        """The next measurement is of series `what`."""
        self._what = what
        self._tell(None)

    def end(self) -> None:
        """That measurement is over."""
        self._done += 1
        self._tell(None)

    def watch(self, live: engine.Progress) -> None:
        """Pass the progress of the running measurement on."""
        self._tell(live)

    def _tell(self, live: engine.Progress | None) -> None:
        if self._progress:
            self._progress(Update(self._done, self._total, self._what, live))

    def sample(self, series: str, repetition: int, value: float, unit: str, n: int) -> None:
        """Add one measured value."""
        self._samples.append((series, repetition, float(value), unit, n))

    def trace(self, series: str, outcome: engine.Outcome) -> None:
        """Keep the events and tasks of a traced measurement."""
        numbers: dict[str, int] = {}
        for task in outcome.tasks:
            index = numbers[task.role] = numbers.get(task.role, -1) + 1
            name = f"{'urgent ' if task.urgent else ''}{task.role} {index}"
            self._tasks.append((task.tid, task.role, name, series))
            self.counters["lost"] += task.lost
        self._events.append(event_table(outcome.events))

    def run(self, *, stopped: bool) -> Run:
        """The run so far; `stopped` runs say so in `counters["stopped"]`."""
        if stopped:
            self.counters["stopped"] = 1
        events = pl.concat(self._events) if self._events else pl.DataFrame(schema=EVENT_SCHEMA)
        return Run(
            spec=self.spec.to_dict(),
            environment=self._environment,
            events=events.sort("t", maintain_order=True),
            tasks=pl.DataFrame(self._tasks, schema=TASK_SCHEMA, orient="row"),
            samples=pl.DataFrame(self._samples, schema=SAMPLE_SCHEMA, orient="row"),
            counters=self.counters,
        )


def conduct(
    spec: Spec,
    total: int,
    measure: Callable[[Collector], None],
    progress: ProgressCallback | None,
    stop: threading.Event | None,
) -> Run:
    """The run that `measure` collects in `total` measurements, or as many as it got before `stop`.

    Raises:
        EngineError: a system call failed.
    """
    collect = Collector(spec, total, progress, stop)
    try:
        measure(collect)
    except engine.Stopped:
        return collect.run(stopped=True)
    return collect.run(stopped=False)


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
