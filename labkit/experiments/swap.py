# SPDX-License-Identifier: MIT
"""swap: the price of handing one turn from a thread to another, by every means there is."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from labkit import environment
from labkit.experiments.common import (
    Collector,
    NoUmcgError,
    ProgressCallback,
    Spec,
    conduct,
    first_cpus,
)
from labkit.native import engine
from labkit.run import Run

METHODS = tuple(engine.METHODS)
PLACEMENTS = ("pinned", "unpinned")


@dataclass(frozen=True, kw_only=True)
class SwapSpec(Spec):
    """What `swap` measures.

    Attributes:
        methods: means of hand-off. `umcg-swap`, `umcg-wake-wait`: two basic tasks;
            `umcg-worker-swap`: two workers over one server; `umcg-server-worker`: a server lends
            its place to a worker and gets it back; the rest are the baselines.
        placements: `pinned` (both threads on one CPU), `unpinned` (the kernel places them).
        value_ms: each value is measured for at least this long, 1 to 10000 milliseconds; 100 and
            more for figures to be published.
        repetitions: values for each series, 1 to 1000; the series alternate.
        traced_rounds: round trips of one further, traced measurement of each series, from which
            the events come; 0 to 100000, 0 for none.
    """

    experiment = "swap"
    choices: ClassVar = {"methods": METHODS, "placements": PLACEMENTS}
    limits: ClassVar = {
        "value_ms": (1, 10_000),
        "repetitions": (1, 1000),
        "traced_rounds": (0, 100_000),
    }

    methods: tuple[str, ...] = METHODS
    placements: tuple[str, ...] = PLACEMENTS
    value_ms: float = 20.0
    repetitions: int = 7
    traced_rounds: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        if not engine.enabled() and all(name.startswith("umcg") for name in self.methods):
            raise NoUmcgError(f"this kernel has no UMCG, so nothing runs: {environment.GET_UMCG}")


def run(
    spec: SwapSpec,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Measure. Samples: `METHOD/PLACEMENT` in `ns/switch`, `n` the switches of a value.

    Counters `SERIES:probe_cost`: how many times as long a switch takes when traced.

    Raises:
        EngineError: a system call failed.
    """
    methods = [m for m in spec.methods if engine.enabled() or not m.startswith("umcg")]
    series = {
        f"{method}/{placement}": (method, first_cpus(1)[0] if placement == "pinned" else None)
        for placement in spec.placements
        for method in methods
    }
    measure = partial(_measure, spec, series)
    return conduct(spec, len(series) * (spec.repetitions + 1), measure, progress, stop)


def _measure(spec: SwapSpec, series: dict[str, tuple[str, int | None]], collect: Collector) -> None:
    total: dict[str, tuple[int, int]] = {}
    for repetition in range(spec.repetitions):
        for name, (method, cpu) in series.items():
            collect.begin(name)
            values = engine.swap(
                method,
                cpu=cpu,
                duration_s=spec.value_ms / 1e3,
                stop=collect.stop,
                watch=collect.watch,
            ).values
            switches = 2 * values["rounds"]
            collect.sample(name, repetition, values["elapsed_ns"] / switches, "ns/switch", switches)
            before = total.get(name, (0, 0))
            total[name] = before[0] + values["elapsed_ns"], before[1] + switches
            collect.end()
    for name, (method, cpu) in series.items():
        if not spec.traced_rounds:
            break
        collect.begin(f"{name} (traced)")
        outcome = engine.swap(
            method,
            cpu=cpu,
            rounds=spec.traced_rounds,
            warmup=20,
            events=3 * spec.traced_rounds + 8,
            stop=collect.stop,
        )
        collect.trace(name, outcome)
        traced = outcome.values["elapsed_ns"] / (2 * outcome.values["rounds"])
        collect.counters[f"{name}:probe_cost"] = traced / (total[name][0] / total[name][1])
        collect.end()
