# SPDX-License-Identifier: MIT
"""Instructions of Python are counted: always the same number, and more for more work."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

from labkit.course import instructions


def look(among: list[int]) -> int:
    return max(among, key=lambda one: -one)


def test_the_same_work_is_the_same_number() -> None:
    among = list(range(50))
    assert len({instructions(lambda: look(among)) for _ in range(5)}) == 1


def test_beside_others_too() -> None:
    """The same on a busy machine: other threads of this process are not counted."""
    among, stop = list(range(50)), threading.Event()
    alone = instructions(lambda: look(among))

    def spin() -> None:
        while not stop.is_set():
            pass

    other = threading.Thread(target=spin)
    other.start()
    try:
        assert instructions(lambda: look(among)) == alone
    finally:
        stop.set()
        other.join()


def test_twice_the_work_is_twice_the_number() -> None:
    one, two, four = (instructions(lambda n=n: look(list(range(n)))) for n in (100, 200, 400))
    assert four - two == 2 * (two - one) > 200


def test_garbage_of_others_is_not_counted() -> None:
    class Ends:
        def __init__(self) -> None:
            self.myself = self

        def __del__(self) -> None:
            self.myself = None

    def work() -> list[list[int]]:
        return [[] for _ in range(5000)]  # so many that the collector looks for garbage

    alone = instructions(work)
    for _ in range(50):
        Ends()
    assert instructions(work) == alone


def test_what_fails_is_still_the_callers() -> None:
    before = sys.gettrace()
    with pytest.raises(ValueError, match="empty"):
        instructions(lambda: look([]))
    assert sys.gettrace() is before and gc.isenabled()
