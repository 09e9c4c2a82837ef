# SPDX-License-Identifier: MIT
"""Predict first: results are held, predictions kept and set beside what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from synthetic import record, samples

from labkit import course
from labkit.course import predictions
from labkit.course.predictions import Held, Predictions
from labkit.run import Run

ASKED = {
    "ratio": "A over <B>, as a ratio",
    "order": ("Cheapest first", list),
    "served": ("In which order?", ("first", "last")),
}


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder of its own, and a reader."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predictions, "somebody_answers", lambda: True)
    monkeypatch.setattr(predictions, "_skipped", set())


def said(guess: Predictions) -> str:
    return str(guess._said.value)


def test_results_are_held_until_something_is_entered() -> None:
    lab = course.begin("03-servers-and-workers")
    guess = lab.predict(**ASKED)
    for ask in (
        lambda: lab.run("block"),
        lambda: lab.panel("block"),
        lambda: lab.result_of(lambda: None),
        lambda: guess["ratio"],
        guess.review,
        lab.hold,
    ):
        with pytest.raises(Held, match="press Skip"):
            ask()
    guess.keep_button.click()
    assert "Enter something first" in said(guess)
    guess.fields["ratio"].value = "0,5"
    guess.keep_button.click()
    lab.hold()
    assert guess["ratio"].value == 0.5
    assert guess["served"].value is None, "left empty"


def test_skipping_shows_everything_and_keeps_nothing() -> None:
    guess = Predictions("02-swap", ASKED)
    guess.skip_button.click()
    assert guess["ratio"].value is None
    assert not predictions.KEPT_IN.exists()
    assert "skipped" in guess.review().data
    Predictions("02-swap", ASKED).hold()  # Run All Cells, again


def test_nothing_is_held_where_nobody_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert not predictions.somebody_answers(), "this is no Jupyter kernel"
    assert Predictions("02-swap", ASKED)["ratio"].value is None


@pytest.mark.parametrize("text", ["half", "1e999", "nan", "-inf", "0.5.1"])
def test_what_is_no_number_is_refused_and_nothing_lost(text: str) -> None:
    guess = Predictions("02-swap", ASKED)
    guess.fields["ratio"].value = text
    guess.fields["served"].value = "first"
    guess.keep_button.click()
    assert not guess.decided
    assert "number" in said(guess) and "<B>" not in said(guess)
    assert guess.fields["ratio"].value == text


def test_predictions_stand_when_the_notebook_is_opened_again() -> None:
    first = Predictions("02-swap", ASKED)
    first.fields["ratio"].value = "3"
    first.fields["order"].value = "pipe, futex ,"
    first.fields["served"].value = "last"
    first.keep()
    again = Predictions("02-swap", ASKED)
    assert again.decided and "entered before" in said(again)
    assert [again[name].value for name in ASKED] == [3, ["pipe", "futex"], "last"]
    assert again.fields["order"].value == "pipe, futex"
    assert not Predictions("04-blocking", {"x": "x"}).decided, "each notebook has its own"
    assert not Predictions("02-swap", {"ratio": ("Which?", ("a", "b"))}).decided, "asked otherwise"


@pytest.mark.parametrize("text", ["", "[]", '{"02-swap": {"ratio": {}}}', "\x00", '{"02-swap": 1}'])
def test_a_file_that_is_not_ours_does_no_harm(text: str) -> None:
    predictions.KEPT_IN.write_text(text, encoding="utf-8")
    guess = Predictions("02-swap", ASKED)
    assert not guess.decided
    guess.fields["ratio"].value = "1"
    guess.keep()
    assert json.loads(predictions.KEPT_IN.read_text(encoding="utf-8"))["02-swap"]["ratio"] == 1


def test_a_folder_that_cannot_be_written_keeps_it_for_now() -> None:
    predictions.KEPT_IN.mkdir()
    guess = Predictions("02-swap", ASKED)
    guess.fields["ratio"].value = "1"
    guess.keep()
    assert guess["ratio"].value == 1
    assert "only until this kernel ends" in said(guess)


def test_the_review_has_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    made = Run(**record(samples=samples({"a": 200.0, "b": 100.0}, spread=0.01)).__dict__)
    guess = Predictions("02-swap", ASKED)
    guess.fields["ratio"].value = "2"
    guess.keep()
    assert str(course.say(made, "a", "b", predicted=guess["ratio"])).endswith("the interval.")
    course.answer("Cheapest first", guess["order"], ["futex", "pipe"])
    assert "not written down" in capsys.readouterr().out
    shown = guess.review().data
    for part in ("A over &lt;B&gt;", "95 % interval", "futex, pipe", "not yet", "skipped"):
        assert part in shown
