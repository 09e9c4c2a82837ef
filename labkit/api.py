# SPDX-License-Identifier: MIT
"""The experiments as functions of keyword arguments: `labkit.swap(repetitions=10)`.

There is one for each class of specs, made from it: it takes the spec's fields, `progress` (shown
where there is somebody to see it, unless it is False or what is to be called instead), and `stop`,
an event that ends the run early: it then returns what was measured so far, with
`counters["stopped"]` set. Ctrl-C ends a run and what was
going to be done with it; `kept()` then returns what was measured.
"""

from __future__ import annotations

import inspect
import threading
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any

from labkit import experiments, progress
from labkit.experiments import SPECS, Interrupted, ProgressCallback, Spec, Update
from labkit.run import Run

#: The last run that Ctrl-C ended.
_kept: deque[Run] = deque(maxlen=1)


def kept() -> Run | None:
    """What the last run that Ctrl-C ended had measured; None: there was none."""
    return _kept[-1] if _kept else None


def run(
    spec: Spec,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Run the experiment that `spec` is of; see `labkit.experiments.run` for the errors."""
    try:
        return Run(**vars(experiments.run(spec, progress, stop)))
    except Interrupted as error:
        so_far = Run(**vars(error.run))
        error.run = so_far
        _kept.append(so_far)
        raise


def _seen(spec: Spec, stop: threading.Event | None) -> Run:
    """The run, with its progress shown."""
    with progress.here(spec.experiment, spec.seconds()) as show:

        def told(update: Update) -> None:
            show(update.done, update.total, update.what)

        return run(spec, told, stop)


@cache
def function(name: str) -> Callable[..., Run]:
    """The experiment as a function of its spec's fields."""
    spec = SPECS[name]

    def experiment(
        *,
        progress: ProgressCallback | bool | None = True,
        stop: threading.Event | None = None,
        **fields: Any,
    ) -> Run:
        asked = spec(**fields)
        if progress is True:
            return _seen(asked, stop)
        return run(asked, progress or None, stop)

    own = [
        one
        for one in inspect.signature(experiment).parameters.values()
        if one.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    fields = inspect.signature(spec).parameters.values()
    experiment.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [*fields, *own], return_annotation=Run
    )
    experiment.__name__ = experiment.__qualname__ = name
    said = "\n".join(f"    {what.name}: {what.said()}" for what in spec.params().values())
    experiment.__doc__ = f"""{spec.summary}

Args:
{said}
    progress: True: it is shown in a notebook's cell or on a terminal; False: it is not; or
        what is called with an `Update` about twenty times a second.
    stop: an event that ends the run early; it is then what was measured so far.

Returns:
    The run: it shows its table, and has `ratios()`, `timeline()`, `save()` and more.

Raises:
    SpecError: a field is unknown, or its value not allowed; says what is.
    Busy: another experiment runs on this machine.
    EngineError: a system call failed.
    Interrupted: Ctrl-C; `labkit.kept()` has the run so far.
"""
    return experiment


def __getattr__(name: str) -> Callable[..., Run]:
    if name in SPECS:
        return function(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
