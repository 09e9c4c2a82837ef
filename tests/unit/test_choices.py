# SPDX-License-Identifier: MIT
"""What a policy chose is held against an order, whatever the clock says."""

from __future__ import annotations

from typing import Any

import pytest

import labkit
from labkit import course
from labkit.workload import Class, Closed, Compute, Poisson, Workload

WORK = Workload(
    name="two classes",
    classes=(
        Class(name="long", arrivals=Closed(3), phases=(Compute("1ms"),), jobs=20),
        Class(name="short", arrivals=Poisson(2000), phases=(Compute("50us"),), priority=3),
    ),
    duration="20ms",
)


class Kept:
    """A policy that takes from its list what `pick` says."""

    def __init__(self) -> None:
        self.queue: list[Any] = []

    def ready(self, thread: Any, why: str) -> None:
        self.queue.append(thread)

    def next(self, server: int) -> Any:
        return self.queue.pop(self.pick()) if self.queue else None

    def pick(self) -> int:
        return 0


class Last(Kept):
    def pick(self) -> int:
        return -1


class Urgent(Kept):
    def pick(self) -> int:
        return self.queue.index(max(self.queue, key=lambda thread: thread.priority))


def first_come(waiting: course.Waiting) -> int:
    return waiting.arrived_ns


def most_urgent(waiting: course.Waiting) -> int:
    return -int(waiting.described.get("priority", 0))


@pytest.mark.parametrize("servers", [1, 2])
@pytest.mark.parametrize(
    ("policy", "order", "keeps_it"),
    [
        (Kept, first_come, True),
        (Last, first_come, False),
        (Urgent, most_urgent, True),
        (Kept, most_urgent, False),
        ("fifo", first_come, True),
        ("priority", most_urgent, True),
        ("lifo", first_come, False),
    ],
)
def test_a_policy_keeps_its_order_and_no_other(
    policy: Any, order: Any, keeps_it: bool, servers: int
) -> None:
    run = labkit.simulate(policy, WORK, servers=servers, seed=2)
    found = course.choices(run, order)
    assert found.made > 5
    assert found.wrong.is_empty() == keeps_it
    if not keeps_it:
        assert found.wrong["chosen"].str.contains("long|short").all()


def test_where_nobody_else_waits_there_is_no_choice() -> None:
    alone = Workload(
        name="one", classes=(Class(name="a", arrivals=Closed(1), phases=(Compute("1ms"),), jobs=5),)
    )
    assert course.choices(labkit.simulate("fifo", alone, servers=1, seed=1), first_come).made == 0


class Least(Kept):
    """Whoever has run least, in turns."""

    def pick(self) -> int:
        return self.queue.index(min(self.queue, key=lambda thread: thread.service_ns))

    def slice(self, thread: Any) -> int:
        return 100_000


class Most(Least):
    def pick(self) -> int:
        return self.queue.index(max(self.queue, key=lambda thread: thread.service_ns))


def test_how_long_one_has_run_is_known_at_each_choice() -> None:
    def least(waiting: course.Waiting) -> int:
        return waiting.had_ns

    found = course.choices(labkit.simulate(Least, WORK, servers=1, seed=1), least)
    assert found.made > 100 and found.wrong.is_empty()
    most = labkit.simulate(Most, WORK, servers=1, seed=1)
    assert not course.choices(most, least).wrong.is_empty()


class Own(Kept):
    """Each of two servers has a class of its own, and takes the other's when there is none."""

    owner = ("long", "short")

    def next(self, server: int) -> Any:
        self.server = server
        return super().next(server)

    def pick(self) -> int:
        mine = self.owner[self.server]
        return min(range(len(self.queue)), key=lambda i: self.queue[i].klass != mine)


class Others(Own):
    owner = ("short", "long")


@pytest.mark.parametrize(("policy", "keeps_it"), [(Own, True), (Others, False)])
def test_an_order_may_go_by_the_server_that_chooses(policy: Any, keeps_it: bool) -> None:
    def own_first(waiting: course.Waiting) -> tuple[bool, int]:
        return (waiting.klass != Own.owner[waiting.server], waiting.arrived_ns)

    found = course.choices(labkit.simulate(policy, WORK, servers=2, seed=2), own_first)
    assert found.made > 5 and found.wrong.is_empty() == keeps_it
