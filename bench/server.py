# SPDX-License-Identifier: MIT
"""server: the published dispersive load at rising load; the experiment, asked."""

import dataclasses
from contextlib import ExitStack

from labkit.analysis import carried
from labkit.benchmark.suite import Bench, Contrast, Curve, Suite
from labkit.experiments import generator
from labkit.experiments.contest import Arena
from labkit.experiments.outcome import Result
from labkit.experiments.server import SCALE, SHORT, ServerSpec
from labkit.workload.drawn import Jobs

LOADS = (30, 80, 95)
#: This load also beside a thread that computes all the time, at the lowest priority.
LOAD_BESIDE, BATCH = 80, 1
BESIDE = f"{LOAD_BESIDE}% beside batch"
REQUESTS = 1200
POLICIES = ("rr", "las")
WORDS = {"cfs": "one thread a request under CFS", "pool": "a thread pool"}
LINES = {"umcg-rr": "UMCG, rr with the published slice", "umcg-las": "UMCG, las"} | {
    "cfs": "threads under CFS", "pool": "thread pool"
}  # fmt: skip
#: Claimed of the load that is carried, against each of `WORDS`.
MORE = 1.5

#: 99.9th percentile by load, of each repetition and head; None where it cannot be relied on.
Points = dict[tuple[int, str], dict[float, float | None]]


def measure(bench: Bench) -> None:
    """Latencies of short requests `HEAD/LOAD` in ns; samples in cpu and op/s; what is carried.

    Beside batch, what batch gets of the CPU time that requests leave: `HEAD/LOAD` in share.
    """
    few = bench.count(REQUESTS, 200)
    spec = ServerSpec(policy=POLICIES, beside=tuple(WORDS), loads=LOADS, requests=few)
    beside = dataclasses.replace(spec, loads=(LOAD_BESIDE,), batch=BATCH)
    with ExitStack() as until:
        _measure(bench, spec, *(until.enter_context(s.contest().open()) for s in (spec, beside)))


def _measure(bench: Bench, spec: ServerSpec, alone: Arena, beside: Arena) -> None:
    names = [*(f"{load}%" for load in LOADS), BESIDE]
    series = [f"{head}/{case}" for case in names for head in alone.series()]
    cases: dict[str, Jobs] = {}
    points: Points = {}
    seen = -2
    warm = [f"{head}/{names[0]}" for head in alone.series()]
    for repetition, name in bench.rounds(series, repetitions=bench.fewer, warm=warm):
        if repetition != seen:
            # What is full load drifts with the machine: measured anew before each repetition.
            cases, seen = spec.draw(alone, max(repetition, 0) + 1), repetition
            cases[BESIDE] = cases[f"{LOAD_BESIDE}%"]
        head, _, case = name.partition("/")
        jobs = cases[case]
        arena = beside if case == BESIDE else alone
        result = arena.once(head, jobs, stop=bench.stop)
        sure = _sample(bench, name, repetition, jobs, result)
        if case == BESIDE:
            bench.sample(name, repetition, result.endless_share, "share", len(jobs.arrival_ns))
            continue
        tail = result.quantiles[SHORT].get(" p99.9")
        mine = points.setdefault((repetition, head), {})
        rate = len(jobs.arrival_ns) * 1e9 / float(jobs.arrival_ns[-1])
        mine[rate] = tail if sure else None
        if len(mine) == len(LOADS):
            _carried(bench, spec, head, repetition, mine)


def _sample(bench: Bench, name: str, repetition: int, jobs: Jobs, result: Result) -> bool:
    """Keep what was measured; can it be relied on?"""
    bench.latency(name, repetition, result.latency_ns[SHORT])
    n = sum(count.answered for count in result.counts.values())
    bench.sample(name, repetition, result.busy, "cpu", n)
    bench.sample(name, repetition, result.work_ns / n, "cpu ns/op", n)
    found = generator.checks(jobs, result)
    for what, value in found.items() if repetition >= 0 else ():
        counter = f"{name}:{what}"
        bench.counters[counter] = max(float(bench.counters.get(counter, 0)), value)
    return max(found.values()) <= 1


def _carried(
    bench: Bench, spec: ServerSpec, head: str, repetition: int, points: dict[float, float | None]
) -> None:
    sure = [(rate, tail) for rate, tail in sorted(points.items()) if tail is not None]
    if not sure:
        return
    found = carried(sure, spec.limit_us * spec.scale * 1e3)
    bench.sample(f"{head}/carried", repetition, found.rate, "op/s", len(points))
    if found.bound:
        bench.note(
            f"{head} carried {found.bound} the load that was offered, in some runs: "
            "that is taken for it"
        )


def _series(head: str, case: str, q: str = "") -> str:
    return f"{head}/{case}" + (f"/{q}" if q else "")


SUITE = Suite(
    name="server",
    order=8,
    title="Server with short and long requests",
    question="How long do short requests take when each request has its thread, one in two hundred "
    "is five hundred times as long, and the load rises? How much load is carried until the 99.9th "
    "percentile is above fifty times a short request's computing?",
    refuted_by="Over UMCG less than 1.5 times the load that a thread pool or plain threads carry "
    "up to that limit; at 80 % load, a 99th percentile that is no better than a thread pool's, "
    "where short requests wait behind long ones.",
    measure=measure,
    contrasts=[
        Contrast(
            f"{head}/carried",
            f"{other}/carried",
            "op/s",
            f"Load that {LINES[head]} carries until the 99.9th percentile is too long",
            WORDS[other],
            limit=MORE,
        )
        for head in ("umcg-rr", "umcg-las")
        for other in WORDS
    ]
    + [
        Contrast(
            _series("umcg-rr", f"{load}%", q),
            _series(other, f"{load}%", q),
            "ns",
            f"Short requests over UMCG at {load} % load, {words}",
            WORDS[other],
            expect="better" if (other, load, q) == ("pool", 80, "p99") else "",
        )
        for other in ("pool", "cfs")
        for q, words in (
            ("p50", "median"),
            ("p99", "99th percentile"),
            ("p99.9", "99.9th percentile"),
        )
        for load in LOADS
    ]
    + [
        Contrast(
            _series(head, BESIDE, q),
            _series(other, BESIDE, q),
            unit,
            f"{LINES[head]} at 80 % load beside batch, {words}",
            WORDS[other],
        )
        for head in ("umcg-rr", "umcg-las")
        for other in WORDS
        for q, unit, words in (
            ("p99", "ns", "99th percentile of short requests"),
            ("", "share", "what batch gets of the rest"),
        )
    ]
    + [
        Contrast(
            _series("umcg-rr", f"{load}%"),
            _series(other, f"{load}%"),
            "cpu ns/op",
            f"Requests over UMCG at {load} % load, CPU time of each",
            WORDS[other],
        )
        for other in ("pool", "cfs")
        for load in (30, 80)
    ],
    spec={
        "loads": list(LOADS),
        "beside": [BESIDE],
        "requests": REQUESTS,
        "policies": list(POLICIES),
        "scale": SCALE,
    },
    curves=[
        Curve(
            f"Short requests over load, {words}" if unit == "ns" else "CPU use over load",
            unit,
            "offered load, % of what one thread can answer",
            {
                words_of: {float(load): _series(head, f"{load}%", q) for load in LOADS}
                for head, words_of in LINES.items()
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
    help=f"The load of ghOSt's and Shinjuku's papers with times {SCALE:g} times as long. The "
    "server takes long requests off the CPU after a slice, so short ones do not wait behind them; "
    "las is not told which are short, and lets them go first. It pays with switches: CPU time of "
    "each request.",
)
