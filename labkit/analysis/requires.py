# SPDX-License-Identifier: MIT
"""What an analysis needs of a run, said before it starts and not by an empty table after."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

import polars as pl

from labkit.records import Record

P = ParamSpec("P")
T = TypeVar("T")


class MissingEvents(ValueError):
    """The run has none of the events that an analysis is made of."""


class MissingSamples(ValueError):
    """The run has no measured values that an analysis could use."""


def requires(
    *kinds: str, any_of: tuple[str, ...] = (), roles: tuple[str, ...] = ()
) -> Callable[[Callable[Concatenate[Record, P], T]], Callable[Concatenate[Record, P], T]]:
    """Declare the events an analysis is made of; a run without them raises `MissingEvents`.

    Args:
        kinds: each of these must occur.
        any_of: one of these must occur.
        roles: each of these roles must have a task.
    """

    def wrap(analysis: Callable[Concatenate[Record, P], T]) -> Callable[Concatenate[Record, P], T]:
        @functools.wraps(analysis)
        def checked(record: Record, /, *args: P.args, **kwargs: P.kwargs) -> T:
            name: Any = getattr(analysis, "__name__", "this analysis")
            have = set(record.events["kind"].unique().cast(pl.String))
            missing = [k for k in kinds if k not in have]
            if any_of and not have & set(any_of):
                missing.append(" or ".join(any_of))
            if missing:
                raise MissingEvents(
                    f"{name} needs events of kind {', '.join(missing)}; the run "
                    f"{record.experiment!r} has {_listing(have)}{_advice(missing)}"
                )
            absent = [r for r in roles if r not in set(record.tasks["role"].cast(pl.String))]
            if absent:
                raise MissingEvents(
                    f"{name} needs a task that is a {' and a '.join(absent)}; the run "
                    f"{record.experiment!r} has none: run it with UMCG"
                )
            return analysis(record, *args, **kwargs)

        return checked

    return wrap


def _listing(have: set[str]) -> str:
    return ", ".join(sorted(have)) if have else "no events at all"


def _advice(missing: list[str]) -> str:
    if any(kind.startswith(("sched_", "umcg_")) for kind in missing):
        return "; record it with the kernel's tracepoints (labkit.trace.kernel)"
    return "; record it with tracing on, or choose an experiment that has them"
