# SPDX-License-Identifier: MIT
"""mixed: urgent requests beside batch work that takes every CPU cycle it gets."""

import dataclasses
import os

import numpy as np

from labkit.benchmark.cgroups import NoCgroups, Weights
from labkit.benchmark.suite import Bench, Contrast, Suite
from labkit.native import bench as native

SERVICE_US, SHARE = 200.0, 0.10
REQUESTS = 600
BATCH, CREW = 4, 16
SLICE_US = 2000.0
CREWS = {
    "umcg": native.Crew(
        umcg=True, workers=CREW, servers=1, batch=BATCH, policy=f"priority:slice_us={SLICE_US:.0f}"
    ),
    "cfs": native.Crew(umcg=False, workers=CREW, batch=BATCH),
    "nice": native.Crew(umcg=False, workers=CREW, batch=BATCH, nice=-20, batch_nice=19),
    "cgroup": native.Crew(umcg=False, workers=CREW, batch=BATCH),
    "fifo": native.Crew(umcg=False, workers=CREW, batch=BATCH, fifo=10),
}
WORDS = {
    "cfs": "plain threads",
    "nice": "nice -20 against nice 19",
    "cgroup": "cgroup weights, 10 000 against 1",
    "fifo": "SCHED_FIFO for the urgent",
}


def measure(bench: Bench) -> None:
    """Latencies by crew in ns from arrival to answer; samples of batch in op/s, of all in cpu."""
    count = bench.count(REQUESTS, 20)
    crews = {name: crew for name, crew in CREWS.items() if bench.umcg or not crew.umcg}
    if os.geteuid():
        bench.note("not root: nice below 0, cgroups and SCHED_FIFO were left out")
        for name in ("nice", "cgroup", "fifo"):
            crews.pop(name)
        _measure(bench, crews, count)
        return
    try:
        with Weights(urgent=10_000, batch=1) as weights:
            crews["cgroup"] = dataclasses.replace(
                crews["cgroup"], cgroup=weights.urgent, batch_cgroup=weights.batch
            )
            _measure(bench, crews, count)
    except NoCgroups as error:
        bench.note(f"cgroup weights were left out: {error}")
        crews.pop("cgroup")
        _measure(bench, crews, count)


def _measure(bench: Bench, crews: dict[str, native.Crew], count: int) -> None:
    for repetition, name in bench.rounds(list(crews)):
        gaps = np.random.default_rng(repetition + 1).exponential(SERVICE_US / SHARE, count)
        answers = native.requests(
            crews[name],
            arrival_ns=(np.cumsum(gaps) * 1e3).astype(np.uint64),
            service_us=np.full(count, SERVICE_US),
            cpus=bench.cpus[:1],
            client_cpu=bench.client_cpu,
            batch_us=100.0,
            stop=bench.stop,
        )
        bench.latency(name, repetition, answers.latency_ns)
        rate = answers.batch_ops * 1e9 / answers.elapsed_ns
        bench.sample(f"{name}/batch", repetition, rate, "op/s", answers.batch_ops)
        used = answers.cpu_ns / answers.elapsed_ns
        bench.sample(name, repetition, used, "cpu", len(answers.latency_ns))


SUITE = Suite(
    name="mixed",
    order=9,
    title="Urgent and batch work",
    question="How long do urgent requests wait beside batch work on a CPU that is always busy, and "
    "what does that cost the batch work?",
    refuted_by="A median or a 99th percentile over UMCG that is no shorter than under CFS without "
    "priorities, or batch work that gets less than half of what it gets there.",
    measure=measure,
    contrasts=[
        Contrast(
            f"umcg/{q}",
            f"{other}/{q}",
            "ns",
            f"An urgent request beside batch work over UMCG, {words}",
            against,
            expect="better" if other == "cfs" else "",
        )
        for other, against in WORDS.items()
        for q, words in (("p50", "median"), ("p99", "99th percentile"))
    ]
    + [
        Contrast(
            "umcg/batch",
            f"{other}/batch",
            "op/s",
            "Batch work beside urgent requests over UMCG",
            against,
            limit=0.5 if other == "cfs" else 0.0,
        )
        for other, against in WORDS.items()
    ],
    spec={
        "service_us": SERVICE_US,
        "share": SHARE,
        "requests": REQUESTS,
        "batch": BATCH,
        "crew": CREW,
        "slice_us": SLICE_US,
    },
    help="The server takes batch off as soon as a request comes. SCHED_FIFO does the same in the "
    "kernel, and CFS, too, prefers a thread that sleeps more than it computes: what is urgent and "
    "rare needs no scheduler of its own.",
)
