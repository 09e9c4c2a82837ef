# SPDX-License-Identifier: MIT
"""A thread is there until it has ended, whatever happens to who waits for it."""

import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from labkit.joinable import Joinable


class Interrupted(Exception):
    """As KeyboardInterrupt, but no end of the tests."""


def _joins(thread: int) -> bool:
    """Is that thread in `Joinable.join`?"""
    frame = sys._current_frames()[thread]
    return any(one.f_code is Joinable.join.__code__ for one, _ in traceback.walk_stack(frame))


@contextmanager
def interrupted_join() -> Iterator[None]:
    """As soon as this thread waits in `Joinable.join`, a signal comes whose handler raises."""

    def handler(number: int, frame: object) -> None:
        raise Interrupted

    def interrupt(thread: int) -> None:
        while not _joins(thread):
            time.sleep(0.01)
        signal.pthread_kill(thread, signal.SIGALRM)

    old = signal.signal(signal.SIGALRM, handler)
    threading.Thread(target=interrupt, args=[threading.get_ident()], daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, old)


def test_an_interrupted_join_ends_nothing() -> None:
    end, did = threading.Event(), []

    def body() -> None:
        end.wait()
        did.append("all")

    thread = Joinable(body, "waits")
    thread.start()
    with interrupted_join(), pytest.raises(Interrupted):
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
