# SPDX-License-Identifier: MIT
"""Every order of the steps of tasks: none is left out, none comes twice, and errors say why."""

from __future__ import annotations

from collections.abc import Iterator
from math import comb
from typing import Any

import pytest

from labkit.course.orders import MOST_STEPS, every_order, read, write


def adds() -> Iterator[Any]:
    """Without a lock: read, then write."""
    before = yield read("sum")
    yield write("sum", before + 1)


def exchanges() -> Iterator[Any]:
    return (yield write("turn", "taken"))


def test_every_order_comes_once() -> None:
    def three() -> Iterator[Any]:
        for _ in range(3):
            yield read("sum")

    ways = [order.way for order in every_order({"a": three, "b": three}, {"sum": 0})]
    assert len(ways) == len(set(ways)) == comb(6, 3)


def test_what_two_that_add_can_end_with() -> None:
    orders = list(every_order({"a": adds, "b": adds}, {"sum": 0}))
    assert {order.memory["sum"] for order in orders} == {1, 2}
    right = {order.way for order in orders if order.memory["sum"] == 2}
    assert right == {("a", "a", "b", "b"), ("b", "b", "a", "a")}


def test_an_exchange_has_one_winner() -> None:
    for order in every_order({"a": exchanges, "b": exchanges}, {"turn": None}):
        assert sorted(order.returned.values(), key=str) == [None, "taken"]
        assert order.returned[order.way[0]] is None, "who came first"


def test_tasks_begin_anew_in_every_order() -> None:
    memory = {"sum": 0}
    list(every_order({"a": adds, "b": adds}, memory))
    assert memory == {"sum": 0}


def test_what_is_no_task_is_told() -> None:
    def no_step() -> Iterator[Any]:
        yield "word"

    def endless() -> Iterator[Any]:
        while True:
            yield read("sum")

    with pytest.raises(TypeError, match="a has no `yield`"):
        list(every_order({"a": lambda: True}, {}))  # type: ignore[dict-item, return-value]
    with pytest.raises(TypeError, match="a yields 'word', which is no step"):
        list(every_order({"a": no_step}, {}))
    with pytest.raises(RuntimeError, match=f"a makes more than {MOST_STEPS} steps"):
        list(every_order({"a": endless}, {"sum": 0}))
