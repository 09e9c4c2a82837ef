# SPDX-License-Identifier: MIT
"""wake: how soon a woken thread runs, alone, in a crowd, and beside threads that compute."""

from typing import Any

import numpy as np

from labkit.benchmark.contests import outcomes
from labkit.benchmark.suite import Bench, Contrast, Curve, Suite
from labkit.experiments.mixed import MixedSpec
from labkit.experiments.wake import WakeSpec
from labkit.names import counted

HOGS = (0, 8)
CROWD = 32
#: What a crowd waits in, over UMCG or not, whether places pass on, and how that is called here.
HOWS = {
    (True, "umcg", False): "umcg wait",
    (True, "futex", False): "umcg futex",
    (True, "futex", True): "umcg futex pass-on",
    (False, "futex", False): "futex",
}
WAKE_UPS = 400
#: One of four sleepers is woken about every two milliseconds, and has next to nothing to do.
BESIDE: dict[str, Any] = {
    "policy": ["priority"],
    "beside": ["cfs"],
    "urgent_us": 1.0,
    "urgent_percent": 0.05,
    "threads": 4,
    "report_percent": 0.0,
}


def measure(bench: Bench) -> None:
    """Latencies in ns from the wake-up until the thread runs in user mode."""
    beside = {
        f"{hogs} hogs": MixedSpec(batch=hogs, requests=bench.count(WAKE_UPS, 20), **BESIDE)
        for hogs in HOGS
    }
    for name, repetition, result in outcomes(bench, beside):
        bench.latency(name, repetition, result.latency_ns["urgent"])
    places = tuple(range(1, 1 + min(2, len(bench.cpus))))
    wake = WakeSpec(workers=CROWD, servers=places, storms=bench.count(20, 2), pause_us=300.0)
    storms = {
        f"{HOWS[key]}/storm on {what.servers}": name
        for name, what in wake.series().items()
        if (key := (what.umcg, what.how, what.pass_on)) in HOWS
    }
    for repetition, name in bench.rounds(list(storms)):
        outcome = wake.once(storms[name], events=wake.room().events, stop=bench.stop)
        late = wake.storms_of(outcome)
        if late.size:
            bench.latency(name, repetition, late.ravel())
            last = float(np.median(late.max(axis=1)))
            bench.sample(f"{name}/last", repetition, last, "ns", len(late))


SUITE = Suite(
    name="wake",
    order=2,
    title="Wake-up",
    question="How soon does a woken thread run: on an idle CPU, beside threads that compute, and "
    "as one of a crowd that is woken at once?",
    refuted_by="Beside computing threads, a median or a 99th percentile of UMCG that is no shorter "
    "than the fair scheduler's.",
    measure=measure,
    contrasts=[
        Contrast(
            f"umcg-priority/{hogs} hogs/{q}",
            f"cfs/{hogs} hogs/{q}",
            "ns",
            f"Waking a worker beside {hogs} that compute, {words}"
            if hogs
            else f"Waking a worker on an idle CPU, {words}",
            "waking a thread under CFS",
            expect="better" if hogs else "",
        )
        for hogs in HOGS
        for q, words in (("p50", "median"), ("p99", "99th percentile"))
    ]
    + [
        Contrast(
            f"{how}/storm on {n}/{q}",
            f"futex/storm on {n}/{q}",
            "ns",
            f"Waking {CROWD} workers that wait in {word} on {counted(n, 'server')}, {words}",
            f"waking {CROWD} threads on as many CPUs",
        )
        for n in (1, 2)
        for how, word in (
            ("umcg wait", "umcg_wait"),
            ("umcg futex", "a futex"),
            ("umcg futex pass-on", "a futex, places passing on,"),
        )
        for q, words in (("p50", "median"), ("last", "until the last runs"))
    ],
    spec={"hogs": list(HOGS), "crowd": CROWD, "beside": BESIDE, "wake_ups": WAKE_UPS},
    curves=[
        Curve(
            f"Wake-up latency beside computing threads, {words}",
            "ns",
            "threads that compute on the same CPU",
            {
                name: {float(h): f"{crew}/{h} hogs/{q}" for h in HOGS}
                for name, crew in (("UMCG", "umcg-priority"), ("CFS", "cfs"))
            },
            log=False,
        )
        for q, words in (("p50", "median"), ("p99", "99th percentile"))
    ],
    help="On an idle CPU a wake-up through a server is a wake-up of the server and then a switch: "
    "more, not less. Beside others the server decides which runs; but a thread that only wakes up "
    "now and then CFS prefers as well.",
)
