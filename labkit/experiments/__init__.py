# SPDX-License-Identifier: MIT
"""The experiments: each a spec dataclass and what runs it; functions are in `.api`."""

from __future__ import annotations

import threading

from labkit.experiments import block as _block
from labkit.experiments import preempt as _preempt
from labkit.experiments import swap as _swap
from labkit.experiments import wake as _wake
from labkit.experiments.block import BlockSpec
from labkit.experiments.common import NoUmcgError, ProgressCallback, Spec, SpecError, Update
from labkit.experiments.preempt import PreemptSpec
from labkit.experiments.swap import SwapSpec
from labkit.experiments.wake import WakeSpec
from labkit.run import Run

__all__ = [
    "SPECS",
    "BlockSpec",
    "NoUmcgError",
    "PreemptSpec",
    "ProgressCallback",
    "Spec",
    "SpecError",
    "SwapSpec",
    "Update",
    "WakeSpec",
    "run",
]

#: Spec class of each experiment by name.
SPECS: dict[str, type[Spec]] = {
    "swap": SwapSpec,
    "wake": WakeSpec,
    "block": BlockSpec,
    "preempt": PreemptSpec,
}


def run(
    spec: Spec,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Run the experiment `spec` is for.

    Raises:
        SpecError: no experiment has such a spec.
        EngineError: a system call failed.
    """
    if isinstance(spec, SwapSpec):
        return _swap.run(spec, progress, stop)
    if isinstance(spec, WakeSpec):
        return _wake.run(spec, progress, stop)
    if isinstance(spec, BlockSpec):
        return _block.run(spec, progress, stop)
    if isinstance(spec, PreemptSpec):
        return _preempt.run(spec, progress, stop)
    raise SpecError(f"{type(spec).__name__} is no experiment's spec")
