# SPDX-License-Identifier: MIT
"""preempt: how soon a worker that computes is off its server when user space says so."""

from labkit.benchmark.suite import Bench, Contrast, Suite
from labkit.experiments.preempt import PreemptSpec

RUNAWAYS = 2
SLICE_US = 1000.0
SECONDS = 0.5
SIGNALS = 300


def measure(bench: Bench) -> None:
    """Latencies in ns: `umcg` from the call to the server running, `signal` to the handler."""
    if bench.client_cpu is None:
        bench.note("one CPU only: no thread could preempt from another CPU")
        return
    preempt = PreemptSpec(
        policy="rr",
        beside=("signal",),
        runaways=RUNAWAYS,
        urgent=0,
        slice_us=SLICE_US,
        chunk_us=100.0,
        duration_s=max(0.05, SECONDS * bench.rigor.scale),
        signals=bench.count(SIGNALS, 10),
    )
    for repetition, name in bench.rounds(preempt.interrupted()):
        bench.latency(name, repetition, preempt.interruptions(name, stop=bench.stop))


SUITE = Suite(
    name="preempt",
    order=4,
    title="Preemption",
    question="How soon is a worker that computes taken off its server, from the call to the server "
    "running again, beside what a signal takes to reach its handler?",
    refuted_by="A median of more than ten times a signal's, which is what waiting for a timer tick "
    "or the end of a time slice would look like.",
    measure=measure,
    contrasts=[
        Contrast(
            f"umcg/{q}",
            f"signal/{q}",
            "ns",
            f"Preempting a worker until its server runs, {words}",
            "a signal until its handler runs",
            limit=10.0 if q == "p50" else 0.0,
        )
        for q, words in (("p50", "median"), ("p99", "99th percentile"))
    ],
    spec={"runaways": RUNAWAYS, "slice_us": SLICE_US, "seconds": SECONDS, "signals": SIGNALS},
    help="Both start with an interrupt of the other CPU. A preemption then also switches to the "
    "server, a signal only builds a frame on the stack.",
)
