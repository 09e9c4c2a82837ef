# SPDX-License-Identifier: MIT
"""`labkit.simulate`: the simulator's record as a `Run`, with tables, timeline and `save()`."""

from __future__ import annotations

import os
import threading
from typing import Any

from labkit.run import Run
from labkit.sim import TEXTBOOK, Costs
from labkit.sim import simulate as _simulate
from labkit.sim.process import Tell
from labkit.sim.simulation import EVENTS
from labkit.workload import Workload


def simulate(
    policy: Any,
    workload: Workload | str | os.PathLike[str],
    servers: int = 2,
    seed: int | None = None,
    *,
    costs: Costs = TEXTBOOK,
    events: int = EVENTS,
    until: int | str | None = None,
    watchdog_s: float = 5.0,
    progress: Tell | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Let a policy schedule a workload in virtual time; see `labkit.sim.simulate`."""
    made = _simulate(
        policy,
        workload,
        servers,
        seed,
        costs=costs,
        events=events,
        until=until,
        watchdog_s=watchdog_s,
        progress=progress,
        stop=stop,
    )
    return Run(
        spec=made.spec,
        environment=made.environment,
        events=made.events,
        tasks=made.tasks,
        samples=made.samples,
        counters=made.counters,
    )


# One text for both: what differs is what a Run can do.
simulate.__doc__ = _simulate.__doc__
