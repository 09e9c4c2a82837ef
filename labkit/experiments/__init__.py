# SPDX-License-Identifier: MIT
"""The experiments: each a file with a spec that says what is asked, and measures it.

Every module of this folder is imported; those that define a `Spec` are experiments (`SPECS`).
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from labkit.experiments.alone import Busy
from labkit.experiments.common import ProgressCallback, Update
from labkit.experiments.conduct import Interrupted, run
from labkit.experiments.errors import NoUmcgError, SpecError
from labkit.experiments.spec import SPECS, Spec


def discover() -> None:
    """Import every module of this folder, and of others that were appended to `__path__`."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")


discover()

__all__ = [
    "SPECS",
    "Busy",
    "Interrupted",
    "NoUmcgError",
    "ProgressCallback",
    "Spec",
    "SpecError",
    "Update",
    "discover",
    "run",
]


def __getattr__(name: str) -> type[Spec]:
    """The class of an experiment's specs by its own name, as in `experiments.SwapSpec`."""
    for spec in SPECS.values():
        if spec.__name__ == name:
            return spec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
