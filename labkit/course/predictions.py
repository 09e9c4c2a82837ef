# SPDX-License-Identifier: MIT
"""Predict first: what a reader expects is entered before the cells that show the answer.

    guess = lab.predict(ratio="umcg-swap over futex, as a ratio")
    guess                                              # shows the fields
    course.say(run, "umcg-swap", "futex", predicted=guess["ratio"])
    guess.review()                                     # at the end: predicted and measured

Until something is entered or skipped, every result of the notebook's `lab` is held back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import polars as pl
from IPython.core.getipython import get_ipython
from IPython.display import HTML

from labkit.panels.results import table_html, words_html
from labkit.trace.files import write_atomically

#: Where a folder of notebooks keeps what was predicted.
KEPT_IN = Path("predictions.json")

#: Notebooks whose question was skipped since this process began: it is not asked twice.
_skipped: set[str] = set()

_ABOVE = (
    "First your prediction: it is asked for further up. Enter it there or press Skip. Then go on "
    "from this cell: menu Run, Run Selected Cell and All Below."
)

#: What a field takes: a number, words with commas between them, or one of these.
Kind = type[float] | type[list[str]] | tuple[str, ...]


class Held(Exception):
    """A result is not shown yet: the prediction comes first."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


@dataclass
class Prediction:
    """One question with what the reader expected and what came out.

    Attributes:
        question: as it was asked.
        kind: what the answer is; see `Kind`.
        value: what was expected; None: skipped.
        measured: what came out, in words; empty: not known yet.
    """

    question: str
    kind: Kind
    value: Any = None
    measured: str = ""


def settle(predicted: Any, measured: object) -> Any:
    """The value of a prediction, which learns what was measured; anything else as it is."""
    if not isinstance(predicted, Prediction):
        return predicted
    predicted.measured = (
        ", ".join(map(str, measured)) if isinstance(measured, list) else str(measured)
    )
    return predicted.value


