# SPDX-License-Identifier: MIT
"""scale: a wait and a wake-up among 1 to 1000 threads over 1 and 2 servers, 10 000 over one."""

from labkit.benchmark.suite import Bench, Contrast, Curve, Suite
from labkit.experiments.scale import ScaleSpec
from labkit.names import counted, things

WORKERS = (1, 10, 100, 1000, 10_000)
SERVERS = (1, 2)
SECONDS = 0.1
#: Making so many threads takes a hundred times as long as measuring them: over one server only, and
#: not in a quick run.
CROWD = WORKERS[-1]
#: How many workers over so many servers, and threads on so many CPUs.
CREWS = {servers: WORKERS if servers == 1 else WORKERS[:-1] for servers in SERVERS}


def measure(bench: Bench) -> None:
    """Samples `umcg/N over M` and `pthread/N on M` in ns/hop: time over hops of all tokens."""
    scale = ScaleSpec(
        workers=WORKERS, servers=SERVERS, value_ms=SECONDS * 1e3 * max(0.1, bench.rigor.scale)
    )
    asked = {
        f"umcg/{what.workers} over {what.servers}"
        if what.umcg
        else f"pthread/{what.workers} on {what.servers}": name
        for name, what in scale.series().items()
        if what.workers in CREWS[what.servers]
    }

    def once(repetition: int, name: str) -> None:
        hops, ns = scale.once(asked[name], stop=bench.stop)
        if hops:
            bench.sample(name, repetition, ns / hops, "ns/hop", hops)

    crowds = [name for name in asked if scale.series()[asked[name]].workers == CROWD]
    others = [name for name in asked if name not in crowds]
    few = [name for name in others if scale.series()[asked[name]].workers <= 10]
    for repetition, name in bench.rounds(others, warm=few):
        once(repetition, name)
    if bench.rigor.name in ("smoke", "quick"):
        bench.note(f"{CROWD} threads were left out: they are for --rigor full")
        return
    # Nothing warms up: each of these makes its ten thousand threads anew.
    for repetition, name in bench.rounds(crowds, warm=()):
        once(repetition, name)


SUITE = Suite(
    name="scale",
    order=7,
    title="Scaling",
    question="Does a wait and a wake-up cost more among many threads than among few, and what do "
    "more servers bring?",
    refuted_by="A hop among 1000 workers, or 10 000, that costs more than ten times what it costs "
    "among ten.",
    measure=measure,
    contrasts=[
        Contrast(
            f"umcg/{workers} over {places}",
            f"pthread/{workers} on {places}",
            "ns/hop",
            f"A wait and a wake-up among {workers:,} {things(workers, 'worker')} over "
            f"{counted(places, 'server')}",
            f"futex wait and wake-up among as many threads on {counted(places, 'CPU')}",
        )
        for places in SERVERS
        for workers in CREWS[places]
    ]
    + [
        Contrast(
            f"umcg/{workers} over 2",
            f"umcg/{workers} over 1",
            "ns/hop",
            f"A wait and a wake-up among {workers:,} workers over 2 servers",
            "the same over one server",
        )
        for workers in CREWS[2][1:]
    ]
    + [
        Contrast(
            f"{crew}/{many} {word} 1",
            f"{crew}/10 {word} 1",
            "ns/hop",
            f"A wait and a wake-up among {many:,} {name}",
            f"the same among 10 {name}",
            limit=10.0 if crew == "umcg" else 0.0,
        )
        for many in (1000, CROWD)
        for crew, word, name in (("umcg", "over", "workers"), ("pthread", "on", "threads"))
    ],
    spec={"workers": list(WORKERS), "servers": list(SERVERS), "seconds": SECONDS},
    curves=[
        Curve(
            "Time of a hop over the number of threads",
            "ns/hop",
            "threads in the ring",
            {
                f"UMCG, {counted(s, 'server')}": {float(w): f"umcg/{w} over {s}" for w in CREWS[s]}
                for s in SERVERS
            }
            | {
                f"threads, {counted(c, 'CPU')}": {float(w): f"pthread/{w} on {c}" for w in CREWS[c]}
                for c in SERVERS
            },
        )
    ],
    help="What many threads cost is their memory going through the caches, and that is the same "
    "for both.",
)
