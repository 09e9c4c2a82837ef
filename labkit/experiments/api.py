# SPDX-License-Identifier: MIT
"""The experiments as functions of keyword arguments: `labkit.swap(repetitions=10)`.

Each takes the fields of its spec (`SwapSpec`, `WakeSpec`, `BlockSpec`, `PreemptSpec`), `progress`,
called with an `Update` about twenty times a second, and `stop`, an event that ends the run early:
it then returns what was measured so far, with `counters["stopped"]` set.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

from labkit.experiments import SPECS, run
from labkit.experiments.common import ProgressCallback, SpecError
from labkit.run import Run


def _run(
    name: str,
    progress: ProgressCallback | None,
    stop: threading.Event | None,
    fields: dict[str, Any],
) -> Run:
    known = [field.name for field in dataclasses.fields(SPECS[name])]
    for given in fields:
        if given not in known:
            raise SpecError(f"{name} has no {given!r}; it has {', '.join(known)}")
    return run(SPECS[name](**fields), progress, stop)


def swap(
    *,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
    **fields: Any,
) -> Run:
    """The price of a hand-off, by every means; fields of `SwapSpec`."""
    return _run("swap", progress, stop, fields)


def wake(
    *,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
    **fields: Any,
) -> Run:
    """Wake storms over one to several servers; fields of `WakeSpec`."""
    return _run("wake", progress, stop, fields)


def block(
    *,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
    **fields: Any,
) -> Run:
    """Workers in calls that block; fields of `BlockSpec`."""
    return _run("block", progress, stop, fields)


def preempt(
    *,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
    **fields: Any,
) -> Run:
    """Runaway workers and a watchdog; fields of `PreemptSpec`."""
    return _run("preempt", progress, stop, fields)
