# SPDX-License-Identifier: MIT
"""A thread is there until it has ended, whatever happens to who waits for it."""

import signal
import threading
from collections.abc import Iterator

import pytest

from labkit.joinable import Joinable


class Interrupted(Exception):
    """As KeyboardInterrupt, but no end of the tests."""


@pytest.fixture
def interrupted() -> Iterator[None]:
    """A signal comes soon, whose handler raises."""

    def handler(number: int, frame: object) -> None:
        raise Interrupted

    old = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, old)


def test_an_interrupted_join_ends_nothing(interrupted: None) -> None:
    end, did = threading.Event(), []

    def body() -> None:
        end.wait()
        did.append("all")

    thread = Joinable(body, "waits")
    thread.start()
    with pytest.raises(Interrupted):
        thread.join()
    assert thread.is_alive()
    thread.join(0.01)
    assert thread.is_alive() and not did
    end.set()
    thread.join()
    assert not thread.is_alive() and did == ["all"]


def test_one_that_has_not_been_started_cannot_be_joined() -> None:
    thread = Joinable(lambda: None, "never")
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="not been started"):
        thread.join()
