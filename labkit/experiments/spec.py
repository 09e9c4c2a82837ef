# SPDX-License-Identifier: MIT
"""What is asked of an experiment: its fields, and everything that is known of each, said once.

A field is a `param(...)`; options, sliders, documentation, signatures and checks come from it. A
class of specs puts itself on the list of experiments (`SPECS`) by being defined.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from labkit import environment
from labkit.experiments import policy as policies
from labkit.experiments.errors import SpecError
from labkit.names import meant

if TYPE_CHECKING:
    from labkit.experiments.common import Collector
    from labkit.native import engine

#: The class of specs of each experiment, by the experiment's name.
SPECS: dict[str, type[Spec]] = {}

_UNITS = {"s": ("s", "seconds"), "ms": ("ms", "milliseconds"), "us": ("µs", "microseconds")}

#: Making and ending the threads of a measurement, and taking in its events.
_AROUND_S = 0.02

#: Of fields that most experiments have.
POLICY = "over servers: which worker runs next (`labkit policy list`)"
SLICE = (
    "who runs longer is preempted if others wait: a policy's option of that name, if it has one "
    "and it is not set there"
)
REPETITIONS = "values for each series; the series alternate"
EVENTS = (
    "room for events of each thread in traced measurements; servers, whose ring has the states of "
    "all, have as much as these can need"
)


@dataclass(frozen=True)
class Param:
    """What is known of a field.

    Attributes:
        name: the field's.
        default: its value when nothing is given.
        help: what it is, in words.
        limits: lowest and highest value of a number, or of each number where it holds several.
        choices: what it may hold one or more of.
        measuring: it is about how well it is measured, not about what happens.
        free: two runs that differ in it measure the same and may be compared.
        cpus: it is a number of CPUs, so that no more than the machine's are allowed.
        policy: it is a policy over servers.
    """

    name: str
    default: Any
    help: str
    limits: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    measuring: bool = False
    free: bool = False
    cpus: bool = False
    policy: bool = False

    @property
    def several(self) -> bool:
        """Does it hold more than one value?"""
        return isinstance(self.default, tuple)

    @property
    def whole(self) -> bool:
        """Is it a whole number, or are they?"""
        return isinstance(self.default[0] if self.several else self.default, int)

    @property
    def words(self) -> str:
        """Its name for people, without the unit: of `idle_us` it is "idle"."""
        words, _, last = self.name.rpartition("_")
        return (words if words and last in _UNITS else self.name).replace("_", " ")

    @property
    def unit(self) -> str:
        """Its unit as a sign: of `idle_us` it is "µs"; "" if it has none."""
        words, _, last = self.name.rpartition("_")
        return _UNITS[last][0] if words and last in _UNITS else ""

    @property
    def allowed(self) -> str:
        """What it may be, in words: `10 to 1000000 microseconds`."""
        if self.policy:
            more = "; several with spaces between" if self.several else ""
            return f"a name, such as las or las:quantum_us=500, ./FILE.so or ./FILE.py{more}"
        if self.choices:
            return f"one{' or more' if self.several else ''} of {', '.join(self.choices)}"
        if self.limits is None:
            return ""
        low, high = (f"{end:.15g}" for end in self.limits)
        _, _, last = self.name.rpartition("_")
        unit = f" {_UNITS[last][1]}" if self.unit else ""
        return f"{'each ' if self.several else ''}{low} to {high}{unit}"

    def said(self) -> str:
        """What it is and what it may be, for help and documentation."""
        return f"{self.help} [{self.allowed}]" if self.allowed else self.help

    def parse(self, text: str) -> Any:
        """The value that a text gives: `a,b,c` where it holds several.

        Raises:
            SpecError: it is none.
        """
        if not self.several:
            return text
        if self.policy:  # whose options have commas between
            return tuple(text.split())
        words = [word.strip() for word in text.split(",") if word.strip()]
        if not self.whole:
            return tuple(words)
        try:
            return tuple(int(word) for word in words)
        except ValueError:
            raise SpecError(
                f"{self.name} is {text!r}; give whole numbers separated by commas"
            ) from None

    # Checks.

    def check(self, value: Any) -> Any:
        """The value in plain Python, checked.

        Raises:
            SpecError: it is not allowed.
        """
        if not self.several:
            return self._one(value, self.name)
        # One policy is what most ask for.
        alone = self.policy and (isinstance(value, str) or policies.is_own(value))
        values = [
            self._one(one, f"one of {self.name}")
            for one in self._values((value,) if alone else value)
        ]
        said = [policies.said(one) for one in values] if self.policy else values
        if len(set(said)) != len(said):
            raise SpecError(f"{self.name}: {', '.join(map(str, said))} names something twice")
        return tuple(values)

    def _one(self, value: Any, name: str) -> Any:
        """One value, checked; `name` is what it is called when it is wrong."""
        if self.policy:
            policies.check(self.name, value)
            return value
        if not self.choices:
            return self._number(value, name)
        if value not in self.choices:
            raise SpecError(
                f"{self.name}: unknown {value!r}{meant(value, self.choices)}; choose from "
                f"{', '.join(self.choices)}"
            )
        return value

    def _values(self, value: Any) -> list[Any]:
        """A sequence of values as a list."""
        if self.choices:
            give = f"give one or more of {', '.join(self.choices)}"
        elif self.policy:
            give = 'give one or more policies, as in ("las", "rr:slice_us=2000")'
        else:
            give = "give one or more numbers, as in (1, 2, 4)"
        if isinstance(value, set | frozenset):
            raise SpecError(f"{self.name} is a set, which has no order; {give}, as a list")
        if isinstance(value, np.ndarray) and value.ndim == 1:
            value = value.tolist()
        if isinstance(value, str | bytes) or not isinstance(value, Sequence) or not value:
            raise SpecError(f"{self.name} is {value!r}; {give}, as a list")
        return list(value)

    def _number(self, value: Any, name: str) -> int | float:
        """A number within the limits."""
        low, high = self.limits or (-math.inf, math.inf)
        kind = numbers.Integral if self.whole else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind):
            whole = "a whole number" if self.whole else "a number"
            raise SpecError(f"{name} is {value!r}, not {whole}; allowed is {low:g} to {high:g}")
        plain = int(value) if isinstance(value, numbers.Integral) else float(value)
        if math.isnan(plain) or not low <= plain <= high:
            raise SpecError(f"{name} is {plain}; allowed is {low:g} to {high:g}")
        if self.cpus:
            check_cpus(name, int(plain))
        return plain


def param(default: Any, help: str, **known: Any) -> Any:
    """A field of a spec; see `Param` for what can be known of it."""
    return dataclasses.field(default=default, metadata={"help": help, **known})


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What is asked of an experiment; one subclass an experiment. See CONTRIBUTING.

    Attributes:
        experiment: its name, under which it is `labkit.NAME` and `labkit run NAME`.
        question: what it asks, for somebody who knows nothing of it.
        place: where it stands among the others; with the same, the alphabet decides.
        baselines: heads of the series that others are set against, in order of preference.
        more_is_better: those of its units in which it is so; of all others less is.
        neither_is_better: those of its units in which a difference is only one.
        grows_with: the fields that the room for its events depends on, in words; "": it has none.
        operations: what its threads do again and again, in the plural.
        demo: fields other than the defaults in `labkit demo`; None: the demo does without it.
    """

    experiment: ClassVar[str]
    question: ClassVar[str]
    place: ClassVar[int] = 100
    baselines: ClassVar[tuple[str, ...]] = ()
    more_is_better: ClassVar[tuple[str, ...]] = ()
    neither_is_better: ClassVar[tuple[str, ...]] = ()
    demo: ClassVar[Mapping[str, Any] | None] = None
    grows_with: ClassVar[str] = ""
    operations: ClassVar[str] = "operations"

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        known = cls._params = _params(cls)
        fields = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=param.default,
                annotation=cls.__annotations__[name],
            )
            for name, param in known.items()
        ]
        cls.__signature__ = inspect.Signature(fields)  # type: ignore[attr-defined]
        said = "\n".join(f"    {name}: {param.said()}" for name, param in known.items())
        cls.summary = inspect.cleandoc(cls.__doc__ or "")
        cls.__doc__ = f"{cls.summary}\n\nAttributes:\n{said}\n"
        SPECS[cls.experiment] = cls
        order = sorted(SPECS.values(), key=lambda spec: (spec.place, spec.experiment))
        SPECS.update({spec.experiment: SPECS.pop(spec.experiment) for spec in order})

    #: What it does, in a sentence or two: the docstring without the fields.
    summary: ClassVar[str]
    _params: ClassVar[dict[str, Param]]

    def __new__(cls, *given: Any, **fields: Any) -> Spec:
        """Refuse fields that it does not have, before Python does with less to say."""
        if given:
            raise SpecError(f"{cls.experiment} takes its fields by name: {', '.join(cls.params())}")
        cls.known(fields)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name, what in self.params().items():
            object.__setattr__(self, name, what.check(getattr(self, name)))
        if self.grows_with and (problem := self.room().why_too_large()):
            raise SpecError(f"{problem}: give less {self.grows_with}")

    @classmethod
    def params(cls) -> dict[str, Param]:
        """Its fields by name, in order, with what is known of each."""
        return cls._params

    @classmethod
    def known(cls, fields: Iterable[str]) -> None:
        """Check that it has these fields.

        Raises:
            SpecError: it has not; says what was meant, perhaps, and what it has.
        """
        names = list(cls.params())
        for given in fields:
            if given not in names:
                raise SpecError(
                    f"{cls.experiment} has no {given!r}{meant(given, names)}; it has "
                    f"{', '.join(names)}"
                )

    def measurements(self) -> int:
        """How many measurements `measure` makes."""
        raise NotImplementedError

    def measure(self, collect: Collector) -> None:
        """Make them, and give `collect` what they give."""
        raise NotImplementedError

    def seconds(self) -> float:
        """How long `measure` takes, about: its measurements with what is around each of them."""
        return self.measurements() * (self.measurement_s() + _AROUND_S)

    def measurement_s(self) -> float:
        """How long one of them takes, in seconds, on a machine that is not busy."""
        fields = vars(self)
        return float(fields.get("duration_s", fields.get("value_ms", 0.0) / 1e3))

    def room(self) -> engine.Room:
        """The largest room that one measurement of it needs, where it has events (`grows_with`)."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The spec as JSON types, with `experiment`."""
        fields: dict[str, Any] = {}
        for name, what in self.params().items():
            value = getattr(self, name)
            values = list(value) if what.several else [value]
            if what.policy:
                values = [policies.said(one) for one in values]
            fields[name] = values if what.several else values[0]
        return {"experiment": self.experiment, **fields}


def _params(cls: type[Spec]) -> dict[str, Param]:
    """Of a class that is not yet a dataclass."""
    fields = {name: vars(cls).get(name) for name in cls.__annotations__}
    return {
        name: Param(name, field.default, **field.metadata)
        for name, field in fields.items()
        if isinstance(field, dataclasses.Field)
    }


def check_cpus(name: str, count: int) -> None:
    """Raise `SpecError` when `count` CPUs are more than this process may use."""
    have = len(environment.cpus())
    if count > have:
        raise SpecError(f"{name} is {count}; this machine gives {have} CPUs: give 1 to {have}")