def somebody_answers() -> bool:
    """Is there a reader? Not where a notebook is executed by a program, or outside of Jupyter.

    A page allows that a cell asks for input; nbconvert, nbclient and their like do not.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return False
    return bool(kernel.get_parent().get("content", {}).get("allow_stdin"))


class Predictions(widgets.VBox):  # type: ignore[misc]
    """The fields of a notebook's predictions; `self["name"]` is a `Prediction`.

    Attributes:
        decided: something was entered, or skipped.
    """

    def __init__(self, notebook: str, questions: Mapping[str, Any]) -> None:
        """Ask; what was entered for this notebook before stands.

        Args:
            notebook: whose.
            questions: name to question, or to (question, kind): `float` (the default), `list` for
                words with commas between them, or a tuple of the answers to choose from.
        """
        self.notebook = notebook
        self._all = {
            name: Prediction(*((asked, float) if isinstance(asked, str) else asked))
            for name, asked in questions.items()
        }
        self.decided = False
        self.fields = {name: _field(one) for name, one in self._all.items()}
        self.keep_button = _button("Keep my prediction", "primary", self.keep)
        self.skip_button = _button("Skip", "", self.skip)
        self._said = widgets.HTML()
        self._said.add_class("labkit-said")
        rows = [
            widgets.VBox([widgets.HTML(f"<b>{escape(one.question)}</b>"), self.fields[name]])
            for name, one in self._all.items()
        ]
        buttons = widgets.HBox([self.keep_button, self.skip_button])
        super().__init__([*rows, buttons, self._said])
        self.add_class("labkit-predictions")
        self._say("Until you enter something or skip, the results below are held back.")
        self._load()

    def __getitem__(self, name: str) -> Prediction:
        """One of them.

        Raises:
            Held: nothing was entered or skipped yet.
        """
        self.hold()
        return self._all[name]

    def hold(self) -> None:
        """Go on only if something was entered or skipped, or if nobody is there to do it.

        Raises:
            Held: it was not.
        """
        if not self.decided and somebody_answers():
            raise Held(_ABOVE)

    def keep(self) -> None:
        """Take what is in the fields; one at least has to be filled in."""
        try:
            values = {n: _value(one, self.fields[n].value) for n, one in self._all.items()}
        except ValueError as error:
            self._say(str(error), bad=True)
            return
        if all(value is None for value in values.values()):
            self._say("Enter something first, or press Skip.", bad=True)
            return
        for name, value in values.items():
            self._all[name].value = value
        self.decided = True
        self._say(f"Kept{self._save(values)} Now run the cells below.")

    def skip(self) -> None:
        """Show the results without a prediction."""
        self.decided = True
        _skipped.add(self.notebook)
        self._say("Skipped. Now run the cells below.")

    def review(self) -> HTML:
        """Every prediction beside what was measured.

        Raises:
            Held: nothing was entered or skipped yet.
        """
        self.hold()
        rows = [(p.question, _words(p.value), p.measured or "not yet") for p in self._all.values()]
        table = pl.DataFrame(rows, ["question", "you predicted", "measured"], orient="row")
        return HTML(data=table_html(table, "", {}))  # type: ignore[no-untyped-call]

    def _load(self) -> None:
        kept = _read().get(self.notebook)
        for name, one in self._all.items():
            value = kept.get(name) if isinstance(kept, dict) else None
            if value is None:
                continue
            with suppress(ValueError):  # the question is another one today
                one.value = _value(one, _words(value))
                self.fields[name].value = _words(value)
        if self.notebook in _skipped:
            self.decided = True
            self._say("You have skipped this. Enter something whenever you like.")
        if any(one.value is not None for one in self._all.values()):
            self.decided = True
            self._say("This is what you entered before. Change it as you like, and keep it again.")

    def _save(self, values: dict[str, Any]) -> str:
        """Write the values beside the notebook; what to say of it."""
        try:
            everything = _read() | {self.notebook: values}
            text = json.dumps(everything, indent=1, ensure_ascii=False, sort_keys=True)
            write_atomically(KEPT_IN, f"{text}\n".encode())
        except OSError as error:
            return f", but only until this kernel ends ({error})."
        return f" in {KEPT_IN}."

    def _say(self, text: str, *, bad: bool = False) -> None:
        self._said.value = words_html(text, bad=bad)


def _read() -> dict[str, Any]:
    """All that is kept; nothing of a file that is not ours."""
    try:
        found = json.loads(KEPT_IN.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _field(one: Prediction) -> Any:
    wide = {"width": "min(520px, 100%)"}
    if isinstance(one.kind, tuple):
        return widgets.Dropdown(options=[("choose", ""), *((k, k) for k in one.kind)], layout=wide)
    hint = "a number" if one.kind is float else "words, with commas between them"
    return widgets.Text(placeholder=hint, layout=wide, continuous_update=True)


def _button(text: str, style: str, do: Any) -> Any:
    button = widgets.Button(description=text, button_style=style, layout={"width": "auto"})
    button.on_click(lambda _: do())
    return button


def _value(one: Prediction, text: str) -> Any:
    """What a field's text means; None: it is empty.

    Raises:
        ValueError: it cannot be meant.
    """
    text = text.strip()
    if not text:
        return None
    if isinstance(one.kind, tuple):
        if text not in one.kind:
            raise ValueError(f"“{one.question}”: choose one of {', '.join(one.kind)}.")
        return text
    if one.kind is not float:
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        number = float(text if "." in text else text.replace(",", "."))
    except ValueError:
        raise ValueError(f"“{one.question}”: {text!r} is no number; write 0.5 or 3.") from None
    if not abs(number) < float("inf"):
        raise ValueError(f"“{one.question}”: give a number that can be measured.")
    return int(number) if number.is_integer() else number


def _words(value: Any) -> str:
    if value is None:
        return "skipped"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
