# SPDX-License-Identifier: MIT
"""How far something is, in words."""

import io
import re

import IPython
import IPython.display
import pytest

import labkit
from labkit import progress
from labkit.experiments import SPECS


class Times:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (99.4, "99 s"), (100, "2 min"), (3540, "59 min"), (4230, "1 h 10 min")],
)
def test_durations(seconds, said):
    assert progress.duration(seconds) == said


def test_nothing_is_promised_before_the_first_is_finished():
    times = Times()
    clock = progress.Clock(times)
    times.now += 30
    assert clock(0, 40) == "0 of 40, 30 s"


def test_what_is_expected_is_said_until_the_first_is_finished():
    times = Times()
    clock = progress.Clock(times, expected=50)
    assert clock(0, 40) == "0 of 40, 0 s, about 50 s left"
    times.now += 12
    assert clock(0, 40) == "0 of 40, 12 s, about 38 s left"
    assert clock(3, 40) == "3 of 40, 12 s, about 2 min left"


@pytest.mark.parametrize("name", SPECS)
def test_an_experiment_says_how_long_it_takes(name):
    spec = SPECS[name]
    short, long = (spec(repetitions=n).seconds() for n in (7, 70))
    assert 0.1 < short < 100 and 5 * short < long <= 10 * short


def test_what_is_left_goes_on_as_what_is_finished_did():
    times = Times()
    clock = progress.Clock(times)
    times.now += 12
    assert clock(3, 40) == "3 of 40, 12 s, about 2 min left"
    assert clock.left(3, 40) == 12 / 3 * 37
    times.now += 8  # the fourth is on its way: what it has taken is no longer ahead
    assert clock.left(3, 40) == 12 / 3 * 37 - 8
    times.now += 1000
    assert clock(3, 40) == "3 of 40, 17 min, about 1 s left"
    assert clock(40, 40) == "40 of 40, 17 min"


def test_a_bar_is_always_as_wide():
    assert [progress.bar(done, 3, "#", 6) for done in range(4)] == [
        "      ",
        "##    ",
        "####  ",
        "######",
    ]
    assert progress.bar(0, 0, "#", 3) == "   "


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self):
        return True


def test_a_line_of_a_terminal_is_drawn_again():
    file = Terminal()
    line = progress.Line("swap", file)
    line.show(1, 2, "futex/pinned")
    line.show(2, 2, "futex/pinned")
    line.end("done")
    first, second, last = file.getvalue().split("\r\033[K")[1:]
    assert first.startswith("swap [############            ] 1 of 2, 0 s, about 1 s left  futex/p")
    assert second == "swap [########################] 2 of 2, 0 s  futex/pinned"
    assert last == "swap done\n"


def test_without_a_terminal_only_the_end_is_said():
    file = io.StringIO()
    line = progress.Line("swap", file)
    line.show(1, 2)
    line.end()
    line.end("done")
    assert file.getvalue() == "swap done\n"


class _Shell:
    """As in a notebook: IPython's shell there has a kernel."""

    kernel = object()


def test_a_notebook_sees_progress_without_being_asked_for_it(monkeypatch):
    shown = []

    class Handle:
        def update(self, what):
            shown.append(what.data if hasattr(what, "data") else str(what))

    def display(what, display_id):
        shown.append(what.data)
        return Handle()

    monkeypatch.setattr(IPython, "get_ipython", _Shell)
    monkeypatch.setattr(IPython.display, "display", display)
    run = labkit.swap(methods=("pipe",), value_ms=1, repetitions=2, traced_rounds=0)
    assert run.samples.height == 4
    assert re.match(r"swap ▕ +▏ 0 of 6, 0 s, about 1 s left: pipe/pinned", shown[0])
    assert shown[-1] == "swap done"
    shown.clear()
    labkit.swap(methods=("pipe",), value_ms=1, repetitions=1, traced_rounds=0, progress=False)
    assert not shown

    def stop(update):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        labkit.swap(methods=("pipe",), value_ms=1, repetitions=1, traced_rounds=0, progress=stop)
    assert not shown
    with pytest.raises(RuntimeError), progress.here("swap") as show:
        show(1, 2, "x")
        raise RuntimeError
    assert shown[-1] == "swap stopped"


def test_a_script_without_a_terminal_sees_none(capfd):
    labkit.swap(methods=("pipe",), value_ms=1, repetitions=1, traced_rounds=0)
    assert capfd.readouterr() == ("", "")
