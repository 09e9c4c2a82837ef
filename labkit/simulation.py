# SPDX-License-Identifier: MIT
"""`labkit.simulate`: the simulator's record as a `Run`, with tables, timeline and `save()`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec

from labkit.records import Record
from labkit.run import Run
from labkit.sim import simulate as _simulate

_Asked = ParamSpec("_Asked")


def _as_run(make: Callable[_Asked, Record]) -> Callable[_Asked, Run]:
    """The same function, whose record is a `Run`; it has the same arguments and words."""

    @functools.wraps(make)
    def made(*args: _Asked.args, **wishes: _Asked.kwargs) -> Run:
        return Run(**vars(make(*args, **wishes)))

    made.__module__ = __name__
    made.__annotations__ = made.__annotations__ | {"return": Run}
    made.__signature__ = inspect.signature(make).replace(  # type: ignore[attr-defined]
        return_annotation=Run
    )
    return made


simulate = _as_run(_simulate)
