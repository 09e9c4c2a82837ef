# SPDX-License-Identifier: MIT
"""handoff: what it costs to hand one turn from a thread to another, by every primitive."""

from functools import partial
from statistics import median

from labkit.benchmark.suite import Bench, Contrast, Suite
from labkit.experiments.swap import METHODS, SwapSpec

UMCG = {
    "umcg-swap": "a swap of two UMCG tasks",
    "umcg-wake-wait": "UMCG wake, then wait",
    "umcg-worker-swap": "a swap of two workers of one server",
    "umcg-server-worker": "a server that runs a worker, which yields",
}
PLACES = {
    "one cpu": "both on one CPU",
    "apart": "each on its own CPU",
    "free": "on two CPUs, placed by the kernel",
}

#: What tracing costs is the ratio of medians of so many runs with and without.
PROBES = 7


def measure(bench: Bench) -> None:
    """Samples `METHOD/PLACE` in ns/switch; counters `METHOD/one cpu:probe_cost`."""
    where = {"one cpu": "pinned"}
    if bench.client_cpu is not None:
        where |= {"apart": "apart", "free": "unpinned"}
    else:
        bench.note("one CPU only: no hand-offs between CPUs")
    swap = SwapSpec(placements=tuple(where.values()))
    series = {
        f"{method}/{place}": name
        for place, placement in where.items()
        for name, (method, at) in swap.series().items()
        if at == placement
    }

    def once(name: str, rounds: int, events: int = 0) -> int:
        outcome = swap.once(series[name], rounds=rounds, events=events, stop=bench.stop)
        return outcome.values["elapsed_ns"]

    rounds = {name: bench.calibrate(name, partial(once, name)) for name in series}
    for repetition, name in bench.rounds(list(series), bench.rigor.slices):
        took = once(name, rounds[name])
        switches = 2 * rounds[name]
        bench.sample(name, repetition, took / switches, "ns/switch", switches)
        # Between CPUs a calibration can be far off; later slices are about as long as asked for.
        asked = bench.rigor.slice_ms * 1e6
        if not asked / 2 < took < asked * 2:
            rounds[name] = round(rounds[name] * min(4.0, max(0.25, asked / took))) + 1
    for name in series:
        if name.endswith("/one cpu"):
            turns = [(once(name, 400), once(name, 400, events=1300)) for _ in range(PROBES)]
            plain, traced = map(median, zip(*turns, strict=True))
            bench.counters[f"{name}:probe_cost"] = traced / plain


SUITE = Suite(
    name="handoff",
    order=1,
    title="Hand-off",
    question="What does it cost to hand one turn from a thread to another, by every primitive "
    "there is: on one CPU, between two, and where the kernel likes?",
    refuted_by="A swap of two UMCG tasks on one CPU that costs no less than a futex hand-off.",
    measure=measure,
    contrasts=[
        Contrast(
            f"{method}/{place}",
            f"futex/{place}",
            "ns/switch",
            f"{what[0].upper()}{what[1:]}, {where}",
            "a futex hand-off there",
            expect="better" if method == "umcg-swap" and place != "apart" else "",
        )
        for place, where in PLACES.items()
        for method, what in UMCG.items()
    ]
    + [
        Contrast(
            f"umcg-swap/{place}",
            f"{other}/{place}",
            "ns/switch",
            f"A swap of two UMCG tasks, {PLACES[place]}",
            f"{words} there",
            expect="better" if place == "one cpu" and other != "sched_yield" else "",
        )
        for place in ("one cpu", "free")
        for other, words in (
            ("condvar", "a mutex and a condition variable"),
            ("pipe", "a pipe"),
            ("eventfd", "an eventfd"),
        )
    ]
    + [
        Contrast(
            "umcg-swap/one cpu",
            "sched_yield/one cpu",
            "ns/switch",
            "A swap of two UMCG tasks, both on one CPU",
            "sched_yield, the least a switch by the scheduler can be",
        )
    ],
    spec={"methods": list(METHODS), "places": list(PLACES)},
    help="A swap spares the search of a run queue on one CPU, and two wake-ups across CPUs when "
    "the kernel would have spread the pair. Threads that must stay on different CPUs need those "
    "wake-ups whatever the primitive.",
)
