# SPDX-License-Identifier: MIT
"""Policies in Python give the schedule of their twins in C, event for event."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest
from python_policies import Fifo, Las, Priority
from test_sim import MIXED

from labkit.sim import TEXTBOOK, Costs, Thread, simulate

TWINS = (("fifo", Fifo), ("priority:slice_us=3", Priority), ("las:quantum_us=5,wait_ms=0", Las))


@pytest.mark.parametrize("twins, servers", list(itertools.product(TWINS, (1, 2, 3))))
@pytest.mark.parametrize("costs", [TEXTBOOK, Costs.counted()])
def test_c_and_python_agree_event_for_event(
    twins: tuple[str, type], servers: int, costs: Costs
) -> None:
    in_c = simulate(twins[0], MIXED, servers=servers, costs=costs)
    in_python = simulate(twins[1], MIXED, servers=servers, costs=costs)
    assert in_c.events.height > 1000
    assert in_python.events.equals(in_c.events)


def test_the_object_can_be_looked_at_afterwards() -> None:
    class Counts(Fifo):
        def __init__(self) -> None:
            super().__init__()
            self.stops: list[str] = []

        def stopped(self, thread: Thread, why: str, ran_ns: int) -> None:
            self.stops.append(why)

    policy = Counts()
    run = simulate(policy, MIXED)
    assert len(policy.stops) == run.counters["turns"]
    assert policy.stops.count("ended") == run.counters["ended"]
    assert run.spec["policy"] == "Counts"


def test_what_a_policy_may_ask() -> None:
    seen: list[Any] = []

    class Asks(Fifo):
        name = "asks"

        def init(self) -> None:
            seen.append((self.sched.servers, self.sched.now_ns, self.sched.running(0)))

        def next(self, server: int) -> Thread | None:
            found = super().next(server)
            if found is not None and len(seen) < 2:
                seen.append((found.klass, found.state, found.tenant, found.weight, found.server))
                found.mine = 5  # type: ignore[attr-defined]
                with pytest.raises(AttributeError, match="a thread has no 'wieght'; it has id"):
                    found.wieght  # noqa: B018
                with pytest.raises(IndexError, match="there is no server 2; there are 0 to 1"):
                    self.sched.running(2)
            return found

    simulate(Asks, MIXED)
    assert seen[0] == (2, 0, None) and seen[1][1:] == ("ready", 0, 1024, None)


def test_kick_and_random_and_drop() -> None:
    class Kicks(Fifo):
        may_idle = True
        refused = 0

        def ready(self, thread: Thread, why: str) -> None:
            super().ready(thread, why)
            if self.sched.random() % 8 == 0:
                thread.drop()
            self.sched.kick(0, preempt=True)
            self.sched.kick(1, wake=True)

    run = simulate(Kicks, MIXED)
    assert run.counters["preempted"] > 0 and run.counters["Kicks/get:dropped"] > 0
    assert run.events.equals(simulate(Kicks, MIXED).events)


def test_two_threads_simulate_at_once() -> None:
    """Each calls its own policy."""
    expected = {policy: simulate(policy, MIXED).events for policy in (Fifo, Las)}
    found: dict[type, Any] = {}

    def run(policy: type) -> None:
        found[policy] = [simulate(policy, MIXED).events for _ in range(5)]

    threads = [threading.Thread(target=run, args=(policy,)) for policy in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for policy, events in expected.items():
        assert len(found[policy]) == 5 and all(each.equals(events) for each in found[policy])
