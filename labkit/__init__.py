# SPDX-License-Identifier: MIT
"""UMCG Lab's toolkit: scheduling experiments on User-Managed Concurrency Groups.

    run = labkit.swap(repetitions=10)     # also: wake, block, preempt
    run.table(); run.timeline(); run.save("swap.parquet")
    labkit.kept()                         # what was measured before Ctrl-C
    labkit.load("swap.parquet"); labkit.compare(a, b); labkit.doctor()
    labkit.simulate("las", workload)      # a policy in virtual time, on any machine
    labkit.perform("las", workload)       # the same jobs on this kernel's threads
    labkit.prediction()                   # what it predicts beside what this kernel measures
    labkit.import_trace("trace.txt")      # trace-cmd, perf, ftrace, systrace
    labkit.record("memcached")            # a real program over a scheduler of yours
    labkit.panel("block"); labkit.timeline(run)         # in a notebook
    %load_ext labkit                                    # %%policy NAME: a policy in C in a cell

Names are imported when first used: `labkit vm` must not pay for tables and figures.
"""

from __future__ import annotations

from importlib import import_module as _import_module
from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

if _TYPE_CHECKING:
    from labkit.api import kept
    from labkit.diagnosis import doctor
    from labkit.panels import panel, timeline
    from labkit.performed import perform
    from labkit.predicted import prediction
    from labkit.programs import record
    from labkit.run import Run, compare, import_trace, load
    from labkit.simulation import simulate

__version__ = "0.1.0"
__all__ = [
    "Run",
    "compare",
    "doctor",
    "import_trace",
    "kept",
    "load",
    "panel",
    "perform",
    "prediction",
    "record",
    "simulate",
    "timeline",
]

_NOT_OFFERED = {"annotations", "load_ipython_extension"}

_WHERE = {
    "Run": "labkit.run",
    "compare": "labkit.run",
    "import_trace": "labkit.run",
    "load": "labkit.run",
    "doctor": "labkit.diagnosis",
    "perform": "labkit.performed",
    "prediction": "labkit.predicted",
    "simulate": "labkit.simulation",
    **dict.fromkeys(("panel", "timeline"), "labkit.panels"),
    "kept": "labkit.api",
    "record": "labkit.programs",
}


def __getattr__(name: str) -> _Any:
    unknown = f"module 'labkit' has no attribute {name!r}"
    # `from labkit import vm` asks for a name first: it must not pay for the experiments.
    if name.startswith("_") or (name not in _WHERE and _find_spec(f"labkit.{name}")):
        raise AttributeError(unknown)
    if name not in _WHERE and name not in _experiments():
        raise AttributeError(unknown + _import_module("labkit.names").meant(name, __dir__()))
    value = getattr(_import_module(_WHERE.get(name, "labkit.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What completion offers: the names of `__all__`, and the experiments."""
    return sorted({*__all__, *_experiments(), *globals()} - _NOT_OFFERED)


def _experiments() -> list[str]:
    """The experiments' names, each a function here."""
    specs: dict[str, object] = _import_module("labkit.experiments").SPECS
    return list(specs)


def load_ipython_extension(ipython: _Any) -> None:
    """`%load_ext labkit`: the cell magic `%%policy NAME`."""
    from labkit.jupyter import magic

    magic.load(ipython)
