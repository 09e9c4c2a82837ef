# SPDX-License-Identifier: MIT
"""The policy of an experiment: the same names as in the simulator and on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labkit.experiments.errors import SpecError
from labkit.experiments.own import CLASSES, Own
from labkit.native import engine
from labkit.sim import building, policies, python_file
from labkit.sim.core import check_options
from labkit.sim.errors import ChoiceError
from labkit.sim.python_policy import name_of

#: Of what servers are told, and what stands behind a series' head where it is not of all.
TOLD = {"always": "", "choice": "-pass-on"}

TOLD_HELP = (
    "of which blocks servers are told: always, or only where they have a choice, which is while "
    "another worker is ready; else their place passes on to the next that wakes. Of a series that "
    "passes on, whose name says so, workers' states are not traced; policies that do not permit it "
    "have none"
)


def ways(told: tuple[str, ...], policy: Any) -> dict[str, bool]:
    """What stands behind the heads of UMCG's series, and whether places pass on in them."""
    if not engine.enabled():
        return {}
    permits = "choice" in told and engine.may_pass_on(check("policy", policy))
    return {TOLD[what]: what == "choice" for what in told if what != "choice" or permits}


def names() -> tuple[str, ...]:
    """Policies to choose from: those that come with labkit, and those built here."""
    return (*policies.shipped(), *policies.built())


def is_own(policy: Any) -> bool:
    """Is it a policy in Python, as a class or an object?"""
    return not isinstance(policy, str) and hasattr(policy, "ready") and hasattr(policy, "next")


def said(policy: Any) -> str:
    """A policy as a run's spec has it: the text, or the name of one in Python."""
    return policy if isinstance(policy, str) else name_of(policy)


def check(
    name: str, policy: Any, classes: tuple[str, ...] = CLASSES, **otherwise: str
) -> str | Own:
    """A policy as it is asked for, as the engine knows it: with the path of one's own.

    Args:
        name: the field's name, for what is said.
        policy: NAME, or the path of a shared object, then :OPTIONS or nothing; FILE.py, then :CLASS
            or nothing; or a class or object in Python with `ready` and `next`.
        classes: what the kinds of threads are called, for one in Python.
        otherwise: values of options that the policy has and `policy` does not give.

    Raises:
        SpecError: there is no such policy, it has no such option, or its file cannot be used.
    """
    own = is_own(policy)
    if not own and (not isinstance(policy, str) or not policy or "\0" in policy):
        raise SpecError(
            f"{name} is {policy!r}; give one of {', '.join(names())}, ./FILE.so, ./FILE.py, or a"
            " class with ready(thread, why) and next(server)"
        )
    try:
        if isinstance(policy, str) and python_file.is_python(policy):
            policy, own = python_file.load(policy), True
        if own:
            return Own(policy, classes)
        resolved = policies.resolve(policy)
        which, options = policies.split(resolved)
        file = policies.is_file(which)
        found = building.look(Path(which)) if file else policies.of_labkit(which)
        known = {option.name for option in found.options}
        given = {part.partition("=")[0] for part in options.split(",") if part}
        more = [f"{key}={value}" for key, value in otherwise.items() if key in known - given]
        whole = ",".join([options, *more] if options else more)
        if not file:
            check_options(which, whole)
    except ChoiceError as error:
        raise SpecError(f"{name}: {error}") from None
    return f"{which}:{whole}" if whole else which
