# SPDX-License-Identifier: MIT
"""What C would crash on, or fill the memory with, Python refuses; and says what is allowed."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from labkit import panels
from labkit.experiments import BlockSpec, PreemptSpec, Spec, SpecError, SwapSpec, WakeSpec
from labkit.experiments.common import Collector
from labkit.native import checks, engine, serving, threads

STOP = threading.Event()
LOAD: dict[str, Any] = {"umcg": False, "workers": 2, "max_ops": 2}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"workers": 2.0}, "whole number"),
        ({"workers": True}, "whole number"),
        ({"servers": -1}, "servers is -1"),
        ({"umcg": True, "servers": 0}, "servers is 0"),
        ({"urgent": 3}, "urgent is 3"),
        ({"cpus": (-1,)}, "cpu is -1"),
        ({"cpus": (1 << 31,)}, "cpu is"),
        ({"cpus": tuple(range(65))}, "64 at most"),
        ({"duration_s": -1.0}, "duration_s is -1"),
        ({"duration_s": math.nan}, "duration_s is nan"),
        ({"busy_us": math.inf}, "busy_us is inf"),
        ({"idle_us": -1}, "idle_us is -1"),
        ({"watchdog_s": "1"}, "watchdog_s is '1'"),
        ({"policy": ""}, "policy is ''"),
        ({"max_ops": -1}, "max_ops is -1"),
        ({"max_ops": 0}, "never end"),
        ({"events": -1}, "events is -1"),
        ({"events": 1 << 32}, "events is 4294967296"),
    ],
)
@pytest.mark.parametrize("work", ["fault", "spin"])
def test_a_load_that_cannot_be(work: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        engine.load(work, **(LOAD | changes))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"method": "telepathy"}, "choose from umcg-swap"),
        ({"cpu": -1}, "cpu is -1"),
        ({"cpu": None, "other_cpu": 0}, "without a cpu"),
        ({"rounds": 0}, "rounds is 0"),
        ({"warmup": -1}, "warmup is -1"),
        ({"events": -1}, "events is -1"),
        ({"duration_s": -0.1}, "duration_s is -0.1"),
    ],
)
def test_a_swap_that_cannot_be(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        engine.swap(**({"method": "pipe", "cpu": 0, "rounds": 1} | changes))


def test_an_unknown_work() -> None:
    with pytest.raises(ValueError, match="choose from spin"):
        engine.load("play", **LOAD)


ARRIVALS = np.array([0, 1000, 2000], np.uint64)
SERVICE = np.array([1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"policy": "fifo", "servers": 0}, "servers is 0"),
        ({"policy": "fifo", "cpus": ()}, "cpus is empty"),
        ({"policy": ""}, "policy is ''"),
        ({"service_us": SERVICE[:2]}, "of service each"),
        ({"service_us": np.ones((3, 1))}, "of service each"),
        ({"arrival_ns": ARRIVALS[:0], "service_us": SERVICE[:0]}, "one or more requests"),
        ({"arrival_ns": ARRIVALS[::-1]}, "not ascending"),
        ({"arrival_ns": np.array([-1, 0, 1])}, "not ascending"),
        ({"service_us": np.array([1.0, math.nan, 1.0])}, "no times"),
        ({"service_us": np.array([1.0, -1.0, 1.0])}, "no times"),
        ({"cpus": (-1,)}, "cpu is -1"),
        ({"client_cpu": 5000}, "cpu is 5000"),
        ({"endless_us": math.nan}, "endless_us is nan"),
    ],
)
def test_requests_that_cannot_be(changes: dict[str, Any], says: str) -> None:
    fields: dict[str, Any] = {"policy": None, "cpus": (0,), "client_cpu": None} | changes
    asked = serving.Requests(
        arrival_ns=fields.pop("arrival_ns", ARRIVALS), service_us=fields.pop("service_us", SERVICE)
    )
    with pytest.raises(ValueError, match=says):
        serving.serve([serving.Group(threads=1)], asked, **fields)


RING: dict[str, Any] = {"umcg": False, "workers": 2, "servers": 0, "tokens": 1, "cpus": (0,)}
RING["duration_s"] = 0.01


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: threads.ring(**(RING | {"workers": 0})), "workers is 0"),
        (lambda: threads.ring(**(RING | {"tokens": 0})), "tokens is 0"),
        (lambda: threads.ring(**(RING | {"tokens": 3})), "tokens is 3"),
        (lambda: threads.ring(**(RING | {"umcg": True})), "servers is 0"),
        (
            lambda: threads.ring(**(RING | {"umcg": True, "servers": 1, "cpus": ()})),
            "cpus is empty",
        ),
        (lambda: threads.ring(**(RING | {"duration_s": -1})), "duration_s is -1"),
        (lambda: threads.spawn(umcg=False, crowd=0, crowds=1), "crowd is 0"),
        (lambda: threads.spawn(umcg=False, crowd=1, crowds=-1), "crowds is -1"),
        (lambda: threads.park(0, umcg=False, look=lambda: None), "threads is 0"),
        (lambda: threads.interrupt(cpu=0, sender_cpu=0, count=0), "count is 0"),
        (lambda: threads.interrupt(cpu=-1, sender_cpu=0, count=1), "cpu is -1"),
    ],
)
def test_threads_that_cannot_be(call: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    outcome = engine.load("spin", umcg=False, workers=np.int64(2), max_ops=np.int32(2))
    assert len(outcome.tasks) == 2


SMALL = 256 << 20


@pytest.mark.parametrize(
    ("kind", "fields", "names"),
    [
        (SwapSpec, {"traced_rounds": 100_000}, "traced_rounds"),
        (WakeSpec, {"workers": 512, "storms": 10_000, "servers": (1, 2)}, "workers, storms"),
        (BlockSpec, {"workers": 512, "events": 1_000_000}, "events"),
        (PreemptSpec, {"runaways": 256, "urgent": 256, "events": 1_000_000}, "events"),
    ],
)
def test_a_spec_that_the_memory_has_no_room_for(
    kind: type[Spec], fields: dict[str, Any], names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    have = SMALL if kind is not SwapSpec else SMALL // 16
    monkeypatch.setattr(checks, "available_bytes", lambda: have)
    with pytest.raises(SpecError, match=rf"takes [\d,]+ MiB, and this machine has .*{names}"):
        kind(**fields)
    kind()  # the defaults have room in a small guest


def test_a_panel_says_that_the_memory_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "available_bytes", lambda: SMALL)
    panel = panels.panel("block", workers=64)
    assert not panel._button.disabled
    panel.controls["events"].value = 1_000_000
    assert panel._button.disabled
    assert "Run is not possible: room for 64" in panel._said.value and "MiB" in panel._said.value


def test_the_engine_touches_no_memory_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "available_bytes", lambda: SMALL)
    with pytest.raises(engine.EngineError, match="no memory: room for 12,000,000"):
        engine.swap("pipe", cpu=None, rounds=1, events=4_000_000)


def test_available_memory_is_what_the_kernel_says() -> None:
    assert 16 << 20 < checks.available_bytes() < 1 << 50


def test_a_tid_that_the_kernel_gave_twice_is_two_tasks() -> None:
    collect = Collector(SwapSpec(methods=("pipe",)).to_dict(), 1, None, None)
    outcome = engine.swap("pipe", cpu=None, rounds=5, events=50)
    tids = [task.tid for task in outcome.tasks]
    again = engine.Outcome(list(outcome.tasks), outcome.events.copy())
    collect.trace("one", outcome)
    collect.trace("two", again)
    run = collect.run(stopped=False)
    assert run.tasks["tid"].n_unique() == 2 * len(tids)
    by_task = run.events.group_by("tid").len()
    assert set(by_task["tid"]) <= set(run.tasks["tid"])
    assert by_task.height == 2 * len(tids)
