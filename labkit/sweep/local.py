# SPDX-License-Identifier: MIT
"""Points on this machine's cores. Each simulation is a process; threads only wait for them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from labkit.sweep.grid import Point
from labkit.sweep.point import simulate_point


def cores() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_cores(
    jobs: int, points: list[Point], watchdog_s: float
) -> Iterator[tuple[Point, list[dict[str, Any]]]]:
    """Simulate the points, `jobs` at a time; each as it is finished.

    When the caller stops early (Ctrl-C), the simulations that run end at once.
    """
    stop = threading.Event()
    left = iter(points)
    running: dict[Future[list[dict[str, Any]] | None], Point] = {}
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while True:
                for point in left:
                    running[pool.submit(simulate_point, point, watchdog_s, stop)] = point
                    if len(running) == jobs:
                        break
                if not running:
                    return
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    rows = future.result()
                    point = running.pop(future)
                    if rows is not None:
                        yield point, rows
        finally:
            stop.set()
