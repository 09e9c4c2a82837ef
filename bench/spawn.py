# SPDX-License-Identifier: MIT
"""spawn: what it costs to make a thread a worker and to end it."""

from functools import partial

from labkit.benchmark.suite import Bench, Contrast, Suite
from labkit.experiments.spawn import SpawnSpec

CROWDS = (1, 64)


def measure(bench: Bench) -> None:
    """Samples of the experiment's series in ns/thread: made, registered, unregistered, joined."""
    spawn = SpawnSpec(crowds=CROWDS, cpus=tuple(range(1, 1 + min(2, len(bench.cpus)))))
    series = spawn.series()

    def once(name: str, crowds: int) -> int:
        return spawn.once(name, crowds=crowds, stop=bench.stop)

    crowds = {name: bench.calibrate(name, partial(once, name), first=1) for name in series}
    for repetition, name in bench.rounds(list(series), bench.rigor.slices):
        threads = crowds[name] * series[name].crowd
        bench.sample(name, repetition, once(name, crowds[name]) / threads, "ns/thread", threads)


SUITE = Suite(
    name="spawn",
    order=5,
    title="Spawn and join",
    question="What does it cost to make a thread, have it register as a worker and unregister, "
    "and join it?",
    refuted_by="Not a claim of UMCG but its price: workers that are cheaper to make than the "
    "threads they are.",
    measure=measure,
    contrasts=[
        Contrast(
            f"umcg/{crowd} at once/{places}",
            f"pthread/{crowd} at once/{places}",
            "ns/thread",
            f"Making and joining a worker, {crowd} at once, {words}",
            "making and joining a plain thread",
        )
        for places, words in (("1 cpu", "one CPU"), ("2 cpus", "two CPUs"))
        for crowd in CROWDS
    ],
    spec={"crowds": list(CROWDS)},
    help="A worker is a thread first: registration comes on top, two system calls and a turn of a "
    "server. Make workers once and reuse them.",
)
