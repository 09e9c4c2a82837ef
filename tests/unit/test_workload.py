# SPDX-License-Identifier: MIT
"""Workloads as data: files in and out, checks, rt-app's JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit import workload as w
from labkit.workload import (
    Bimodal,
    Class,
    Closed,
    Compute,
    Constant,
    Empirical,
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
    WorkloadError,
    Yield,
)
from labkit.workload.times import LONGEST, ns, text

times = st.integers(0, LONGEST)
distributions = st.one_of(
    st.builds(Constant, times),
    st.builds(Exponential, times),
    st.builds(lambda a, b: Uniform(min(a, b), max(a, b)), times, times),
    st.builds(Bimodal, times, times, st.floats(0, 1)),
    st.builds(Lognormal, times, st.floats(0, 10)),
    st.builds(Empirical, st.lists(times, min_size=1, max_size=5).map(tuple), st.booleans()),
)
simple = st.one_of(
    *(st.builds(kind, distributions) for kind in (Compute, Sleep, Io, Fault)), st.just(Yield())
)
phases = st.lists(
    st.one_of(
        simple, st.builds(Lock, st.sampled_from("ab"), st.lists(simple, min_size=1).map(tuple))
    ),
    min_size=1,
    max_size=4,
).map(tuple)
arrivals = st.one_of(
    st.builds(Poisson, st.floats(1e-3, 1e9)),
    st.builds(Periodic, st.integers(1, LONGEST), times),
    st.builds(Closed, st.integers(1, 1000), distributions, times),
    st.builds(Trace, st.lists(times, min_size=1).map(sorted).map(tuple)),
)
classes = st.builds(
    Class,
    name=st.text("abc/ -", min_size=1, max_size=9),
    arrivals=arrivals,
    phases=phases,
    repeat=st.integers(1, 10**9),
    jobs=st.none() | st.integers(1, 10**12),
    weight=st.integers(1, 10**6),
    priority=st.integers(-(10**6), 10**6),
    deadline=st.none() | st.integers(1, LONGEST),
    tenant=st.integers(0, 255),
    size_known=st.booleans(),
)
workloads = st.builds(
    Workload,
    classes=st.lists(classes, min_size=1, max_size=3, unique_by=lambda each: each.name).map(tuple),
    duration=times,
    seed=st.integers(0, 2**63 - 1),
)


@given(workloads)
def test_a_workload_survives_json_and_toml(workload: Workload) -> None:
    data = w.to_dict(workload)
    assert w.from_dict(json.loads(json.dumps(data))) == workload


def test_files_in_both_formats(tmp_path: Path) -> None:
    get = Class(
        name="get",
        arrivals=Poisson(50_000),
        phases=(
            Compute(Exponential("10us")),
            Lock("m", (Compute(5), Yield())),
            Io(Bimodal("10us", "5ms", 0.005)),
        ),
        deadline="1.5ms",
    )
    scan = Class(name="scan", arrivals=Closed(3, Uniform(1, "2us")), phases=(Fault("3us"),), jobs=5)
    workload = Workload(classes=(get, scan), duration="100ms", seed=7)
    for suffix in (".json", ".toml"):
        assert w.load(w.save(workload, tmp_path / f"w{suffix}")) == workload
    with pytest.raises(WorkloadError, match=r"a workload's file is \.json or \.toml"):
        w.save(workload, tmp_path / "w.yaml")
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(WorkloadError, match=r"bad\.json is no JSON"):
        w.load(tmp_path / "bad.json")


@pytest.mark.parametrize(
    "written, meant",
    [
        *((0, 0), ("10us", 10_000), ("1.5ms", 1_500_000), ("2 s", 2 * 10**9), ("0.5us", 500)),
        *(("1min", 60 * 10**9), ("3µs", 3000), ("1e3ns", 1000)),
    ],
)
def test_times(written: int | str, meant: int) -> None:
    assert ns(written, "x") == meant


@given(times)
def test_times_are_written_exactly(time: int) -> None:
    assert ns(text(time), "x") == time


@pytest.mark.parametrize(
    "value, says",
    [
        (-1, "x is -1; a time cannot be negative"),
        ("-2us", "x is '-2us'; a time cannot be negative"),
        ("10", "x is '10'; write a time with its unit (ns, us, µs, ms, s, min)"),
        ("10 weeks", "x is '10 weeks'; write a time with its unit (ns, us, µs, ms, s, min)"),
        ("0.5ns", "x is '0.5ns'; the finest time is 1 ns"),
        (1.5, "x is 1.5; give whole nanoseconds or a text such as '10us'"),
        (True, "x is True; give whole nanoseconds or a text such as '10us'"),
        (10**18, f"x is {10**18}; the longest time allowed is 100000000s"),
    ],
)
def test_no_times(value: Any, says: str) -> None:
    with pytest.raises(WorkloadError) as error:
        ns(value, "x")
    assert str(error.value) == says


def _class(**changes: Any) -> dict[str, Any]:
    return {"name": "a", "arrivals": {"poisson": 3}, "phases": [{"compute": "3us"}]} | changes


@pytest.mark.parametrize(
    "data, says",
    [
        ({}, "workload: classes is missing"),
        ({"classes": []}, "workload: classes is empty; give at least one class of jobs"),
        (
            {"classes": [_class()]},
            "workload: class 'a' never ends; give its jobs or the workload's duration",
        ),
        ({"classes": [_class(), _class()], "duration": 1}, "workload: two classes are named 'a'"),
        (
            {"classes": [_class(arrivals={"poison": 3})]},
            "class 'a': arrivals 'poison' is unknown; did you mean 'poisson'? There are poisson,",
        ),
        (
            {"classes": [_class(phases=[{"compute": -3}])]},
            "class 'a': phase 1: compute: time is -3; a time cannot be negative",
        ),
        (
            {"classes": [_class(phases=[{"compute": {"bimodal": {"short": 1}}}])]},
            "class 'a': phase 1: compute: bimodal: long is missing",
        ),
        (
            {"classes": [_class(phases=["yeld"])]},
            "class 'a': phase 1: phase 'yeld' is unknown; did you mean 'yield'? There are",
        ),
        (
            {"classes": [_class(phases=[])]},
            "class 'a': phases is empty; give at least one, such as compute",
        ),
        (
            {"classes": [_class(wieght=3)]},
            "class 'a': field 'wieght' is unknown; did you mean 'weight'?",
        ),
        ({"classes": [_class(weight=0)]}, "class 'a': weight is 0; allowed is 1 to 1000000"),
        ({"classes": [_class(deadline=0)]}, "class 'a': deadline is 0; every job would be late"),
        (
            {"classes": [_class(arrivals={"trace": ["2us", "1us"]})]},
            "class 'a': trace: arrival 1 at 1000 ns is before the one above it at 2000 ns",
        ),
        (
            {"classes": [_class(arrivals={"closed": {"threads": 3}}, threads=2)]},
            "class 'a': threads is given twice",
        ),
        (
            {
                "classes": [
                    _class(
                        phases=[
                            {
                                "lock": {
                                    "name": "m",
                                    "phases": [{"lock": {"name": "m", "phases": ["yield"]}}],
                                }
                            }
                        ]
                    )
                ]
            },
            "class 'a': phase 1: lock: the lock 'm' is taken while it is held",
        ),
        (
            {"classes": [_class(phases=[{"compute": {"uniform": {"low": 2, "high": 1}}}])]},
            "class 'a': phase 1: compute: uniform: low is 2 ns and high 1 ns; low comes first",
        ),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(data: dict[str, Any], says: str) -> None:
    with pytest.raises(WorkloadError) as error:
        w.from_dict(data)
    assert says in str(error.value) and "\n" not in str(error.value)


RT_APP = {
    "tasks": {
        "control": {
            "policy": "SCHED_FIFO",
            "priority": 80,
            "run": 2000,
            "timer": {"ref": "unique", "period": 10_000},
            "loop": 100,
        },
        "worker": {
            "instance": 3,
            "priority": 5,
            "delay": 50,
            "phases": {
                "load": {"loop": 2, "run0": 1000, "sleep0": 500},
                "lock": {"lock": "m", "run": 10, "unlock": "m", "yield": ""},
            },
        },
    },
    "global": {"duration": 2, "calibration": "CPU0", "default_policy": "SCHED_OTHER"},
}


def test_rt_apps_json_is_a_workload(tmp_path: Path) -> None:
    file = tmp_path / "taskset.json"
    file.write_text(json.dumps(RT_APP), encoding="utf-8")
    assert w.load(file) == Workload(
        name="taskset",
        duration="2s",
        classes=(
            Class(
                name="control",
                arrivals=Periodic("10ms"),
                phases=(Compute("2ms"),),
                jobs=100,
                threads=1,
                priority=80,
                deadline="10ms",
            ),
            Class(
                name="worker",
                arrivals=Closed(3, start="50us"),
                phases=(
                    *(Compute("1ms"), Sleep("500us")) * 2,
                    Lock("m", (Compute("10us"),)),
                    Yield(),
                ),
                weight=335,
            ),
        ),
    )


#: As rt-app's own files are written: comments, commas at the end, events under one key.
DIALECT = """{
	/* a // load of "10 %"
	for a second, */
	"tasks" : {
		"a // b" : {	// two bursts
			"loop" : -1,
			"run" : 3000,
			"sleep" : 10,
			"run" : 500,
			"priority" : 7,
		},
		"frame" : {
			"policy" : "SCHED_DEADLINE",
			"dl-runtime" : 12000, "dl-period" : 90000,
			"run" : 10000,
			"timer" : { "ref" : "unique", "period" : 100000, },
		},
	},
	"global" : { "duration" : 1, "default_policy" : "SCHED_FIFO", "cpus" : [ 0, 1, ], },
}
"""


def test_rt_apps_own_way_of_writing_json(tmp_path: Path) -> None:
    file = tmp_path / "own.json"
    text = DIALECT.replace(', "cpus" : [ 0, 1, ]', "")
    file.write_text(text, encoding="utf-8")
    burst, frame = w.load(file).classes
    assert burst.name == "a // b" and burst.priority == 7
    assert burst.phases == (Compute("3ms"), Sleep("10us"), Compute("500us"))
    assert frame.arrivals == Periodic("100ms") and frame.deadline == 90_000_000
    file.write_text(DIALECT, encoding="utf-8")
    with pytest.raises(WorkloadError, match=r"own\.json: global: 'cpus' is not in the part"):
        w.load(file)
    # Errors are found where they are, whatever was taken out before them.
    file.write_text(text.replace("3000", "3000 4000"), encoding="utf-8")
    with pytest.raises(WorkloadError, match=r"own\.json is no JSON: .*line 7 column 17"):
        w.load(file)
    file.write_text('{"classes": [], "seed": 1, "seed": 2}', encoding="utf-8")
    with pytest.raises(WorkloadError, match=r"own\.json: 'seed' stands there twice"):
        w.load(file)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"suspend": "x"}, "task 't': 'suspend' is not in the part of rt-app that is read"),
        ({"timer": {"period": 5}, "run1": 3}, "task 't': only one timer, as the last event"),
        ({"lock": "m"}, "task 't': never unlocks 'm'"),
        ({"unlock": "m"}, "task 't': unlocks 'm', which is not the lock it took last"),
        ({"run": -5}, "task 't': run is -5; give a whole number from 0"),
        ({"policy": "SCHED_IDLE"}, "task 't': policy 'SCHED_IDLE' is not read"),
        ({"priority": 40}, "task 't': priority is 40; SCHED_OTHER has -20 to 19"),
    ],
)
def test_what_of_rt_app_is_not_read_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(WorkloadError) as error:
        w.from_rtapp({"tasks": {"t": {"run": 5} | change}, "global": {"duration": 1}})
    assert says in str(error.value)
