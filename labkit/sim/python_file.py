# SPDX-License-Identifier: MIT
"""A policy in Python by the name of its file: `./mine.py`, or `./mine.py:CLASS` of several."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import Any

from labkit.sim.errors import ChoiceError
from labkit.sim.policies import Policy
from labkit.sim.python_policy import name_of


def is_python(text: str) -> bool:
    """Does this name a file in Python?"""
    return text.partition(".py:")[0].removesuffix(".py") != text


def load(text: str) -> Any:
    """The class that a text names.

    Raises:
        ChoiceError: there is no such file, it fails, or it has no such policy or several.
    """
    path, _, name = text.partition(".py:")
    path = path.removesuffix(".py") + ".py"
    if not Path(path).is_file():
        raise ChoiceError(f"there is no file {path}")
    try:
        defined = runpy.run_path(path, run_name=Path(path).stem)
    except Exception as error:
        raise ChoiceError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    found = {
        key: value
        for key, value in defined.items()
        if inspect.isclass(value)
        and value.__module__ == Path(path).stem
        and hasattr(value, "ready")
        and hasattr(value, "next")
    }
    if name:
        if name not in found:
            raise ChoiceError(f"{path} has no policy {name!r}; it has {', '.join(found) or 'none'}")
        return found[name]
    if len(found) != 1:
        raise ChoiceError(
            f"{path} has {', '.join(found)}: say which, as in {path}:{next(iter(found))}"
            if found
            else f"{path} has no class with ready(thread, why) and next(server)"
        )
    return next(iter(found.values()))


def describe(text: str) -> Policy:
    """What a policy in Python says of itself: the first line of its documentation.

    Raises:
        ChoiceError: as `load`.
    """
    found = load(text)
    return Policy(
        name=name_of(found),
        summary=(inspect.getdoc(found) or "no documentation").splitlines()[0],
        options=(),
        may_starve=bool(getattr(found, "may_starve", False)),
        may_idle=bool(getattr(found, "may_idle", False)),
        path=Path(text.partition(".py:")[0].removesuffix(".py") + ".py"),
    )
