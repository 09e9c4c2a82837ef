# SPDX-License-Identifier: MIT
"""block: what it costs that servers are told of every block and every wake-up."""

from labkit.benchmark.suite import Bench, Contrast, Suite
from labkit.experiments.block import BlockSpec, cpu_ns, detections, operations
from labkit.experiments.pages import pages

WORKS = {
    "pipe": "read a byte that a device thread writes",
    "sleep": "sleep",
    "fault": "touch a page of a file that left memory",
}
#: Heads of the series over UMCG, and what is said of them.
HEADS = {"umcg": "", "umcg-pass-on": ", its place passing on"}
WORKERS = 8
BUSY_US = 20.0
IDLE_US = 400.0
SECONDS = 0.15
EVENTS = 20_000


def measure(bench: Bench) -> None:
    """Samples by `CREW/WORK`: op/s, `cpu ns/op`; latencies of `umcg/WORK detection`."""
    block = BlockSpec(
        works=tuple(WORKS),
        workers=WORKERS,
        busy_us=BUSY_US,
        idle_us=IDLE_US,
        duration_s=max(0.01, SECONDS * bench.rigor.scale),
    )
    series = block.series()
    rates: dict[str, float] = {}
    # Of each head one: what a work does, the others' code does, too.
    warm = [name for name, what in series.items() if what.work == block.works[0]]
    with pages(WORKERS) as file:
        for repetition, name in bench.rounds(list(series), warm=warm):
            outcome = block.once(name, file=file, stop=bench.stop)
            ops = operations(outcome)
            rates[name] = ops / outcome.values["elapsed_ns"]
            used = cpu_ns(outcome)
            bench.sample(name, repetition, rates[name] * 1e9, "op/s", ops)
            if ops:
                bench.sample(name, repetition, used / ops, "cpu ns/op", ops)
        detecting = [name for name, what in series.items() if what.umcg and not what.pass_on]
        for repetition, name in bench.rounds(detecting) if detecting else ():
            outcome = block.once(name, file=file, events=EVENTS, stop=bench.stop)
            bench.latency(f"{name} detection", repetition, detections(outcome))
            traced = operations(outcome) / outcome.values["elapsed_ns"]
            bench.counters[f"{name}:probe_cost"] = rates[name] / traced if traced else 0.0


SUITE = Suite(
    name="block",
    order=3,
    title="Block and wake detection",
    question="What does it cost that a server is told of every block and wake-up of its workers, "
    "and how soon is it told?",
    refuted_by="Not a claim of UMCG but its price: it would be refuted by workers that block for "
    "less CPU time than plain threads.",
    measure=measure,
    contrasts=[
        Contrast(
            f"{head}/{work}",
            f"pthread/{work}",
            unit,
            f"Workers of one server that {what}{passing}{words}",
            "plain threads on one CPU",
        )
        for unit, words in (
            ("cpu ns/op", ", CPU time of an operation"),
            ("op/s", ", operations a second"),
        )
        for head, passing in HEADS.items()
        for work, what in WORKS.items()
    ],
    spec={"workers": WORKERS, "busy_us": BUSY_US, "idle_us": IDLE_US, "seconds": SECONDS},
    help="Every block gives the server back its place and every wake-up goes through its list: "
    "two more switches for each, which pays only if the server makes something of it. Where its "
    "place may pass on it is told only while another worker is ready.",
)
