# SPDX-License-Identifier: MIT
"""UMCG Lab's toolkit: scheduling experiments on User-Managed Concurrency Groups.

    run = labkit.swap(repetitions=10)     # also: wake, block, preempt
    run.table(); run.timeline(); run.save("swap.parquet")
    labkit.load("swap.parquet"); labkit.compare(a, b); labkit.doctor()
    labkit.panel("block"); labkit.timeline(run)         # in a notebook

Names are imported when first used: `labkit vm` must not pay for tables and figures.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.doctor import doctor
    from labkit.experiments.api import block, preempt, swap, wake
    from labkit.panels import panel, timeline
    from labkit.run import Run, compare, load

__version__ = "0.1.0"
__all__ = [
    "Run",
    "block",
    "compare",
    "doctor",
    "load",
    "panel",
    "preempt",
    "swap",
    "timeline",
    "wake",
]

_WHERE = {
    "Run": "labkit.run",
    "compare": "labkit.run",
    "load": "labkit.run",
    "doctor": "labkit.doctor",
    **dict.fromkeys(("panel", "timeline"), "labkit.panels"),
    **dict.fromkeys(("swap", "wake", "block", "preempt"), "labkit.experiments.api"),
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'labkit' has no attribute {name!r}")
    value = getattr(import_module(_WHERE[name]), name)
    globals()[name] = value
    return value
