# SPDX-License-Identifier: MIT
"""server: a thread for each request, most of them short, some very long, at rising load."""

import numpy as np

from labkit.benchmark.suite import Bench, Contrast, Curve, Suite
from labkit.native import bench as native

#: Nearly all requests are short; one in two hundred is a hundred times as long (after Shinjuku:
#: Kaffes and others, NSDI 2019).
SHORT_US, LONG_US, LONG_SHARE = 100.0, 10_000.0, 0.005
LOADS = (0.3, 0.6, 0.8, 0.95)
REQUESTS = 2000
SLICE_US = 500.0
CREW = 64
CREWS = {
    "umcg": native.Crew(umcg=True, workers=CREW, servers=1, policy=f"rr:slice_us={SLICE_US:.0f}"),
    "threads": native.Crew(umcg=False, workers=CREW),
    "pool": native.Crew(umcg=False, workers=1),
}
WORDS = {"threads": "one thread a request under CFS", "pool": "a thread pool"}


def _requests(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaps with mean 1 and service times; the same seed gives the same to every crew."""
    random = np.random.default_rng(seed)
    long = np.zeros(count, bool)
    # Exactly the share, at random places: a lucky draw must not decide over a crew.
    long[random.permutation(count)[: round(count * LONG_SHARE)]] = True
    return random.exponential(1.0, count), np.where(long, LONG_US, SHORT_US)


def measure(bench: Bench) -> None:
    """Latencies `CREW/LOAD` in ns from arrival to answer; samples in cpu and op/s."""
    count = bench.count(REQUESTS, 200)
    crews = {name: crew for name, crew in CREWS.items() if bench.umcg or not crew.umcg}
    series = [f"{crew}/{load:.0%}" for load in LOADS for crew in crews]
    capacity = 0.0
    seen = -2
    for repetition, name in bench.rounds(series):
        gaps, service = _requests(repetition + 1, count)
        if repetition != seen:
            # What is full load drifts with the machine: measured anew before each repetition.
            capacity = _capacity(bench, service)
            bench.sample("capacity", repetition, capacity, "op/s", count)
            seen = repetition
        crew, _, load = name.partition("/")
        rate = capacity * float(load.rstrip("%")) / 100
        answers = _ask(bench, crews[crew], np.cumsum(gaps) / rate * 1e9, service)
        bench.latency(name, repetition, answers.latency_ns)
        bench.sample(name, repetition, answers.cpu_ns / answers.elapsed_ns, "cpu", count)
        used = answers.cpu_ns / len(answers.latency_ns)
        bench.sample(name, repetition, used, "cpu ns/op", count)


def _ask(
    bench: Bench, crew: native.Crew, arrival_ns: np.ndarray, service_us: np.ndarray
) -> native.Answers:
    return native.requests(
        crew,
        arrival_ns=arrival_ns.astype(np.uint64),
        service_us=service_us,
        cpus=bench.cpus[:1],
        client_cpu=bench.client_cpu,
        stop=bench.stop,
    )


def _capacity(bench: Bench, service_us: np.ndarray) -> float:
    """Requests a second that one thread answers when all are there from the beginning."""
    answers = _ask(bench, CREWS["pool"], np.zeros(len(service_us)), service_us)
    return len(service_us) * 1e9 / answers.elapsed_ns


def _series(crew: str, load: float, q: str = "") -> str:
    return f"{crew}/{load:.0%}" + (f"/{q}" if q else "")


SUITE = Suite(
    name="server",
    order=8,
    title="Server with short and long requests",
    question="How long do requests take when each has its thread, most are short, one in two "
    "hundred is a hundred times as long, and the load rises?",
    refuted_by="At 80 % load, a 99th percentile over UMCG that is no better than a thread pool's, "
    "where short requests wait behind long ones.",
    measure=measure,
    contrasts=[
        Contrast(
            _series("umcg", load, q),
            _series(other, load, q),
            "ns",
            f"Requests over UMCG at {load:.0%} load, {words}",
            WORDS[other],
            expect="better" if (other, load, q) == ("pool", 0.8, "p99") else "",
        )
        for other in ("pool", "threads")
        for q, words in (
            ("p50", "median"),
            ("p99", "99th percentile"),
            ("p99.9", "99.9th percentile"),
        )
        for load in LOADS
    ]
    + [
        Contrast(
            _series("umcg", load),
            _series(other, load),
            "cpu ns/op",
            f"Requests over UMCG at {load:.0%} load, CPU time of each",
            WORDS[other],
        )
        for other in ("pool", "threads")
        for load in (0.3, 0.8)
    ],
    spec={
        "short_us": SHORT_US,
        "long_us": LONG_US,
        "long_share": LONG_SHARE,
        "loads": list(LOADS),
        "requests": REQUESTS,
        "slice_us": SLICE_US,
        "crew": CREW,
    },
    curves=[
        Curve(
            f"Response time over load, {words}" if unit == "ns" else "CPU use over load",
            unit,
            "offered load, % of what one thread can answer",
            {
                name: {load * 100: _series(crew, load, q) for load in LOADS}
                for name, crew in (
                    ("UMCG workers", "umcg"),
                    ("threads under CFS", "threads"),
                    ("thread pool", "pool"),
                )
            },
            log=unit == "ns",
        )
        for q, words, unit in (
            ("p50", "median", "ns"),
            ("p99", "99th percentile", "ns"),
            ("p99.9", "99.9th percentile", "ns"),
            ("", "", "cpu"),
        )
    ],
    help="The server puts fresh requests first and takes long ones off the CPU after a slice, so "
    "short ones do not wait behind them; but up to one slice they do, where CFS lets a woken "
    "thread go first at once. It pays with switches: CPU time of each request.",
)
