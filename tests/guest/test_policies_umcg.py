# SPDX-License-Identifier: MIT
"""Policies over the engine: every one of ours, one of one's own, and ones that are wrong."""

import threading

import numpy as np
import polars as pl
import pytest
from python_policies import Priority
from wrong_policies import (
    LATER,
    LOSES,
    Ended,
    Fifo,
    Loses,
    Raises,
    Rubbish,
    Sleeps,
    Slow,
    Spins,
    Twice,
    source,
)

import labkit.model.invariants
from labkit.experiments.own import Own
from labkit.native import engine
from labkit.predicted import prediction, workloads
from labkit.sim import building, policies

STUCK = "does not come back"
WRONG = {
    # Which one it is depends on whether a server sleeps when the watchdog looks.
    "loses": (1, ("has lost a thread", "passes a ready thread over")),
    "twice": (2, ("that runs already",)),
    "rubbish": (3, ("that is no thread",)),
    "crashes": (4, ("crashed (signal 11",)),
    "spins": (5, (STUCK,)),
    "sleeps": (6, (STUCK,)),
}
#: All of them in one, as a compiler takes seconds in a guest.
READY = f"if (all->how == 1) {{ {LOSES} }}"
NEXT = f"""
	if ({LATER} && all->how == 2 && s->running[!server])
		return s->running[!server];
	if ({LATER} && all->how == 3)
		return (void *)(uintptr_t)0x10;
	if ({LATER} && all->how == 4)
		*(volatile int *)8 = 1;
	if ({LATER} && all->how == 5)
		for (volatile int i = 0; ; i++)
			;
	while ({LATER} && all->how == 6)
		sleep(1000);
"""
#: What takes the watchdog's time. It must not find the others on a machine that stands still.
TAKES_TIME = ("loses", "spins", "sleeps", Loses, Spins, Sleeps)
IN_PYTHON = {
    Loses: ("has lost a thread", "passes a ready thread over"),
    Twice: ("that runs already",),
    Rubbish: ("returned 5 from next() to server ",),
    Ended: ("ended> from next() to server ",),
    Slow: ("returned 'long' from slice()",),
    Spins: (STUCK + " from next()",),
    Sleeps: (STUCK + " from next()",),
}


@pytest.fixture(scope="module", autouse=True)
def own(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_POLICIES", str(tmp_path_factory.mktemp("policies")))
        building.build(source(READY=READY, NEXT=NEXT), "wrong")
        yield


def load(policy, **changes):
    given = {"workers": 5, "servers": 2, "busy_us": 20, "idle_us": 200, "max_ops": 300}
    chosen = policies.resolve(policy) if isinstance(policy, str) else policy
    return engine.load("sleep", umcg=True, policy=chosen, **(given | changes))


def fault(policy, of, max_ops=10**9):
    """The report of a run that would not end by itself; the process goes on after it."""
    with pytest.raises(engine.PolicyFault) as error:
        load(policy, max_ops=max_ops, watchdog_s=1.0 if of in TAKES_TIME else 60.0)
    report = str(error.value)
    assert "thread" in report and "server" in report and "tid" in report
    # The process goes on, with the next policy and with the same scheduler's code.
    assert load("fifo").values["elapsed_ns"] > 0
    return report


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_policy_ends_in_a_report_and_all_goes_on(name):
    how, says = WRONG[name]
    report = fault(f"wrong:how={how}", name)
    assert report.startswith("umcg-sched: policy wrong ")
    assert any(words in report for words in says), report
    if name in ("loses", "twice"):
        assert "It is about:\n  thread" in report
        assert "had it last" in report or "has it" in report
    assert "asked" in report


@pytest.mark.parametrize("policy", IN_PYTHON)
def test_a_wrong_policy_in_python_does_so_too(policy):
    # Workers leave at the end of a run alone.
    report = fault(Own(policy), policy, **({"max_ops": 100} if policy is Ended else {}))
    assert report.startswith(f"umcg-sched: policy {policy.__name__} ")
    assert any(words in report for words in IN_PYTHON[policy]), report
    assert f"policy {policy.__name__} says:\n" in report and "queue=[" in report


def test_an_exception_in_a_python_policy_is_the_callers():
    with pytest.raises(ZeroDivisionError, match="mine"):
        load(Own(Raises), max_ops=10**9, watchdog_s=60)
    assert load("fifo").values["elapsed_ns"] > 0


def test_a_python_policy_can_be_stopped_and_looked_at():
    stop, policy = threading.Event(), Fifo()
    with pytest.raises(engine.Stopped):
        load(
            Own(policy),
            max_ops=10**9,
            watchdog_s=60,
            stop=stop,
            watch=lambda live: live.ops and stop.set(),
        )
    assert policy.turns > 0 and policy.queue == []
    with pytest.raises(RuntimeError, match="the run is over"):
        policy.sched.now_ns  # noqa: B018


def test_every_policy_and_one_of_ones_own_run_the_same_work():
    for policy in (*policies.shipped(), "wrong", Own(Fifo)):
        outcome = load(policy)
        assert sum(task.ops for task in outcome.tasks if task.role == "worker") >= 300


class SlowPriority(Priority):
    slice_ns = 1_000_000


@pytest.mark.parametrize("experiment", ["block", "wake", "preempt", "mixed"])
def test_experiments_take_a_policy_in_python(experiment):
    given = {
        "block": {"works": ("sleep",), "events": 1000},
        "wake": {"workers": 4, "servers": (1,), "storms": 3},
        "preempt": {"urgent": 1, "runaways": 2, "duration_s": 0.1},
        "mixed": {"requests": 20, "batch": 1, "beside": ("cfs",)},
    }[experiment]
    run = getattr(labkit, experiment)(policy=SlowPriority, repetitions=1, **given)
    assert "SlowPriority" in run.spec["policy"] and run.counters["lost"] == 0
    assert run.samples.filter(pl.col("series").str.starts_with("umcg")).height
    if run.events.height:
        assert labkit.model.invariants.check(run.events, run.tasks).violations.height == 0


def test_an_experiment_takes_a_policy_by_name():
    run = labkit.preempt(policy="las", duration_s=0.05, repetitions=1, urgent=1, runaways=2)
    assert run.spec["policy"] == "las" and run.counters["lost"] == 0


def test_a_policy_that_cannot_be_is_a_sentence():
    with pytest.raises(engine.NoPolicy, match=r"there is no policy .lass.; there are fifo"):
        engine.load("sleep", umcg=True, workers=1, servers=1, max_ops=1, policy="lass")
    with pytest.raises(engine.NoPolicy, match="quantum"):
        engine.load("sleep", umcg=True, workers=1, servers=1, max_ops=1, policy="las:quantum=1")


@pytest.mark.long
def test_a_prediction_has_both_figures_of_every_pair():
    run = prediction(workloads(40)[:1], ("fifo", "las"))
    wide = run.samples.pivot("unit", index="series", values="value")
    assert wide.height == 1 * 2 * 2
    assert np.isfinite(wide.drop("series").to_numpy()).all()
    assert (wide["measured ns"] > 0).all() and (wide["ratio"] > 0).all()
