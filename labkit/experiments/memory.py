# SPDX-License-Identifier: MIT
"""memory: what a waiting worker takes, in user space and in the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from labkit.experiments.common import Collector
from labkit.experiments.spec import REPETITIONS, Spec, param
from labkit.native import engine, threads

#: What the kernel keeps for threads; slabs that can be given back are not theirs.
_KERNEL = ("KernelStack", "PageTables", "SUnreclaim")
#: Making and ending a thread.
_THREAD_S = 50e-6


@dataclass(frozen=True)
class Taken:
    """Bytes a thread, by who has them."""

    user: float
    kernel: float

    def samples(self) -> dict[str, float]:
        """By what follows a series' name: the sum, and both parts."""
        return {"": self.user + self.kernel, "/user": self.user, "/kernel": self.kernel}


@dataclass(frozen=True, kw_only=True)
class MemorySpec(Spec):
    """What a waiting worker takes, in user space and in the kernel.

    So many threads are made and wait; when all do, the memory of this process and of the kernel is
    set against that before. Series `umcg` (workers in `umcg_wait`) and `pthread` (futex); samples
    `SERIES`, `SERIES/user` and `SERIES/kernel` in `bytes/worker`; `n` threads. What other
    processes get from the kernel or give back meanwhile is in it. Nothing is traced: there is no
    timeline.
    """

    experiment = "memory"
    question = "How much memory does a waiting worker take, in user space and in the kernel?"
    place = 9
    baselines = ("pthread",)
    operations = "threads"

    workers: int = param(1000, "threads that wait", limits=(1, 20_000))
    repetitions: int = param(7, REPETITIONS, limits=(1, 1000), measuring=True, free=True)

    def measurements(self) -> int:
        """Each series' repetitions, and one that warms up."""
        return len(self.series()) * (self.repetitions + 1)

    def measurement_s(self) -> float:
        """All have to be made."""
        return self.workers * _THREAD_S

    def series(self) -> dict[str, bool]:
        """Is it over UMCG? Of each series by its name."""
        return {"umcg": True, "pthread": False} if engine.enabled() else {"pthread": False}

    def once(self, name: str, **hooks: Unpack[engine.Hooks]) -> Taken:
        """One value of a series."""
        before, after = _now(), {}
        threads.park(
            self.workers, umcg=self.series()[name], look=lambda: after.update(_now()), **hooks
        )
        grown = {key: (after[key] - before[key]) / self.workers for key in before}
        return Taken(grown.pop("Anonymous"), sum(grown.values()))

    def measure(self, collect: Collector) -> None:
        """The series in turn; the first of each finds nothing that the kernel keeps for others."""
        for repetition in range(-1, self.repetitions):
            for name in self.series():
                collect.begin(name if repetition >= 0 else f"{name} (warm-up)")
                taken = self.once(name, **collect.hooks)
                if repetition >= 0:
                    for part, value in taken.samples().items():
                        collect.sample(
                            f"{name}{part}", repetition, value, "bytes/worker", self.workers
                        )
                collect.end()


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
    return mine | _bytes("/proc/meminfo", _KERNEL)
