# SPDX-License-Identifier: MIT
"""memory: what a waiting worker takes, in user space and in the kernel."""

from functools import partial
from pathlib import Path

from labkit.benchmark.suite import Bench, Contrast, Suite
from labkit.native import bench as native

WORKERS = 1000
#: What the kernel keeps for threads; slabs that can be given back are not theirs.
KERNEL = ("KernelStack", "PageTables", "SUnreclaim")


def _bytes(path: str, names: tuple[str, ...]) -> dict[str, int]:
    found = {}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        name, _, rest = line.partition(":")
        if name in names:
            found[name] = int(rest.split()[0]) * 1024
    return found


def _now() -> dict[str, int]:
    # Walks the page tables: the process' own counters are kept a thread and lag behind.
    mine = _bytes("/proc/self/smaps_rollup", ("Anonymous",))
    return mine | _bytes("/proc/meminfo", KERNEL)


def _look(into: dict[str, int]) -> None:
    into.update(_now())


def measure(bench: Bench) -> None:
    """Samples of `CREW`, `CREW/user` and `CREW/kernel` in bytes/worker."""
    count = bench.count(WORKERS)
    for repetition, name in bench.rounds(["umcg", "pthread"] if bench.umcg else ["pthread"]):
        before = _now()
        after: dict[str, int] = {}
        native.park(count, umcg=name == "umcg", look=partial(_look, after))
        grown = {key: (after[key] - before[key]) / count for key in before}
        user, kernel = grown.pop("Anonymous"), sum(grown.values())
        bench.sample(name, repetition, user + kernel, "bytes/worker", count)
        bench.sample(f"{name}/user", repetition, user, "bytes/worker", count)
        bench.sample(f"{name}/kernel", repetition, kernel, "bytes/worker", count)


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
