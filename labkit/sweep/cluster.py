# SPDX-License-Identifier: MIT
"""Points on a Dask cluster. Its workers need labkit; policies of one's own travel along."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from labkit.sim import SimulationError
from labkit.sweep.grid import Point
from labkit.sweep.point import simulate_point

#: Seconds that a scheduler has to answer, be it busy or just starting.
ANSWER_S = 20.0


def on_cluster(
    address: str, points: list[Point], watchdog_s: float
) -> Iterator[tuple[Point, list[dict[str, Any]]]]:
    """Simulate the points on the cluster whose scheduler is at `address`; each as it is finished.

    When the caller stops early, what has not begun is taken back.

    Raises:
        SimulationError: Dask is not installed, the cluster does not answer or has no workers.
    """
    try:
        dask: Any = import_module("distributed")
    except ModuleNotFoundError as error:
        raise SimulationError(
            f"{error.name} is not installed; pip install 'labkit[dask]' has it"
        ) from None
    try:
        client = dask.Client(address, timeout=ANSWER_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise SimulationError(f"no Dask scheduler answers at {address}: {error}") from None
    with client:
        if not client.scheduler_info()["workers"]:
            raise SimulationError(f"the Dask cluster at {address} has no workers; start some")
        futures = {
            client.submit(simulate_point, point, watchdog_s, pure=False): point for point in points
        }
        try:
            for future in dask.as_completed(list(futures)):
                yield futures[future], future.result()
        finally:
            client.cancel(list(futures))
