# SPDX-License-Identifier: MIT
"""block: what it costs that servers are told of every block and every wake-up."""

import os
import tempfile

from labkit.bench.suite import Bench, Contrast, Suite
from labkit.experiments.common import latencies
from labkit.native import engine

WORKS = {
    "pipe": "read a byte that a device thread writes",
    "sleep": "sleep",
    "fault": "touch a page of a file that left memory",
}
WORKERS = 8
BUSY_US = 20.0
IDLE_US = 400.0
SECONDS = 0.25
EVENTS = 20_000


def measure(bench: Bench) -> None:
    """Samples by `CREW/WORK`: op/s, `cpu ns/op`; latencies of `umcg/WORK detection`."""
    crews = ("umcg", "pthread") if bench.umcg else ("pthread",)
    series = {f"{crew}/{work}": (crew == "umcg", work) for work in WORKS for crew in crews}
    with tempfile.TemporaryFile() as file:
        file.write(os.urandom(WORKERS * 4096))
        file.flush()
        os.fsync(file.fileno())

        def once(name: str, events: int) -> engine.Outcome:
            umcg, work = series[name]
            return engine.load(
                work,
                umcg=umcg,
                workers=WORKERS,
                servers=1 if umcg else 0,
                cpus=bench.cpus[:1],
                duration_s=SECONDS * bench.rigor.scale,
                busy_us=BUSY_US,
                idle_us=IDLE_US,
                file=file.fileno(),
                events=events,
                stop=bench.stop,
            )

        rates: dict[str, float] = {}
        for repetition, name in bench.rounds(list(series)):
            outcome = once(name, 0)
            ops = sum(task.ops for task in outcome.tasks if task.role != "server")
            rates[name] = ops / outcome.values["elapsed_ns"]
            used = sum(task.cpu_ns for task in outcome.tasks)
            bench.sample(name, repetition, rates[name] * 1e9, "op/s", ops)
            if ops:
                bench.sample(name, repetition, used / ops, "cpu ns/op", ops)
        detecting = [name for name, (umcg, _) in series.items() if umcg]
        for repetition, name in bench.rounds(detecting) if detecting else ():
            outcome = once(name, EVENTS)
            late = latencies(outcome, "block")
            bench.latency(f"{name} detection", repetition, late[late > 0])
            ops = sum(task.ops for task in outcome.tasks if task.role != "server")
            traced = ops / outcome.values["elapsed_ns"]
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
            f"umcg/{work}",
            f"pthread/{work}",
            unit,
            f"Workers of one server that {what}{words}",
            "plain threads on one CPU",
        )
        for unit, words in (
            ("cpu ns/op", ", CPU time of an operation"),
            ("op/s", ", operations a second"),
        )
        for work, what in WORKS.items()
    ],
    spec={"workers": WORKERS, "busy_us": BUSY_US, "idle_us": IDLE_US, "seconds": SECONDS},
    help="Every block gives the server back its place and every wake-up goes through its list: "
    "two more switches for each, which pays only if the server makes something of it.",
)
