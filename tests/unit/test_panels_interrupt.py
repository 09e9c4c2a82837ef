# SPDX-License-Identifier: MIT
"""Who hears of an interrupt in a Jupyter kernel that is idle or handles messages."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from IPython.core.events import EventManager, available_events

from labkit.panels import interrupt
from labkit.panels.interrupt import Interrupts

#: Longer than a thread waits for a CPU.
PATIENCE_S = 300


class Kernel:
    """What of a Jupyter kernel has to do with the signal."""

    def __init__(self) -> None:
        self.events = EventManager(self, available_events)  # type: ignore[no-untyped-call]
        loop = SimpleNamespace(is_closed=lambda: False, call_soon_threadsafe=self._soon)
        self.kernel = SimpleNamespace(io_loop=SimpleNamespace(asyncio_loop=loop))
        self._todo: list[Callable[[], None]] = []

    def _soon(self, do: Callable[[], None]) -> None:
        self._todo.append(do)

    def loop(self) -> None:
        """Do what was asked for meanwhile."""
        while self._todo:
            self._todo.pop(0)()

    @contextmanager
    def message(self) -> Iterator[None]:
        """Handle one, with a handler of its own, as ipykernel does; what is inside is its code."""
        saved = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            yield
        finally:
            self.events.trigger("post_run_cell", None)  # type: ignore[no-untyped-call]
            signal.signal(signal.SIGINT, saved)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    made = Kernel()
    monkeypatch.setattr(interrupt, "get_ipython", lambda: made)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as an idle one
    yield made
    for watcher in list(interrupt._watchers):
        watcher.leave()
    made.loop()
    assert signal.set_wakeup_fd(-1) == -1
    signal.signal(signal.SIGINT, before)


class Heard(queue.SimpleQueue[str]):
    """Names of those who heard of an interrupt."""

    def watcher(self, name: str = "one") -> Interrupts:
        return Interrupts(lambda: self.put(name))

    def next(self) -> str:
        return self.get(timeout=PATIENCE_S)


@pytest.fixture
def heard() -> Heard:
    return Heard()


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_outside_of_a_jupyter_kernel_it_touches_nothing(heard: Heard) -> None:
    before = signal.getsignal(signal.SIGINT)
    one = heard.watcher()
    one.watch()
    assert signal.getsignal(signal.SIGINT) == before
    assert signal.set_wakeup_fd(-1) == -1
    one.leave()


def test_it_hears_an_idle_kernel_and_every_cell(kernel: Kernel, heard: Heard) -> None:
    one = heard.watcher()
    with pytest.raises(KeyboardInterrupt), kernel.message():
        one.watch()
        press()
    heard.next()
    kernel.loop()
    press()
    heard.next()
    with pytest.raises(KeyboardInterrupt), kernel.message():
        press()
    heard.next()
    kernel.loop()
    press()
    heard.next()
    one.leave()
    kernel.loop()
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    with pytest.raises(KeyboardInterrupt), kernel.message():
        press()
    assert heard.empty()


def test_it_hears_while_the_main_thread_does_not(kernel: Kernel, heard: Heard) -> None:
    """As when the signal comes before a system call: Python's own handler waits for its end."""
    one = heard.watcher()
    one.watch()
    kernel.loop()

    def interrupt_and_answer() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        names.put(heard.next())

    names: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=interrupt_and_answer).start()
    assert names.get(timeout=2 * PATIENCE_S) == "one"


def test_a_cell_that_awaits_lets_the_loop_go_on(kernel: Kernel, heard: Heard) -> None:
    """What the loop does then comes under the cell's handler."""
    one = heard.watcher()
    with kernel.message():
        one.watch()
        kernel.loop()
    kernel.loop()
    press()
    heard.next()
    with kernel.message():
        one.leave()
        kernel.loop()
    press()
    assert heard.empty()


@pytest.mark.parametrize("first", [0, 1])
def test_two_may_leave_in_any_order(kernel: Kernel, heard: Heard, first: int) -> None:
    both = [heard.watcher("one"), heard.watcher("two")]
    for each in both:
        each.watch()
        kernel.loop()
    press()
    assert sorted([heard.next(), heard.next()]) == ["one", "two"]
    both[first].leave()
    kernel.loop()
    press()
    assert heard.next() == ["one", "two"][1 - first]
    both[1 - first].leave()
    kernel.loop()
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_who_listens_already_goes_on(kernel: Kernel, heard: Heard) -> None:
    mine, told = interrupt.socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno())
    one = heard.watcher()
    one.watch()
    kernel.loop()
    press()
    assert mine.recv(8) == bytes([signal.SIGINT])
    one.leave()
    kernel.loop()
    assert signal.set_wakeup_fd(-1) == told.fileno()
    for end in (mine, told):
        end.close()
