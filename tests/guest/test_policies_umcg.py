# SPDX-License-Identifier: MIT
"""Policies over the engine: every one of ours, one of one's own, and ones that are wrong."""

import numpy as np
import pytest

import labkit
from labkit.native import engine
from labkit.predicted import prediction, workloads
from labkit.sim import building, policies

#: fifo, with an option for what goes wrong: a compiler takes seconds in a guest, so there is one.
SOURCE = """
#include <umcg-policy.h>
#include <umcg-queue.h>
#include <unistd.h>

enum how { RIGHT, LOSES, TWICE, RUBBISH, CRASHES, SPINS, SLEEPS };

struct all { uint64_t how, turns; struct umcg_list queue; };

static const struct umcg_option options[] = {
	{ .name = "how", .help = "what goes wrong", .max = SLEEPS },	/* the first of struct all */
	{ .name = NULL }
};

static void ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct all *all = umcg_sched_data(s);

	(void)why;
	if (all->how == LOSES && t->id == 3 && t->service_ns)
		return;
	umcg_list_put(&all->queue, umcg_thread_data(t));
}

static struct umcg_sched_thread *next(struct umcg_sched *s, uint32_t server)
{
	struct all *all = umcg_sched_data(s);

	if (all->turns++ > 20) {
		switch (all->how) {
		case TWICE:
			if (s->running[!server])
				return s->running[!server];
			break;
		case RUBBISH:
			return (void *)(uintptr_t)0x10;
		case CRASHES:
			*(volatile int *)8 = 1;
			break;
		case SPINS:
			for (volatile int i = 0; ; i++)
				;
		case SLEEPS:
			for (;;)
				sleep(1000);
		}
	}
	return umcg_thread_of(umcg_list_get(&all->queue));
}

static void dump(struct umcg_sched *s)
{
	struct all *all = umcg_sched_data(s);

	umcg_print(s, "asked %llu times\\n", (unsigned long long)all->turns);
}

UMCG_POLICY(wrong,
	.summary = "goes wrong",
	.options = options,
	.sched_size = sizeof(struct all),
	.thread_size = sizeof(struct umcg_link),
	.ready = ready,
	.next = next,
	.dump = dump
);
"""

WRONG = {
    # Which one it is depends on whether a server sleeps when the watchdog looks.
    "loses": (1, ("has lost a thread", "passes a ready thread over")),
    "twice": (2, ("that runs already",)),
    "rubbish": (3, ("that is no thread",)),
    "crashes": (4, ("crashed (signal 11",)),
    "spins": (5, ("does not come back",)),
    "sleeps": (6, ("does not come back",)),
}


@pytest.fixture(scope="module", autouse=True)
def own(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_POLICIES", str(tmp_path_factory.mktemp("policies")))
        building.build(SOURCE, "wrong")
        yield


def load(policy, **changes):
    given = {"workers": 5, "servers": 2, "busy_us": 20, "idle_us": 200, "max_ops": 300}
    return engine.load("sleep", umcg=True, policy=policies.resolve(policy), **(given | changes))


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_policy_ends_in_a_report_and_all_goes_on(name):
    how, says = WRONG[name]
    # What the watchdog need not find must not be found by it on a machine that stands still.
    watchdog_s = 1.0 if name in ("loses", "spins", "sleeps") else 60.0
    with pytest.raises(engine.PolicyFault) as error:
        load(f"wrong:how={how}", max_ops=10**9, watchdog_s=watchdog_s)
    report = str(error.value)
    assert report.startswith("umcg-sched: policy wrong ")
    assert any(words in report for words in says), report
    assert "thread" in report and "server" in report and "tid" in report
    if name in ("loses", "twice"):
        assert "It is about:\n  thread" in report
        assert "had it last" in report or "has it" in report
    assert "asked" in report
    # The process goes on, with the next policy and with the same scheduler's code.
    assert load("fifo").values["elapsed_ns"] > 0


def test_every_policy_and_one_of_ones_own_run_the_same_work():
    for name in (*policies.shipped(), "wrong"):
        outcome = load(name)
        assert sum(task.ops for task in outcome.tasks if task.role == "worker") >= 300


def test_an_experiment_takes_a_policy_by_name():
    run = labkit.preempt(policy="las", duration_s=0.05, repetitions=1, urgent=1, runaways=2)
    assert run.spec["policy"] == "las" and run.counters["lost"] == 0


def test_a_policy_that_cannot_be_is_a_sentence():
    with pytest.raises(engine.NoPolicy, match=r"there is no policy .lass.; there are fifo"):
        engine.load("sleep", umcg=True, workers=1, servers=1, max_ops=1, policy="lass")
    with pytest.raises(engine.NoPolicy, match="quantum"):
        engine.load("sleep", umcg=True, workers=1, servers=1, max_ops=1, policy="las:quantum=1")


def test_a_prediction_has_both_figures_of_every_pair():
    run = prediction(workloads(40)[:1], ("fifo", "las"))
    wide = run.samples.pivot("unit", index="series", values="value")
    assert wide.height == 1 * 2 * 2
    assert np.isfinite(wide.drop("series").to_numpy()).all()
    assert (wide["measured ns"] > 0).all() and (wide["ratio"] > 0).all()
