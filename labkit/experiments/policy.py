# SPDX-License-Identifier: MIT
"""The policy of an experiment: the same names as in the simulator and on the command line."""

from __future__ import annotations

from pathlib import Path

from labkit.experiments.errors import SpecError
from labkit.sim import building, policies
from labkit.sim.core import check_options
from labkit.sim.errors import ChoiceError


def names() -> tuple[str, ...]:
    """Policies to choose from: those that come with labkit, and those built here."""
    return (*policies.shipped(), *policies.built())


def check(name: str, text: object, **otherwise: str) -> str:
    """A policy as it is asked for, as the engine knows it: with the path of one's own.

    Args:
        name: the field's name, for what is said.
        text: NAME, or the path of a shared object, then :OPTIONS or nothing.
        otherwise: values of options that the policy has and `text` does not give.

    Raises:
        SpecError: there is no such policy, it has no such option, or its file cannot be used.
    """
    if not isinstance(text, str) or not text or "\0" in text:
        raise SpecError(f"{name} is {text!r}; give one of {', '.join(names())}, or ./FILE.so")
    try:
        resolved = policies.resolve(text)
        which, options = policies.split(resolved)
        own = policies.is_file(which)
        found = building.look(Path(which)) if own else policies.of_labkit(which)
        known = {option.name for option in found.options}
        given = {part.partition("=")[0] for part in options.split(",") if part}
        more = [f"{key}={value}" for key, value in otherwise.items() if key in known - given]
        whole = ",".join([options, *more] if options else more)
        if not own:
            check_options(which, whole)
    except ChoiceError as error:
        raise SpecError(f"{name}: {error}") from None
    return f"{which}:{whole}" if whole else which
