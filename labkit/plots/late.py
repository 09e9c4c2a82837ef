# SPDX-License-Identifier: MIT
"""Plotly without loading at once what none of its figures needs.

Plotly imports nbformat, to look at its version in `show()`. That brings jsonschema and 250 modules
more: as long as all of labkit takes, and a quarter of a minute in a guest whose instructions are
interpreted. Plotly gets something that imports nbformat when it is looked at.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

_ASKS, _LATE = "plotly.io._renderers", "nbformat"


class _Late(ModuleType):
    """Stands for the module until somebody wants to know something of it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


class _WithLate(SourceFileLoader):
    """Loads a module that finds the one that stands for nbformat, unless that is loaded."""

    def exec_module(self, module: ModuleType) -> None:
        late = _Late(_LATE)
        found = sys.modules.setdefault(_LATE, late)
        try:
            super().exec_module(module)
        finally:
            if found is late:
                del sys.modules[_LATE]


class _Finder:
    """Finds the part of Plotly that asks."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name == _ASKS else None
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _WithLate(spec.loader.name, spec.loader.path)
        return spec


def load_when_used() -> None:
    """From now on, in this process; may be called again."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
