# SPDX-License-Identifier: MIT
"""From an experiment's spec to sliders and boxes, and back: limits, units, words come from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from labkit.experiments import Spec, SpecError, policy
from labkit.experiments.spec import Param
from labkit.native import engine

#: Steps of a slider over several powers of ten.
_STEPS = (1, 1.5, 2, 3, 5, 7)

#: A whole number with no more values than this has a slider with every one.
_FEW = 64

#: Offered where a field is a list of numbers.
_NUMBERS = (1, 2, 3, 4, 6, 8)


def values(low: float, high: float, whole: bool, also: Sequence[float] = ()) -> list[float]:
    """What a slider from `low` to `high` offers: even steps in the logarithm, and `also`."""
    if whole and high - low < _FEW:
        return list(range(math.ceil(low), math.floor(high) + 1))
    start = math.floor(math.log10(low)) if low > 0 else 0
    stop = math.ceil(math.log10(high))
    steps = {m * 10.0**e for e in range(start, stop + 1) for m in _STEPS}
    steps |= {low, high, *also} | ({*range(1, 9)} if whole else set())
    kept = sorted(v for v in steps if low <= v <= high and (not whole or v == int(v)))
    return [int(v) for v in kept] if whole else [float(f"{v:.6g}") for v in kept]


class Control:
    """The widget of one field; `value` is the field's, `changed` is called when it changes."""

    def __init__(self, widget: widgets.Widget, inputs: Sequence[widgets.Widget]) -> None:
        self.widget = widget
        self._inputs = inputs

    @property
    def value(self) -> Any:
        """The field's value."""
        return self._inputs[0].value

    @value.setter
    def value(self, value: Any) -> None:
        self._inputs[0].value = value

    def changed(self, then: Callable[[], None]) -> None:
        """Call `then` whenever the value has changed."""
        for one in self._inputs:
            one.observe(lambda _: then(), "value")

    def explain(self, text: str) -> None:
        """What a pointer that rests on it is told."""
        for one in self._inputs:
            one.tooltip = text

    def enable(self, yes: bool) -> None:
        """Let it be changed, or not."""
        for one in self._inputs:
            one.disabled = not yes


class Boxes(Control):
    """A field that is one or more of several: a box each."""

    def __init__(
        self, what: Param, options: Sequence[Any], chosen: Sequence[Any], barred: Sequence[Any]
    ) -> None:
        self._options = list(options)
        self._barred = set(barred)
        boxes = [
            widgets.Checkbox(
                value=option in chosen,
                description=str(option),
                indent=False,
                disabled=option in self._barred,
                layout={"width": "auto", "margin": "0 12px 0 0"},
            )
            for option in self._options
        ]
        for box, option in zip(boxes, self._options, strict=True):
            box.add_class(f"labkit-option-{option}")
        label = widgets.Label(
            what.words,
            layout={
                "width": "9em",
                "margin": "0 8px 0 0",
                "display": "flex",
                "justify_content": "flex-end",
            },
        )
        row = widgets.HBox(boxes, layout={"flex_flow": "row wrap", "flex": "1 1 0%"})
        super().__init__(widgets.HBox([label, row]), boxes)

    @property
    def value(self) -> tuple[Any, ...]:
        """Those whose box is ticked."""
        return tuple(o for o, b in zip(self._options, self._inputs, strict=True) if b.value)

    @value.setter
    def value(self, value: Sequence[Any]) -> None:
        for option, box in zip(self._options, self._inputs, strict=True):
            box.value = option in value

    def enable(self, yes: bool) -> None:
        """Let it be changed, or not; what cannot be chosen here stays as it is."""
        for option, box in zip(self._options, self._inputs, strict=True):
            box.disabled = not yes or option in self._barred


def _text(value: float, unit: str) -> str:
    if unit == "µs" and value >= 1000:
        value, unit = value / 1000, "ms"
    if unit == "ms" and value >= 1000:
        value, unit = value / 1000, "s"
    number = f"{value:,}" if isinstance(value, int) else f"{value:,g}"
    return f"{number} {unit}".strip()


def _accepted(spec: type[Spec], name: str, value: float) -> bool:
    """Would the spec take it, here, with everything else as it is by default?"""
    try:
        spec(**{name: value})
    except SpecError as error:
        return not str(error).startswith(f"{name} ")
    return True


def _slider(spec: type[Spec], what: Param, value: Any) -> Control:
    low, high = what.limits or (value, value)
    also = (what.default, value)
    offered = [v for v in values(low, high, what.whole, also) if _accepted(spec, what.name, v)]
    slider = widgets.SelectionSlider(
        options=[(_text(v, what.unit), v) for v in offered],
        value=value,
        description=what.words,
        continuous_update=False,
        style={"description_width": "9em"},
        layout={"width": "min(420px, 100%)"},
    )
    slider.add_class(f"labkit-slider-{what.name}")
    return Control(slider, [slider])


class Words(Control):
    """A field that is one or more words: a text with spaces between them."""

    @property
    def value(self) -> tuple[str, ...]:
        """The words."""
        return tuple(self._inputs[0].value.split())

    @value.setter
    def value(self, value: Sequence[str]) -> None:
        self._inputs[0].value = " ".join(value)


def _choice(what: Param, value: str) -> Control:
    chosen = widgets.Dropdown(
        options=what.choices,
        value=value,
        description=what.words,
        style={"description_width": "9em"},
        layout={"width": "min(420px, 100%)"},
    )
    return Control(chosen, [chosen])


def _policy(what: Param, value: str | Sequence[str]) -> Control:
    text = widgets.Combobox(
        options=policy.names(),
        value=value if isinstance(value, str) else " ".join(value),
        description=what.words,
        continuous_update=False,
        style={"description_width": "9em"},
        layout={"width": "min(420px, 100%)"},
    )
    return (Words if what.several else Control)(text, [text])


def controls(spec: type[Spec], initial: dict[str, Any]) -> dict[str, Control]:
    """The controls of a spec's fields by name, in the spec's order.

    Args:
        spec: an experiment's spec.
        initial: what to begin with where it is not the field's default.
    """
    made: dict[str, Control] = {}
    for name, what in spec.params().items():
        value = initial.get(name, what.default)
        control: Control
        if what.policy:
            control = _policy(what, value)
        elif what.choices and not what.several:
            control = _choice(what, value)
        elif what.choices:
            umcg = [one for one in what.choices if one.startswith("umcg")]
            control = Boxes(what, what.choices, value, () if engine.enabled() else umcg)
        elif what.several:
            control = Boxes(what, sorted({*_NUMBERS, *value}), value, ())
        else:
            control = _slider(spec, what, value)
        control.widget.add_class(f"labkit-field-{name}")
        control.explain(what.said())
        made[name] = control
    return made
