# SPDX-License-Identifier: MIT
"""Try a policy: many small simulations that reach every call, on which it must not go wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labkit.model.invariants import check
from labkit.sim import TEXTBOOK, Costs, PolicyError, simulate
from labkit.workload import (
    Bimodal,
    Class,
    Closed,
    Compute,
    Exponential,
    Fault,
    Io,
    Lock,
    Lognormal,
    Periodic,
    Poisson,
    Sleep,
    Trace,
    Uniform,
    Workload,
    Yield,
)

#: One computes long, others come often and are more urgent.
_URGENT = Workload(
    name="urgent work beside batch",
    classes=(
        Class(name="batch", arrivals=Closed(3), phases=(Compute("2ms"),), jobs=12, weight=512),
        Class(
            name="urgent",
            arrivals=Poisson(5_000),
            phases=(Compute(Exponential("20us")),),
            priority=5,
            deadline="200us",
            size_known=True,
            tenant=1,
        ),
    ),
    duration="8ms",
)
#: Open, closed and periodic arrivals, locks in locks, sleep of no time.
BLOCKING = Workload(
    name="threads that block",
    classes=(
        Class(
            name="get",
            arrivals=Poisson(60_000),
            phases=(
                Compute(Exponential("5us")),
                Lock("m", (Compute("1us"),)),
                Io(Lognormal("20us", 1.0)),
            ),
            threads=20,
            deadline="50us",
        ),
        Class(
            name="scan",
            arrivals=Closed(4, think=Uniform(0, "30us")),
            phases=(Compute(Bimodal("10us", "100us", 0.1)), Yield(), Fault("3us")),
            repeat=3,
            priority=-5,
            tenant=2,
        ),
        Class(
            name="tick",
            arrivals=Periodic("100us", "7us"),
            phases=(Sleep(0), Compute("2us"), Lock("m", (Sleep("2us"), Lock("n", (Compute(10),))))),
            priority=7,
        ),
    ),
    duration="2ms",
)
_CROWD = Workload(
    name="a crowd that comes at once",
    classes=(
        Class(name="crowd", arrivals=Trace((0,) * 500), phases=(Compute(Exponential("50us")),)),
        Class(name="one", arrivals=Trace(("1ms", "1ms")), phases=(Compute("1us"),), priority=1),
    ),
)

_WORKLOADS = (_URGENT, BLOCKING, _CROWD)
_SERVERS = (1, 2, 5)
_COSTS = (("none", TEXTBOOK), ("counted", Costs.counted()))
#: How many simulations a check makes.
TRIALS = len(_WORKLOADS) * len(_SERVERS) * len(_COSTS)


@dataclass(frozen=True)
class Trial:
    """One simulation of a check; `wrong` is empty or says what is wrong."""

    workload: str
    servers: int
    seed: int
    costs: str
    turns: int
    wrong: str


def _wrong(run: Any) -> str:
    """What is wrong with a run that came to its end."""
    verdict = check(run.events, run.tasks)
    if verdict.violations.height:
        first = verdict.violations.row(0, named=True)
        return f"the trace breaks {first['invariant']} at {first['t']} ns: {first['detail']}"
    jobs = {name.rpartition(":")[0] for name in run.counters if name.endswith(":come")}
    for name in sorted(jobs):
        come, done = run.counters[f"{name}:come"], run.counters[f"{name}:done"]
        if done + run.counters[f"{name}:dropped"] != come:
            return (
                f"of {come} jobs of {name} {done} were done and the rest neither done nor dropped"
            )
    return ""


def trials(policy: str, watchdog_s: float = 5.0) -> Iterator[Trial]:
    """Simulate the policy again and again and say of each time how it went.

    Three workloads, on 1, 2 and 5 servers, without costs and with those that were counted. Every
    turn, block, wake-up, slice, preemption and end is tried; the traces are checked by
    `labkit.model.invariants`.

    Raises:
        ChoiceError: there is no such policy, or it refuses its options.
    """
    for workload, servers, (name, costs) in itertools.product(_WORKLOADS, _SERVERS, _COSTS):
        turns, wrong, seed = 0, "", servers + len(name)
        try:
            run = simulate(policy, workload, servers, seed, costs=costs, watchdog_s=watchdog_s)
            turns, wrong = int(run.counters["turns"]), _wrong(run)
        except PolicyError as error:
            wrong = str(error)
        yield Trial(workload.name, servers, seed, name, turns, wrong)
