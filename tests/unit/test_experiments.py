# SPDX-License-Identifier: MIT
"""Specs refuse what makes no sense and say why; baselines give a whole run."""

import os
import resource
import threading

import polars as pl
import pytest

import labkit
from labkit import environment, experiments, umcg
from labkit.experiments import (
    BlockSpec,
    MemorySpec,
    MixedSpec,
    PreemptSpec,
    SpecError,
    SwapSpec,
    WakeSpec,
)
from labkit.experiments.preempt import jain
from labkit.native import engine

CPUS = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("spec", "fields", "says"),
    [
        (SwapSpec, {"methods": ("teleport",)}, "unknown 'teleport'; choose from umcg-swap"),
        (SwapSpec, {"methods": ()}, "give one or more"),
        (SwapSpec, {"methods": "futex"}, "give one or more"),
        (SwapSpec, {"methods": ("futex", "futex")}, "twice"),
        (SwapSpec, {"value_ms": 0}, "allowed is 1 to 10000"),
        (SwapSpec, {"value_ms": float("nan")}, "allowed is 1 to 10000"),
        (SwapSpec, {"repetitions": 2.5}, "not a whole number"),
        (SwapSpec, {"repetitions": True}, "not a whole number"),
        (BlockSpec, {"works": ("work",)}, "unknown 'work'"),
        (BlockSpec, {"servers": 0}, "servers is 0; allowed is 1 to"),
        (BlockSpec, {"servers": CPUS + 1}, f"gives {CPUS} CPUs"),
        (BlockSpec, {"workers": 0}, "workers is 0"),
        (BlockSpec, {"idle_us": -1}, "idle_us is -1"),
        (WakeSpec, {"servers": ()}, "one or more"),
        (WakeSpec, {"servers": (1, 0)}, "one of servers is 0; allowed is 1 to 64"),
        (WakeSpec, {"workers": "many"}, "not a whole number"),
        (PreemptSpec, {"slice_us": 1}, "slice_us is 1; allowed is 200"),
        (PreemptSpec, {"servers": CPUS + 1}, f"gives {CPUS} CPUs"),
        (BlockSpec, {"policy": "lass"}, "there is no policy 'lass'; did you mean 'las'"),
        (BlockSpec, {"policy": 3}, "policy is 3; give one of fifo"),
        (BlockSpec, {"policy": "las:quantum=1"}, "policy: .*quantum"),
        (PreemptSpec, {"policy": "./nowhere.so"}, "policy: .*nowhere"),
        (MixedSpec, {"policy": ("las", "lass")}, "policy: there is no policy 'lass'"),
        (MixedSpec, {"policy": ()}, "policy is .*give one or more policies"),
        (MixedSpec, {"where": "moon"}, "where: unknown 'moon'; choose from kernel, simulator"),
        (MixedSpec, {"beside": ("cfs", "bfs")}, "beside: unknown 'bfs' .*'cfs'"),
        (MixedSpec, {"servers": CPUS + 1}, f"gives {CPUS} CPUs"),
    ],
)
def test_bad_values_say_what_is_allowed(spec, fields, says):
    with pytest.raises(SpecError, match=says):
        spec(**fields)


def test_a_field_that_is_not_there():
    with pytest.raises(SpecError, match=r"swap has no 'color'; it has methods"):
        labkit.swap(color="red")


SMALL = {
    "swap": {"value_ms": 1, "repetitions": 2, "traced_rounds": 20},
    "wake": {"workers": 4, "servers": (1, 2), "storms": 3, "repetitions": 2},
    "block": {"workers": 3, "duration_s": 0.05, "repetitions": 2},
    "preempt": {"runaways": 2, "urgent": 1, "duration_s": 0.1, "repetitions": 2},
    "spawn": {"crowds": (1, 3), "value_ms": 1, "repetitions": 2},
    "scale": {"workers": (1, 5), "servers": (1,), "value_ms": 5, "repetitions": 2},
    "memory": {"workers": 50, "repetitions": 2},
    "deadline": {"duration_ms": 40, "load_percent": 10, "repetitions": 2},
    "server": {"requests": 30, "loads": (10, 20), "long_us": 100, "repetitions": 2},
    "mixed": {"requests": 20, "urgent_us": 50, "report_us": 50, "repetitions": 2},
}

