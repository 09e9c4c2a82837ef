# SPDX-License-Identifier: MIT
"""memory: what a waiting worker takes, in user space and in the kernel."""

from labkit.benchmark.suite import Bench, Contrast, Suite
from labkit.experiments.memory import MemorySpec

WORKERS = 500


def measure(bench: Bench) -> None:
    """Samples of the experiment's series, and of both parts of each, in bytes/worker."""
    memory = MemorySpec(workers=bench.count(WORKERS))
    for repetition, name in bench.rounds(list(memory.series())):
        taken = memory.once(name, stop=bench.stop)
        for part, value in taken.samples().items():
            bench.sample(f"{name}{part}", repetition, value, "bytes/worker", memory.workers)


SUITE = Suite(
    name="memory",
    order=6,
    title="Memory",
    question="How much memory does a waiting worker take, in user space and in the kernel?",
    refuted_by="A worker that takes a tenth more than a plain thread.",
    measure=measure,
    contrasts=[
        Contrast(
            f"umcg{part}",
            f"pthread{part}",
            "bytes/worker",
            f"Memory of a waiting worker{words}",
            "that of a waiting thread",
            limit=1.1 if not part else 0.0,
        )
        for part, words in (("", ""), ("/user", ", in user space"), ("/kernel", ", in the kernel"))
    ],
    spec={"workers": WORKERS},
    help="A worker is a thread with a stack here and one in the kernel. UMCG does not make threads "
    "smaller: what needs a million of them needs something else.",
)
