# SPDX-License-Identifier: MIT
"""Schedules of textbooks, worked by hand, reproduced to the nanosecond.

OSTEP: R. and A. Arpaci-Dusseau, Operating Systems: Three Easy Pieces, chapters 7 to 9. Liu and
Layland: Scheduling algorithms for multiprogramming in a hard-real-time environment, JACM 1973.
Buttazzo: Hard Real-Time Computing Systems, chapter 4. Where a book counts in seconds, a unit here
is a millisecond.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from labkit.analysis import df_jobs
from labkit.records import Record
from labkit.sim import simulate
from labkit.workload import Class, Compute, Empirical, Io, Periodic, Phase, Trace, Workload

MS = 10**6


def job(name: str, at: int, long: int, **more: Any) -> Class:
    """One job that comes at `at` and computes for `long` ms."""
    return Class(name=name, arrivals=Trace((at * MS,)), phases=(Compute(long * MS),), **more)


def task(name: str, compute: int, period: int, **more: Any) -> Class:
    """A periodic task whose deadline is its period."""
    return Class(
        name=name,
        arrivals=Periodic(period * MS),
        phases=(Compute(compute * MS),),
        deadline=period * MS,
        **more,
    )


def schedule(policy: str, *classes: Class, servers: int = 1, until: int | None = None) -> Record:
    return simulate(
        policy, Workload(classes=classes, duration=until and until * MS), servers=servers
    )


def table(run: Record, column: str) -> dict[str, list[float]]:
    """A column of the jobs in ms, by class, in the order of arrival."""
    found = df_jobs(run)
    return {
        name: (rows[column] / MS).to_list()
        for (name,), rows in found.group_by("class", maintain_order=True)
    }


def turns(run: Record) -> list[tuple[str, float, float]]:
    """Who ran from when to when, in ms; turns that follow each other are one."""
    rows = run.events.join(run.tasks.filter(pl.col("role") == "worker"), on="tid")
    found: list[tuple[str, float, float]] = []
    since: dict[int, float] = {}
    for t, tid, name, old, new in rows.select("t", "tid", "name", "old", "new").iter_rows():
        if new == "running" and old != "running":
            since[tid] = t / MS
        elif old == "running" and new != "running":
            begin, short = since.pop(tid), name.rpartition(" ")[0]
            if found and found[-1][0] == short and found[-1][2] == begin:
                begin = found.pop()[1]
            found.append((short, begin, t / MS))
    return found


def misses(run: Record) -> dict[str, int]:
    return {
        name: int(rows["late"].sum())
        for (name,), rows in df_jobs(run).group_by("class", maintain_order=True)
    }


def mean(of: dict[str, list[float]]) -> float:
    values = [value for row in of.values() for value in row]
    return sum(values) / len(values)


def test_fifo_with_equal_jobs() -> None:
    """OSTEP figure 7.1: A, B, C of 10 each; turnarounds 10, 20, 30, on average 20."""
    run = schedule("fifo", job("A", 0, 10), job("B", 0, 10), job("C", 0, 10))
    assert table(run, "turnaround_ns") == {"A": [10], "B": [20], "C": [30]}
    assert table(run, "response_ns") == {"A": [0], "B": [10], "C": [20]}


def test_fifo_and_the_convoy() -> None:
    """OSTEP figure 7.2: A of 100 before B, C of 10; on average 110."""
    run = schedule("fifo", job("A", 0, 100), job("B", 0, 10), job("C", 0, 10))
    assert table(run, "turnaround_ns") == {"A": [100], "B": [110], "C": [120]}
    assert mean(table(run, "turnaround_ns")) == 110


def sized(*jobs: tuple[str, int, int]) -> list[Class]:
    return [job(*each, size_known=True) for each in jobs]


def test_shortest_job_first() -> None:
    """OSTEP figure 7.3: the same jobs; B 10, C 20, A 120, on average 50."""
    run = schedule("las:known=1,preempt=0", *sized(("A", 0, 100), ("B", 0, 10), ("C", 0, 10)))
    assert table(run, "turnaround_ns") == {"A": [120], "B": [10], "C": [20]}
    assert mean(table(run, "turnaround_ns")) == 50


def test_shortest_job_first_does_not_preempt() -> None:
    """OSTEP figure 7.4: B, C come at 10, when A runs: 100, 110 - 10, 120 - 10; 103.33."""
    run = schedule("las:known=1,preempt=0", *sized(("A", 0, 100), ("B", 10, 10), ("C", 10, 10)))
    assert table(run, "turnaround_ns") == {"A": [100], "B": [100], "C": [110]}
    assert mean(table(run, "turnaround_ns")) == pytest.approx(103.33, abs=0.01)


def test_shortest_time_to_completion_first() -> None:
    """OSTEP figure 7.5: A 0-10, B 10-20, C 20-30, A 30-120; 120, 10, 20, on average 50."""
    run = schedule("las:known=1", *sized(("A", 0, 100), ("B", 10, 10), ("C", 10, 10)))
    assert turns(run) == [("A", 0, 10), ("B", 10, 20), ("C", 20, 30), ("A", 30, 120)]
    assert table(run, "turnaround_ns") == {"A": [120], "B": [10], "C": [20]}


def test_round_robin() -> None:
    """OSTEP figure 7.7: slices of 1 for three jobs of 5: response 0, 1, 2; ends 13, 14, 15."""
    run = schedule("rr:slice_us=1000", job("A", 0, 5), job("B", 0, 5), job("C", 0, 5))
    assert table(run, "response_ns") == {"A": [0], "B": [1], "C": [2]}
    assert table(run, "turnaround_ns") == {"A": [13], "B": [14], "C": [15]}
    assert turns(run) == [("ABC"[i % 3], i, i + 1) for i in range(15)]


def test_who_comes_at_the_end_of_a_slice_waits_before_who_was_running() -> None:
    """The usual rule: at 1, B is in the queue before A goes back. A B A B B."""
    run = schedule("rr:slice_us=1000", job("A", 0, 2), job("B", 1, 3))
    assert turns(run) == [("A", 0, 1), ("B", 1, 2), ("A", 2, 3), ("B", 3, 5)]
    assert table(run, "turnaround_ns") == {"A": [3], "B": [4]}


def test_shortest_job_first_has_a_bad_response() -> None:
    """OSTEP figure 7.6: three jobs of 5: response 0, 5, 10, on average 5."""
    run = schedule("las:known=1,preempt=0", *sized(("A", 0, 5), ("B", 0, 5), ("C", 0, 5)))
    assert mean(table(run, "response_ns")) == 5


def test_overlap_with_io() -> None:
    """OSTEP figure 7.9: A computes 10 and waits for a disk 10, five times; B computes 50.

    A has the shorter bursts, so it goes first: A runs 0-10, 20-30, ... 80-90, B in between and
    90-100. A's last answer comes at 100.
    """
    phases: tuple[Phase, ...] = (Compute(10 * MS), Io(10 * MS))
    a = Class(name="A", arrivals=Trace((0,)), phases=phases, repeat=5, priority=1)
    run = schedule("priority", a, job("B", 0, 50))
    expected = [("AB"[i % 2], i * 10, i * 10 + 10) for i in range(10)]
    # A leaves its place once more, for the end of its job takes no time.
    assert [turn for turn in turns(run) if turn[1] != turn[2]] == expected
    assert table(run, "turnaround_ns") == {"A": [100], "B": [100]}


def test_feedback_queue_lets_a_short_job_pass() -> None:
    """OSTEP figure 8.3: three queues; A is at the bottom when B of 20 comes at 100.

    B has 10 in the highest queue and 10 of its 20 in the next, and ends at 120; A of 200 at 220.
    """
    run = schedule("las:levels=3,quantum_us=10000,wait_ms=0", job("A", 0, 200), job("B", 100, 20))
    assert turns(run) == [("A", 0, 100), ("B", 100, 120), ("A", 120, 220)]
    assert table(run, "turnaround_ns") == {"A": [220], "B": [20]}


def test_feedback_queue_takes_turns_by_level() -> None:
    """Two jobs of 50 that come together, queues of 10, 20, 40.

    Level 0: A 0-10, B 10-20. Level 1: A 20-40, B 40-60. Level 2, with 20 left each: A 60-80,
    B 80-100.
    """
    run = schedule("las:levels=3,quantum_us=10000,wait_ms=0", job("A", 0, 50), job("B", 0, 50))
    assert turns(run) == [
        *(("A", 0, 10), ("B", 10, 20), ("A", 20, 40), ("B", 40, 60)),
        *(("A", 60, 80), ("B", 80, 100)),
    ]


def test_feedback_queue_starves_without_a_boost_and_not_with_one() -> None:
    """OSTEP figure 8.5: short jobs of 10 come back to back; A of 40 is at the bottom.

    From 30 on (10 + 20 in two levels) a job of 10 comes every 10, fourteen of them. Without a
    boost A waits for the last, from 30 to 170, and ends at 180. With one every 50, at 50 A comes
    to the top and was there before who comes at 50: it runs 50-60 and has all of its 40.
    """
    short = Class(
        name="S",
        arrivals=Periodic(10 * MS, 30 * MS),
        phases=(Compute(10 * MS),),
        jobs=14,
    )
    without = schedule("las:levels=3,quantum_us=10000,wait_ms=0", job("A", 0, 40), short)
    assert table(without, "turnaround_ns")["A"] == [180]
    boosted = "las:levels=3,quantum_us=10000,wait_ms=0,boost_ms=50"
    assert table(schedule(boosted, job("A", 0, 40), short), "turnaround_ns")["A"] == [60]


def test_strict_priority_preempts_and_goes_on() -> None:
    """Low 0-5, high 5-8 at once, middle (came at 6) 8-10, low 10-15; 15, 3, 4."""
    run = schedule(
        "priority",
        job("low", 0, 10, priority=1),
        job("high", 5, 3, priority=3),
        job("middle", 6, 2, priority=2),
    )
    assert turns(run) == [("low", 0, 5), ("high", 5, 8), ("middle", 8, 10), ("low", 10, 15)]
    assert table(run, "turnaround_ns") == {"low": [15], "high": [3], "middle": [4]}


def test_earliest_deadline_first_meets_what_fits() -> None:
    """Liu and Layland: (2, 5) and (4, 7) use 0.971; EDF meets every deadline up to 35.

    T1 0-2, T2 2-6, T1 6-8, T2 8-12, T1 12-14, T2 14-15, T1 15-17 (20 before 21), T2 17-20,
    T1 20-22, T2 22-26, T1 26-28, T2 28-32 (both 35: who runs goes on), T1 32-34.
    """
    run = schedule("edf", task("T1", 2, 5), task("T2", 4, 7), until=35)
    assert table(run, "turnaround_ns") == {
        "T1": [2, 3, 4, 2, 2, 3, 4],
        "T2": [6, 5, 6, 5, 4],
    }
    assert misses(run) == {"T1": 0, "T2": 0}


def test_rate_monotonic_misses_where_edf_does_not() -> None:
    """The same under fixed priorities, the shorter period above: the first T2 ends at 8, late.

    T1 at 0, 5, 10, ... at once. T2 has what is between: 2-5 and 7-8; 8-10 and 12-14; 14-15 and
    17-20; 22-25 and 27-28; 28-30 and 32-34.
    """
    run = schedule("priority", task("T1", 2, 5, priority=2), task("T2", 4, 7, priority=1), until=35)
    assert table(run, "turnaround_ns") == {"T1": [2] * 7, "T2": [8, 7, 6, 7, 6]}
    assert misses(run) == {"T1": 0, "T2": 1}


def test_rate_monotonic_below_its_bound() -> None:
    """(1, 4), (1, 5), (2, 10) use 0.65, below 3 (2^(1/3) - 1) = 0.78: all in time up to 20.

    T1 at 0, 4, 8, 12, 16; T2 1-2, 5-6, 10-11, 15-16; T3 2-4, and 11-12 with 13-14.
    """
    run = schedule(
        "priority",
        task("T1", 1, 4, priority=3),
        task("T2", 1, 5, priority=2),
        task("T3", 2, 10, priority=1),
        until=20,
    )
    assert table(run, "turnaround_ns") == {"T1": [1] * 5, "T2": [2, 1, 1, 1], "T3": [4, 4]}
    assert sum(misses(run).values()) == 0


LATE = [
    job(name, 0, long, deadline=deadline * MS, size_known=True)
    for name, long, deadline in (("A", 4, 4), ("B", 4, 5), ("C", 4, 6), ("D", 3, 9))
]


def test_overload_makes_one_after_the_other_late() -> None:
    """A, B, C of 4 with deadlines 4, 5, 6, D of 3 with 9: ends 4, 8, 12, 15; three are late."""
    run = schedule("edf:late=keep", *LATE)
    assert table(run, "turnaround_ns") == {"A": [4], "B": [8], "C": [12], "D": [15]}
    assert misses(run) == {"A": 0, "B": 1, "C": 1, "D": 1}


def test_late_work_can_wait_for_what_is_in_time() -> None:
    """At 4, B and C cannot be in time and go behind: D 4-7 in time, B 7-11, C 11-15."""
    run = schedule("edf:late=last", *LATE)
    assert table(run, "turnaround_ns") == {"A": [4], "B": [11], "C": [15], "D": [7]}
    assert misses(run) == {"A": 0, "B": 1, "C": 1, "D": 0}


def test_late_work_can_be_dropped() -> None:
    """At 4, B and C are given up: D 4-7."""
    run = schedule("edf:late=drop", *LATE)
    assert turns(run)[0] == ("A", 0, 4) and turns(run)[-1] == ("D", 4, 7)
    found = df_jobs(run)
    assert found.filter("dropped")["class"].to_list() == ["B", "C"]
    assert not found["late"].any()
    assert run.counters["edf:late=drop/B:dropped"] == 1


def test_shares_by_weight() -> None:
    """Weights 1 and 2, 6 of work each, slices of 1: A B B A B B A B B; B ends at 9, A at 12.

    After A 0-1 A's virtual time is 1; B's is 0.5 at 2 and 1 at 3, where A, who waits longer, goes
    first.
    """
    run = schedule("fair:slice_us=1000", job("A", 0, 6, weight=1024), job("B", 0, 6, weight=2048))
    assert turns(run) == [
        *(("A", 0, 1), ("B", 1, 3), ("A", 3, 4), ("B", 4, 6), ("A", 6, 7), ("B", 7, 9)),
        ("A", 9, 12),
    ]
    assert table(run, "turnaround_ns") == {"A": [12], "B": [9]}


def test_shares_by_tenant() -> None:
    """A and B of one tenant, C of another, 6 each: C has every second ms and ends at 12.

    A C B C A C B C A C B C, then A B A B A B: A ends at 17, B at 18.
    """
    run = schedule(
        "fair:slice_us=1000",
        job("A", 0, 6, tenant=0),
        job("B", 0, 6, tenant=0),
        job("C", 0, 6, tenant=1),
    )
    assert [name for name, _, _ in turns(run)] == list("ACBC" * 3 + "AB" * 3)
    assert table(run, "turnaround_ns") == {"A": [17], "B": [18], "C": [12]}


def test_two_servers() -> None:
    """4, 2, 3, 1 in order of arrival: A 0-4 and B 0-2 at once, C 2-5 after B, D 4-5 after A."""
    run = schedule(
        "fifo", job("A", 0, 4), job("B", 0, 2), job("C", 0, 3), job("D", 0, 1), servers=2
    )
    assert table(run, "turnaround_ns") == {"A": [4], "B": [2], "C": [5], "D": [5]}
    assert table(run, "response_ns") == {"A": [0], "B": [0], "C": [2], "D": [4]}


def test_global_edf_and_dhalls_effect() -> None:
    """Dhall and Liu 1978: two light tasks run first on both servers, the heavy one is late.

    (1, 4), (1, 4) and (5, 5): at 0 the light ones have the deadline 4. The heavy one runs 1-6 and
    is late by 1.
    """
    run = schedule("edf", task("L1", 1, 4), task("L2", 1, 4), task("H", 5, 5), servers=2, until=4)
    assert table(run, "turnaround_ns") == {"L1": [1], "L2": [1], "H": [6]}
    assert misses(run) == {"L1": 0, "L2": 0, "H": 1}


def test_a_trace_of_service_times() -> None:
    """Arrivals 0, 1, 2, 3 with 8, 4, 9, 5 (Silberschatz, SRTF): mean wait 6.5.

    P1 0-1, P2 1-5, P4 5-10, P1 10-17, P3 17-26: turnarounds 17, 4, 24, 7.
    """
    work = Class(
        name="P",
        arrivals=Trace(tuple(i * MS for i in range(4))),
        phases=(Compute(Empirical(tuple(ms * MS for ms in (8, 4, 9, 5)), in_order=True)),),
        size_known=True,
    )
    run = schedule("las:known=1", work)
    assert table(run, "turnaround_ns") == {"P": [17, 4, 24, 7]}
    waits = [got - need for got, need in zip((17, 4, 24, 7), (8, 4, 9, 5), strict=True)]
    assert sum(waits) / 4 == 6.5
