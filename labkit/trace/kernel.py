# SPDX-License-Identifier: MIT
"""The kernel's tracepoints as rows of the event table: `umcg:*` and the scheduler's.

A `KernelTracer` records into a tracing instance of its own, so another tracer is not
disturbed. It sets the instance's clock to `mono`, which is the event table's, and reads the raw
per-CPU buffers, because the text files round times to microseconds. What others have recorded is
read by `labkit.trace.importer`.

Source of the formats: Documentation/trace/ftrace.rst, events.rst and ring-buffer-design.rst of
Linux.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import polars as pl

from labkit.trace import loss, ringbuffer, schema, tracepoints
from labkit.trace.errors import TracingUnavailable
from labkit.trace.ringbuffer import Format, lost_by_stats, page_size
from labkit.trace.tracepoints import KernelTrace

__all__ = ["SCHED_EVENTS", "KernelTrace", "KernelTracer", "tracefs"]

#: Tracepoints of the scheduler that are recorded beside all of `umcg:*`.
SCHED_EVENTS = (
    "sched_switch",
    "sched_wakeup",
    "sched_wakeup_new",
    "sched_waking",
    "sched_migrate_task",
)

_INSTANCE = "labkit"


def tracefs() -> Path:
    """The folder where tracefs is mounted.

    Raises:
        TracingUnavailable: it is not mounted or must not be used, with what to do.
    """
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    places = [Path(m.split()[1]) for m in mounts if m.split()[2] == "tracefs"]
    for place in places:
        if os.access(place / "instances", os.W_OK | os.X_OK):
            return place
    if places:
        raise TracingUnavailable(
            f"{places[0]} must not be written by this user; run as root, or inside the microVM: "
            "`labkit vm exec -- ...`"
        )
    if "tracefs" not in Path("/proc/filesystems").read_text(encoding="utf-8"):
        raise TracingUnavailable(
            "this kernel was built without tracing (CONFIG_TRACING); use the lab's kernel: "
            "`labkit vm exec -- ...`"
        )
    raise TracingUnavailable(
        "tracefs is not mounted; as root: mount -t tracefs nodev /sys/kernel/tracing"
    )


class KernelTracer:
    """Records the tracepoints of threads while it is entered.

        with KernelTracer() as tracer:
            ...
        tracer.trace.events

    Args:
        tids: threads to follow; None: all threads of this process. Threads they make are followed
            too.
        buffer_kb: size of the kernel's buffer for each CPU, KiB. When it is full, what follows is
            lost and counted, and rows of kind `lost` say from when on.

    Raises:
        TracingUnavailable: the kernel's tracing cannot be used here, with what to do.
    """

    def __init__(self, tids: Iterable[int] | None = None, buffer_kb: int = 16384) -> None:
        if buffer_kb < 4:
            raise ValueError(f"buffer_kb is {buffer_kb}; give at least 4 KiB")
        self._follow = list(tids) if tids is not None else _own_threads()
        self._keep: frozenset[int] | None = None if tids is None else frozenset(self._follow)
        self._buffer_kb = buffer_kb
        self._root = tracefs()
        self._dir = self._root / "instances" / f"{_INSTANCE}-{os.getpid()}-{id(self):x}"
        self._formats: dict[int, Format] = {}
        self._missing: list[str] = []
        self._began = 0
        self.trace = KernelTrace()

    def __enter__(self) -> Self:
        _remove_stale(self._root)
        try:
            self._dir.mkdir()
            self._write("tracing_on", "0")
            self._write("trace_clock", "mono")
            self._write("buffer_size_kb", str(self._buffer_kb))
            # What is full keeps what it has: then it is known from when on something is missing.
            self._write("options/overwrite", "0")
            self._write("options/event-fork", "1")
            self._write("set_event_pid", " ".join(map(str, self._follow)))
            self._enable()
            self._began = time.monotonic_ns()
            self._write("tracing_on", "1")
        except BaseException as error:
            self._remove()
            if isinstance(error, OSError):
                raise TracingUnavailable(
                    f"the kernel refused to trace ({error.strerror}: {error.filename}); "
                    "run as root, or inside the microVM: `labkit vm exec -- ...`"
                ) from error
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._write("tracing_on", "0")
            self.trace = self._read(time.monotonic_ns())
        finally:
            self._remove()

    def _write(self, name: str, text: str) -> None:
        with open(self._dir / name, "w", encoding="utf-8") as file:
            file.write(text)

    def _enable(self) -> None:
        wanted = [f"sched/{e}" for e in SCHED_EVENTS]
        umcg = sorted(p.parent for p in (self._dir / "events/umcg").glob("*/format"))
        wanted += [f"umcg/{p.name}" for p in umcg]
        if not umcg:
            self._missing.append("umcg")
        for event in wanted:
            folder = self._dir / "events" / event
            if not folder.is_dir():
                self._missing.append(event.replace("/", ":"))
                continue
            layout = Format.parse((folder / "format").read_text(encoding="utf-8"))
            self._formats[layout.number] = layout
            self._write(f"events/{event}/enable", "1")

    def _read(self, ended: int) -> KernelTrace:
        header, size = page_size((self._root / "events/header_page").read_text(encoding="utf-8"))
        buffers, lost = [], 0
        full: dict[int, int] = {}
        for cpu_dir in sorted((self._dir / "per_cpu").glob("cpu[0-9]*")):
            cpu = int(cpu_dir.name.removeprefix("cpu"))
            _, gone = lost_by_stats((cpu_dir / "stats").read_text(encoding="utf-8"))
            lost += gone
            pages = _pages(cpu_dir / "trace_pipe_raw", size)
            buffers.append(ringbuffer.read(pages, cpu, self._formats, header, size))
            if gone:
                last = buffers[-1].last
                full[cpu] = self._began if last is None else last
        trace = KernelTrace(lost=lost, missing=tuple(self._missing))
        table = tracepoints.join(ringbuffer.rows(buffers, trace), self._threads())
        trace.events = _with_losses(table, full, ended)
        return trace

    def _threads(self) -> frozenset[int] | None:
        """Threads whose rows are kept: those asked for, and those they made meanwhile."""
        if self._keep is None:
            return None
        followed = (self._dir / "set_event_pid").read_text(encoding="utf-8").split()
        return self._keep | {int(tid) for tid in followed}

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self._write("tracing_on", "0")
            self._write("events/enable", "0")
        with contextlib.suppress(OSError):
            self._dir.rmdir()


def _with_losses(events: pl.DataFrame, full: dict[int, int], until: int) -> pl.DataFrame:
    """The table with rows that say from when on (ns) events of the CPUs in `full` are missing.

    A task's states may change on any CPU.
    """
    if not full:
        return events
    told = events.filter(pl.col("kind").cast(pl.String).str.starts_with("umcg_"))["tid"].unique()
    parts = [loss.rows([(0, "lost", t, until)], cpu) for cpu, t in full.items()]
    parts.append(loss.rows([(tid, "lost", min(full.values()), until) for tid in sorted(told)]))
    return schema.sort(pl.concat([events, *parts]))


def _own_threads() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc/self/task"))


def _remove_stale(root: Path) -> None:
    """Remove the instances of tracers that were killed."""
    for old in (root / "instances").glob(f"{_INSTANCE}-*"):
        pid = old.name.split("-")[1]
        if not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                old.rmdir()


def _pages(path: Path, size: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    pages = []
    try:
        while page := os.read(fd, size):
            pages.append(page.ljust(size, b"\0"))
    except BlockingIOError:
        pass
    finally:
        os.close(fd)
    return b"".join(pages)
