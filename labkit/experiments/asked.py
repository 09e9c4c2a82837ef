# SPDX-License-Identifier: MIT
"""What a saved run's experiment says of it, also where this labkit does not know the experiment.

Such are imported traces, simulations and runs of experiments that are not in this folder: they
have the baselines of all, and a unit means what it means in any of them.
"""

from __future__ import annotations

from itertools import chain

from labkit.experiments.spec import SPECS
from labkit.verdict import LESS, MORE

_IMPORTED = "What did the scheduler do, as another tool recorded it?"


def question(experiment: str) -> str:
    """What the experiment asks; "" where that is not known."""
    if experiment == "import":
        return _IMPORTED
    return SPECS[experiment].question if experiment in SPECS else ""


def baselines(experiment: str) -> tuple[str, ...]:
    """Heads of the series that others are set against, its own first, in order of preference."""
    own = SPECS[experiment].baselines if experiment in SPECS else ()
    others = chain.from_iterable(spec.baselines for spec in SPECS.values())
    return tuple(dict.fromkeys((*own, *others)))


def better(unit: str) -> str:
    """Which is better in a unit, `MORE` or `LESS` of `labkit.verdict`; "" for neither.

    A unit means the same in every experiment: it is enough that one of them says so.
    """
    if any(unit in spec.neither_is_better for spec in SPECS.values()):
        return ""
    return MORE if any(unit in spec.more_is_better for spec in SPECS.values()) else LESS


def free_fields(experiment: str) -> set[str]:
    """Fields that change how often or how much is traced, not what is measured."""
    asked = [SPECS[experiment]] if experiment in SPECS else list(SPECS.values())
    return {name for spec in asked for name, what in spec.params().items() if what.free}
