# SPDX-License-Identifier: MIT
"""How far something is, everywhere in the same words: `3 of 40, 12 s, about 2 min left`.

The text comes from here alone. How it is shown (a line of a terminal, a bar of rich, a cell of a
notebook) is the matter of what shows it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

#: Characters of a bar made of letters.
BAR = 24


def duration(seconds: float) -> str:
    """A length of time in words: `12 s`, `4 min`, `1 h 10 min`."""
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def words(done: int, total: int, seconds: float, left: float | None = None) -> str:
    """`3 of 40, 12 s, about 2 min left`.

    Args:
        done: how many are finished.
        total: of so many.
        seconds: time so far.
        left: seconds that the rest may take; None: not known yet.
    """
    text = f"{done} of {total}, {duration(seconds)}"
    return text if left is None else f"{text}, about {duration(max(1.0, left))} left"


def bar(done: int, total: int, full: str = "#", width: int = BAR) -> str:
    """`done` of `total` as a row of letters, always `width` wide."""
    return f"{full * (width * done // total if total else 0):{width}}"


class Clock:
    """Says how far something is that began when this was made.

    The estimate takes what is left to go on as what is finished did; before the first is finished
    it is what was `expected` of the whole, in seconds, if anything was.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, expected: float | None = None
    ) -> None:
        self._now, self._expected = now, expected
        self._begun = self._then = now()
        self._done = 0

    @property
    def seconds(self) -> float:
        """Time so far."""
        return self._now() - self._begun

    def left(self, done: int, total: int) -> float | None:
        """Seconds that the rest may take; None: not known, or there is no rest."""
        now = self._now()
        if done != self._done:
            self._done, self._then = done, now
        if not done and total and self._expected is not None:
            return self._expected - self.seconds
        if not 0 < done < total:
            return None
        return (self._then - self._begun) * (total - done) / done - (now - self._then)

    def __call__(self, done: int, total: int) -> str:
        """The words, at this moment."""
        return words(done, total, self.seconds, self.left(done, total))


class Line:
    """A line of a terminal that is drawn again and again; nothing where there is no terminal.

    Args:
        title: what the line begins with.
        file: where to; stderr when not given.
        expected: seconds that all of it may take, where that is known before.
    """

    def __init__(
        self, title: str, file: TextIO | None = None, expected: float | None = None
    ) -> None:
        self._title = title
        self._file = file or sys.stderr
        self._clock = Clock(expected=expected)
        self.terminal = self._file.isatty()

    @property
    def seconds(self) -> float:
        """Time since it was made."""
        return self._clock.seconds

    def show(self, done: int, total: int, what: str = "", left: float | None = None) -> None:
        """Draw how far it is, and what is being done.

        Args:
            done: how many are finished.
            total: of so many.
            what: what is being done.
            left: seconds that the rest may take, where that is known better than by `done`.
        """
        if self.terminal:
            far = self._clock(done, total)
            if left is not None:
                far = words(done, total, self.seconds, left)
            text = f"{self._title} [{bar(done, total)}] {far}  {what}".lstrip()
            print(f"\r\033[K{text[:100]}", end="", file=self._file, flush=True)

    def clear(self) -> None:
        """Take it away, so that something else can be printed."""
        if self.terminal:
            print("\r\033[K", end="", file=self._file, flush=True)

    def end(self, said: str = "") -> None:
        """Replace it by `said`, or leave it as it is; without a terminal print `said`."""
        if said:
            start = "\r\033[K" if self.terminal else ""
            print(f"{start}{self._title} {said}", file=self._file, flush=True)
        elif self.terminal:
            print(file=self._file)


class Cell:
    """A line of a notebook's cell that is drawn again and again.

    Args:
        title: what the line begins with.
        expected: seconds that all of it may take, where that is known before.
    """

    def __init__(self, title: str = "", expected: float | None = None) -> None:
        import IPython.display

        self._display: Any = IPython.display
        self._title = f"{title} " if title else ""
        self._clock = Clock(expected=expected)
        self._text = ""
        self._handle: Any = None

    def show(self, done: int, total: int, what: str = "") -> None:
        """Draw how far it is, and what is being done."""
        self._say(f"{self._title}▕{bar(done, total, '█')}▏ {self._clock(done, total)}: {what}")

    def end(self, said: str = "") -> None:
        """Replace it by `said`."""
        self._say(f"{self._title}{said}")

    def _say(self, text: str) -> None:
        if self._handle is None:
            self._handle = self._display.display(self._display.Pretty(text), display_id=True)
        elif text != self._text:
            self._handle.update(self._display.Pretty(text))
        self._text = text


def in_notebook() -> bool:
    """Is this the Python of a notebook, which draws in cells?"""
    # Where IPython was not imported there is no notebook, and importing it takes long.
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


@contextmanager
def here(title: str, expected: float | None = None) -> Iterator[Callable[[int, int, str], None]]:
    """Shows progress where there is somebody to see it: in the cell, or on the terminal.

    What it gives is called with how many are done, of how many, and what is being done. `expected`
    are the seconds that all of it may take, where that is known before.
    """
    place = Cell(title, expected) if in_notebook() else Line(title, expected=expected)
    try:
        yield place.show
    except BaseException:
        place.end("stopped")
        raise
    if isinstance(place, Cell):
        place.end("done")
    else:
        place.clear()
