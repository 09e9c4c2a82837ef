# SPDX-License-Identifier: MIT
"""The simulator: `labkit.simulate` and what belongs to it.

Names are imported when first used, as the simulator's own process needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.sim.costs import TEXTBOOK, Costs
    from labkit.sim.errors import (
        BuildError,
        ChoiceError,
        PolicyError,
        SettingError,
        SimulationError,
        TooManyEvents,
    )
    from labkit.sim.python_policy import PythonPolicy, Scheduler, Thread
    from labkit.sim.simulation import simulate

__all__ = [
    "TEXTBOOK",
    "BuildError",
    "ChoiceError",
    "Costs",
    "PolicyError",
    "PythonPolicy",
    "Scheduler",
    "SettingError",
    "SimulationError",
    "Thread",
    "TooManyEvents",
    "simulate",
]

_WHERE = {
    **dict.fromkeys(("TEXTBOOK", "Costs"), "labkit.sim.costs"),
    **dict.fromkeys(("PythonPolicy", "Scheduler", "Thread"), "labkit.sim.python_policy"),
    "simulate": "labkit.sim.simulation",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'labkit.sim' has no attribute {name!r}")
    value = getattr(import_module(_WHERE.get(name, "labkit.sim.errors")), name)
    globals()[name] = value
    return value