#: Experiments that have no events.
UNTRACED = ("memory", "scale", "spawn")


@pytest.mark.parametrize("name", SMALL)
def test_each_experiment_gives_a_whole_run(name):
    updates = []
    run = getattr(labkit, name)(progress=updates.append, **SMALL[name])
    assert run.spec["experiment"] == name
    assert run.environment["kernel"] == os.uname().release
    assert run.counters["lost"] == 0
    assert run.samples.height
    assert bool(run.events.height) == (name not in UNTRACED)
    assert run.events["t"].is_sorted()
    assert set(run.events["tid"]) <= set(run.tasks["tid"])
    assert run.tasks["tid"].is_unique().all()
    # Batch may get nothing while requests come, and all frames may be late.
    nothing = pl.col("unit").is_in(["%", "share"]) | pl.col("series").str.ends_with("/batch")
    # What the kernel gets back from others meanwhile is in its part, and in the sum.
    anybody = (pl.col("unit") == "bytes/worker") & ~pl.col("series").str.ends_with("/user")
    own = run.samples.filter(~anybody)
    assert (own.filter(~nothing)["value"] > 0).all()
    assert (own["value"] >= 0).all()
    assert any(key.endswith(":probe_cost") for key in run.counters) == (name not in UNTRACED)
    assert updates[-1].done == updates[-1].total
    if not engine.enabled():
        assert "vm exec" in run.environment["umcg_missing"]


@pytest.mark.parametrize("name", SMALL)
def test_a_stopped_run_is_what_was_measured_so_far(name):
    stop = threading.Event()

    def after_three(update):
        if update.done == 3:
            stop.set()

    fields = SMALL[name] | {"repetitions": 1000}
    run = getattr(labkit, name)(progress=after_three, stop=stop, **fields)
    assert run.counters["stopped"] == 1


def test_each_waiting_thread_takes_a_page_at_least_however_many_have_been():
    """Stacks that glibc keeps of threads before have their pages already."""
    memory = MemorySpec(workers=50)
    assert min(memory.once("pthread").user for _ in range(3)) >= resource.getpagesize()


@pytest.mark.skipif(len(environment.cpus()) < 2, reason="a signal comes from a second CPU")
def test_preempt_beside_a_signal():
    fields = SMALL["preempt"] | {"beside": ("signal",), "signals": 10}
    updates = []
    run = labkit.preempt(progress=updates.append, **fields)
    late = run.samples.filter(pl.col("series") == "signal/latency")
    assert late["n"].to_list() == [10, 10] and (late["value"] > 0).all()
    assert not run.samples["series"].str.starts_with("pthread").any()
    assert updates[-1].done == updates[-1].total


@pytest.mark.skipif(engine.enabled(), reason="needs a kernel without UMCG")
def test_only_umcg_without_umcg():
    with pytest.raises(experiments.NoUmcgError, match="make -C kernel image"):
        SwapSpec(methods=("umcg-swap",))


@pytest.mark.skipif(engine.enabled(), reason="needs a kernel without UMCG")
@pytest.mark.parametrize("call", [umcg.Group, umcg.wait, umcg.basic_task().__enter__])
def test_python_tasks_without_umcg(call):
    with pytest.raises(umcg.UmcgError, match=r"make -C kernel image.*labkit vm exec"):
        call()


def test_a_run_shows_itself():
    run = labkit.block(works=("sleep",), workers=2, duration_s=0.05, repetitions=1)
    shown = repr(run)
    assert shown.startswith(f"block on {os.uname().release} ")
    assert "pthread/sleep" in shown and len(shown.splitlines()) < 12
    assert "<b>block</b>" in run._repr_html_()


def test_jain():
    assert jain([5, 5, 5]) == pytest.approx(1)
    assert jain([9, 0, 0]) == pytest.approx(1 / 3)
    assert jain([0, 0]) == 0
