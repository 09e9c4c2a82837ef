# SPDX-License-Identifier: MIT
"""mixed: urgent requests beside batch that takes every CPU cycle it gets; the experiment, asked."""

from typing import Any

from labkit.benchmark.contests import outcomes
from labkit.benchmark.suite import Bench, Contrast, Suite
from labkit.experiments.contest import BASELINES
from labkit.experiments.mixed import MixedSpec
from labkit.experiments.outcome import Result

URGENT_US, URGENT_PERCENT = 1000.0, 70.0
REQUESTS = 320
CROWDS = (1, 8)
COMMON: dict[str, Any] = {"report_percent": 0.0, "reserved": 1}
#: Beside one batch thread a CPU and beside eight; a tenant with a CPU of its own beside one who
#: asks for as much, and beside one who asks for ten times as much.
ASKED: dict[str, dict[str, Any]] = {
    f"{batch} batch": {
        "policy": ["priority"],
        "beside": list(BASELINES) if batch == CROWDS[0] else ["cfs"],
        "urgent_percent": URGENT_PERCENT,
        "urgent_us": URGENT_US,
        "batch": batch,
    }
    for batch in CROWDS
} | {
    words: {
        "policy": ["reserve"],
        "beside": ["cfs"],
        "urgent_percent": 30.0,
        "urgent_us": URGENT_US / 2,
        "tenants": 2,
        "greed": greed,
        "batch": 1,
    }
    for words, greed in (("modest neighbour", 1.0), ("greedy neighbour", 10.0))
}
WORDS = {
    "cfs": "plain threads",
    "pool": "a thread pool",
    "nice": "nice -20 against nice 19",
    "cgroup": "cgroup weights, 10 000 against 1",
    "sched-fifo": "SCHED_FIFO for the urgent",
}


def measure(bench: Bench) -> None:
    """Latencies by series and case in ns; batch in op/s; shares of a CPU; CPUs kept busy."""
    specs = {
        case: MixedSpec(
            requests=bench.count(REQUESTS // fields.get("tenants", 1), 20), **COMMON, **fields
        )
        for case, fields in ASKED.items()
    }
    for name, repetition, result in outcomes(bench, specs):
        _sample(bench, name, repetition, result)


def _sample(bench: Bench, name: str, repetition: int, result: Result) -> None:
    # With tenants it is the first one's promise.
    kind = next(iter(result.counts))
    bench.latency(name, repetition, result.latency_ns[kind])
    answered = sum(count.answered for count in result.counts.values())
    ops = result.endless_ops or 0.0
    n = round(ops * result.elapsed_ns / 1e9)
    bench.sample(f"{name}/batch", repetition, ops, "op/s", n)
    bench.sample(f"{name}/batch", repetition, result.endless_share, "share", n)
    bench.sample(f"{name}/used", repetition, result.busy, "share", answered)
    bench.sample(name, repetition, result.busy, "cpu", answered)
    # What the shares are shares of.
    bench.sample("everything", repetition, 1.0, "share", 1)


def _urgent(batch: int, other: str, q: str, words: str) -> Contrast:
    first = batch == CROWDS[0]
    return Contrast(
        f"umcg-priority/{batch} batch/{q}",
        f"{other}/{batch} batch/{q}",
        "ns",
        f"An urgent request beside {batch} batch thread{'s' * (batch > 1)} over UMCG, {words}",
        WORDS[other],
        expect="better" if (other, q, first) == ("cfs", "p50", True) else "",
        limit=0.05 if (other, q) == ("cfs", "p99") else 0.0,
    )


SUITE = Suite(
    name="mixed",
    order=9,
    title="Urgent and batch work",
    question="How long do urgent requests wait, at 70 % of a CPU, beside batch work that fills the "
    "rest, what does that cost the batch work, and is a promise to a tenant kept?",
    refuted_by="A 99th percentile over UMCG of more than 0.05 times CFS's without priorities, "
    "beside one batch thread a CPU or beside eight; batch that gets less than 0.9 of what urgent "
    "work leaves; less than 0.95 of the CPU in use; a tenant with a reserved CPU whose 99th "
    "percentile grows by more than 1.2 when another asks for ten times its part.",
    measure=measure,
    contrasts=[
        _urgent(batch, other, q, words)
        for batch in CROWDS
        for other in (WORDS if batch == CROWDS[0] else ("cfs",))
        for q, words in (("p50", "median"), ("p99", "99th percentile"))
    ]
    + [
        # Not against each other: some may give batch nothing.
        Contrast(
            f"{other}/{CROWDS[0]} batch/batch",
            "everything",
            "share",
            f"CPU time of batch, beside {words}",
            "urgent work leaves",
        )
        for other, words in WORDS.items()
    ]
    + [
        Contrast(
            f"umcg-priority/{batch} batch/{what}",
            "everything",
            "share",
            f"{words}, over UMCG with {batch} batch thread{'s' * (batch > 1)}",
            against,
            limit=limit,
        )
        for batch in CROWDS
        for what, words, against, limit in (
            ("batch", "CPU time of batch", "urgent work leaves", 0.9),
            ("used", "CPU time in use", "there is", 0.95),
        )
    ]
    + [
        Contrast(
            "umcg-reserve/greedy neighbour/p99",
            "umcg-reserve/modest neighbour/p99",
            "ns",
            "An urgent request of a tenant with a reserved CPU beside one who asks for ten times "
            "its part, 99th percentile",
            "beside one who asks for as much",
            limit=1.2,
        )
    ],
    spec={"asked": ASKED, "common": COMMON, "requests": REQUESTS},
    help="The server takes batch off as soon as a request comes. SCHED_FIFO does the same in the "
    "kernel, where it is permitted; UMCG takes no privilege. What is urgent and rare needs no "
    "scheduler of its own: CFS, too, prefers a thread that sleeps more than it computes; at 70 % "
    "of a CPU it does not.",
)
