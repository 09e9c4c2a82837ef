# SPDX-License-Identifier: MIT
"""The simulator: the same bytes for a seed, invariants, bounds, errors."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import labkit
from labkit.model.invariants import check
from labkit.records import Record
from labkit.sim import (
    TEXTBOOK,
    ChoiceError,
    Costs,
    SettingError,
    TooManyEvents,
    simulate,
)
from labkit.sim.trials import BLOCKING
from labkit.workload import (
    Class,
    Closed,
    Compute,
    Exponential,
    Lock,
    Periodic,
    Poisson,
    Sleep,
    Workload,
    WorkloadError,
)

#: Everything at once, and the sizes of one class are known.
MIXED = replace(
    BLOCKING,
    name="workload",
    seed=3,
    classes=tuple(
        replace(one, tenant=0, size_known=True) if one.name == "scan" else one
        for one in BLOCKING.classes
    ),
)
POLICIES = (
    "fifo",
    "priority:slice_us=3",
    "las:quantum_us=5",
    "las:levels=4,quantum_us=3,boost_ms=1",
    "las:known=1",
)
COSTS = (
    TEXTBOOK,
    Costs.counted(),
    Costs(switch_ns=50),
    Costs(block_ns=7, wake_ns=100),
    Costs(preempt_ns=9),
)


def digest(run: Record) -> str:
    """Of the event table's bytes, column by column."""
    found = hashlib.sha256()
    for name in run.events.columns:
        column = run.events[name]
        codes = column.to_physical() if column.dtype == pl.Enum else column
        found.update(np.ascontiguousarray(codes.to_numpy()).astype("<i8").tobytes())
    return found.hexdigest()


def test_a_seed_gives_the_same_bytes_on_every_machine() -> None:
    """Another digest is a change of every recorded number: it has to be meant."""
    costs = Costs(switch_ns=2050, block_ns=2050, preempt_ns=2050, wake_ns=4935)
    run = simulate("priority:slice_us=3", MIXED, servers=3, seed=42, costs=costs)
    assert digest(run) == "06e2c69570adaf5a0d7bdb79d594729f42f02a8e6ed9eb40d0419b9cda7e9d1f"
    again = simulate("priority:slice_us=3", MIXED, servers=3, seed=42, costs=costs)
    assert digest(again) == digest(run)
    assert digest(simulate("priority:slice_us=3", MIXED, servers=3, seed=43)) != digest(run)


@pytest.mark.slow
@pytest.mark.parametrize("policy, costs", list(itertools.product(POLICIES, COSTS)))
def test_traces_keep_every_invariant(policy: str, costs: Costs) -> None:
    for servers in (1, 3):
        run = simulate(policy, MIXED, servers=servers, costs=costs)
        verdict = check(run.events, run.tasks)
        assert verdict.result == "PASSED", f"{verdict}\n{verdict.violations}"
        assert run.counters["left_ready"] == 0


def jobs(run: Record) -> pl.DataFrame:
    """Tasks' names with arrival, end and latency of their jobs."""
    return (
        run.events.filter(pl.col("kind") == "op")
        .join(run.tasks, on="tid")
        .select("name", arrived=pl.col("t") - pl.col("arg"), ended="t", latency="arg")
    )


def test_jobs_are_the_same_under_every_policy() -> None:
    """Common random numbers: only when they run is the policy's."""
    of = Workload(
        classes=(
            Class(
                name="job",
                arrivals=Poisson(100_000),
                phases=(Compute(Exponential("10us")), Sleep(Exponential("3us"))),
                repeat=2,
            ),
        ),
        duration="1ms",
    )
    runs = [simulate(policy, of) for policy in ("fifo", "las:quantum_us=3")]
    arrivals = [jobs(run).sort("name")["arrived"].to_list() for run in runs]
    served = [run.counters[f"{run.spec['policy']}/job:service_ns"] for run in runs]
    assert arrivals[0] == arrivals[1] and served[0] == served[1]


def test_an_m_m_1_queue_has_its_mean() -> None:
    """1 / (mu - lambda) = 50 us at a load of 0.8 (Kleinrock, Queueing Systems I, 1975)."""
    job = Class(name="job", arrivals=Poisson(80_000), phases=(Compute(Exponential("10us")),))
    run = simulate("fifo", Workload(classes=(job,), duration="20s"), servers=1, events=0)
    assert run.counters["fifo/job:latency_mean_ns"] == pytest.approx(50_000, rel=0.03)
    assert run.counters["utilisation"] == pytest.approx(0.8, rel=0.01)


def test_locks_go_to_their_waiters_in_order() -> None:
    job = Class(
        name="job",
        arrivals=Periodic(1),
        jobs=4,
        phases=(Lock("m", (Sleep(100), Compute(10))),),
    )
    run = simulate("fifo", Workload(classes=(job,)), servers=4)
    ended = jobs(run).sort("ended")
    assert ended["name"].to_list() == ["job 0", "job 1", "job 2", "job 3"]
    assert ended["ended"].to_list() == [110, 220, 330, 440]


def test_costs_are_where_they_belong() -> None:
    """wake 3, switch 5, 100 of work, block 7, sleep 50, wake 3, switch 5, 100 of work."""
    job = Class(
        name="job", arrivals=Closed(1), jobs=1, phases=(Compute(100), Sleep(50), Compute(100))
    )
    costs = Costs(switch_ns=5, block_ns=7, wake_ns=3)
    run = simulate("fifo", Workload(classes=(job,)), servers=1, costs=costs)
    assert jobs(run)["ended"].to_list() == [3 + 5 + 100 + 50 + 3 + 5 + 100]
    assert run.counters["virtual_ns"] == 3 + 5 + 100 + 50 + 3 + 5 + 100 + 7
    assert run.counters["overhead"] == pytest.approx((5 + 7 + 5 + 7) / run.counters["virtual_ns"])


