# SPDX-License-Identifier: MIT
"""Twins in Python of policies in C: the same schedule."""

from __future__ import annotations

from labkit.sim import Scheduler, Thread


class Fifo:
    """First come, first served."""

    sched: Scheduler

    def __init__(self) -> None:
        self.queue: list[Thread] = []

    def ready(self, thread: Thread, why: str) -> None:
        self.queue.insert(0 if why == "preempted" else len(self.queue), thread)

    def next(self, server: int) -> Thread | None:
        return self.queue.pop(0) if self.queue else None


class Ranked:
    """The smallest rank first, of equal ones the oldest; who was preempted before its equals."""

    sched: Scheduler
    may_starve = True

    def __init__(self) -> None:
        self.queue: list[tuple[int, int, Thread]] = []
        self.count = 0

    def rank(self, thread: Thread) -> int:
        raise NotImplementedError

    def ready(self, thread: Thread, why: str) -> None:
        self.count += 1
        order = -self.count if why == "preempted" else self.count
        self.queue.append((self.rank(thread), order, thread))

    def next(self, server: int) -> Thread | None:
        if not self.queue:
            return None
        first = min(self.queue, key=lambda entry: entry[:2])
        self.queue.remove(first)
        return first[2]


class Priority(Ranked):
    """Strict classes, in turns of 3 us within one."""

    slice_ns = 3000

    def rank(self, thread: Thread) -> int:
        return -thread.priority

    def slice(self, thread: Thread) -> int:
        return self.slice_ns

    def before(self, a: Thread, b: Thread) -> bool:
        return a.priority > b.priority


class Las(Ranked):
    """Least attained service in a job, in turns of 5 us."""

    quantum_ns = 5000

    def rank(self, thread: Thread) -> int:
        return thread.request_service_ns + self.sched.turn_ns(thread)

    def slice(self, thread: Thread) -> int:
        return self.quantum_ns

    def before(self, a: Thread, b: Thread) -> bool:
        return self.rank(a) + self.quantum_ns <= self.rank(b)