def test_default_costs_are_those_that_were_counted() -> None:
    """The constants are the table's that `make -C kernel cost` writes."""
    from labkit.sim import costs

    text = (Path(__file__).parents[2] / "kernel" / "README.md").read_text(encoding="utf-8")
    cells = {
        row.split("|")[1].strip(): [cell.strip() for cell in row.split("|")[2:]]
        for row in text.splitlines()
        if row.startswith("| ")
    }
    assert int(cells["server runs worker, worker waits"][1]) == costs.SERVER_ROUND_TRIP
    assert int(cells["two workers over a pipe"][2]) == costs.PIPE_ROUND_TRIP
    assert int(cells["pipe and vfs"][0]) == costs.PIPE_CALLS


def test_until_cuts_a_run_short() -> None:
    run = simulate("fifo", MIXED, until="1ms")
    assert run.counters["virtual_ns"] == 10**6 == int(run.counters["virtual_ns"])
    assert run.events["t"].max() <= 10**6


def test_a_run_has_tables_and_a_timeline() -> None:
    run = labkit.simulate("fifo", MIXED)
    assert set(run.table()["series"]) >= {"fifo/get", "fifo/scan/p99", "fifo/tick/response"}
    assert "Timeline: fifo" in run.timeline().svg and "fifo" in repr(run)


def test_statistics_do_not_depend_on_events() -> None:
    with_events, without = simulate("fifo", MIXED), simulate("fifo", MIXED, events=0)
    assert without.events.is_empty() and with_events.samples.equals(without.samples)


def test_a_full_table_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TooManyEvents, match="more than 100 events; give events=0"):
        simulate("fifo", MIXED, events=100)


@pytest.mark.parametrize(
    "policy, says",
    [
        ("fif", "there is no policy 'fif'; did you mean 'fifo'? There are fifo, lifo, rr, "),
        ("fifo:x=1", 'policy fifo takes no options, and "x" is given'),
        ("las:level=1", 'policy las has no option "level"; it has quantum_us, wait_ms, levels'),
        ("las:levels=99", "option levels=99: it has to be a whole number from 0 to 32"),
        ("las:levels=2,known=1", "policy las: levels, known and long_percent exclude each other"),
        ("./none.so", "cannot read the policy ./none.so: No such file or directory"),
    ],
)
def test_a_policy_that_cannot_be_had(policy: str, says: str) -> None:
    with pytest.raises(ChoiceError) as error:
        simulate(policy, MIXED)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_is_no_shared_object(tmp_path: Path) -> None:
    file = tmp_path / "text.so"
    file.write_text("no object", encoding="utf-8")
    with pytest.raises(ChoiceError, match="this is no shared object that can be loaded"):
        simulate(str(file), MIXED)


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"servers": 0}, "servers is 0; give a whole number from 1 to 10000"),
        ({"seed": -1}, "seed is -1; give a whole number from 0"),
        ({"watchdog_s": 0}, "watchdog_s is 0; give seconds from 0.1 to 10000"),
        ({"events": -1}, "events is -1; give a whole number from 0"),
        ({"until": "-1us"}, "until is '-1us'; a time cannot be negative"),
        ({"costs": 5}, "costs is 5; give a labkit.sim.Costs"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError) as error:
        simulate("fifo", MIXED, **settings)
    assert says in str(error.value)


def test_a_deadlock_is_an_error_that_names_the_threads() -> None:
    of = Workload(
        classes=[
            Class(
                name=first,
                arrivals=Closed(1),
                jobs=1,
                phases=(Lock(first, (Sleep(10), Lock(second, (Compute(1),)))),),
            )
            for first, second in (("a", "b"), ("b", "a"))
        ]
    )
    with pytest.raises(WorkloadError, match=r"thread 3 \(a\) waits for one that thread 4 \(b\)"):
        simulate("fifo", of)


def test_work_that_takes_no_time_ends() -> None:
    of = Workload(classes=(Class(name="a", arrivals=Closed(1), phases=(Compute(0),)),), duration=9)
    with pytest.raises(WorkloadError, match="goes on and on in no time"):
        simulate("fifo", of)


def test_it_needs_neither_the_engine_nor_libumcg() -> None:
    """On macOS there is no engine; simulating, tables and figures have to do without."""
    program = """
import sys
sys.modules["labkit.native._engine"] = None
import labkit
from labkit.workload import Class, Compute, Poisson, Workload
job = Class(name="job", arrivals=Poisson(1000), phases=(Compute("10us"),), jobs=20)
run = labkit.simulate("fifo", Workload(classes=(job,)))
run.table(), run.timeline()
print(run.counters["fifo/job:done"])
"""
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert made.stdout == "20\n", made.stderr


@pytest.mark.slow
def test_a_million_threads_over_a_thousand_servers_have_room() -> None:
    """Within 2 GiB; how long it takes is for the README."""
    program = """
import resource
from labkit.sim import simulate
from labkit.workload import Class, Closed, Compute, Sleep, Workload
many = Closed(1_000_000)
work = Class(name="t", arrivals=many, phases=(Compute("10us"), Sleep("1ms")), jobs=2_000_000)
run = simulate("fifo", Workload(classes=(work,)), servers=1000, events=0)
print(run.counters["fifo/t:done"], resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    done, kib = map(int, made.stdout.split())
    assert done == 2_000_000 and kib < 2 << 20
