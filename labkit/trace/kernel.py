# SPDX-License-Identifier: MIT
"""The kernel's tracepoints as rows of the event table: `umcg:*` and the scheduler's.

A `KernelTracer` records into a tracing instance of its own, so whoever else traces is not
disturbed. It sets the instance's clock to `mono`, which is the event table's, and reads the raw
per-CPU buffers, because the text files round times to microseconds. The layout of every event
comes from its `format` file. Text that somebody has saved (`cat trace`, `trace-cmd report`) is
read by `parse_text`.

Source of the formats: Documentation/trace/ftrace.rst, events.rst and ring-buffer-design.rst of
Linux.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from labkit.record import EVENT_SCHEMA, KERNEL_KINDS, STATES, empty
from labkit.trace import schema
from labkit.trace.errors import TracingUnavailable

#: Tracepoints of the scheduler that are recorded beside all of `umcg:*`.
SCHED_EVENTS = ("sched_switch", "sched_wakeup", "sched_waking", "sched_migrate_task")

_STATE_BITS = {"R": 0, "S": 1, "D": 2, "T": 4, "t": 8, "X": 16, "Z": 32, "P": 64, "I": 128}
_FLAG_BITS = {"locked": 0x40, "preempted": 0x80}
_STATE_MASK, _FULL_MASK = 0x3F, 0x3FFFF
_INSTANCE = "labkit"

Fields = dict[str, Any]


@dataclass
class KernelTrace:
    """What the kernel recorded.

    Attributes:
        events: event table. `sched_switch`: `tid` comes on `cpu`, `peer` leaves it, `arg` is the
            leaver's state (0: it could go on). `sched_wakeup`, `sched_waking`: `tid` is woken for
            `cpu` by `peer`. `sched_migrate_task`: `tid` moves to `cpu` from CPU `arg`. `umcg_*`:
            `tid` goes from `old` to `new`.
        lost: events that the kernel dropped because the buffer was full.
        missing: tracepoints that this kernel does not have.
        unknown: events that have no row in the table, by name.
    """

    events: pl.DataFrame = field(default_factory=lambda: empty(EVENT_SCHEMA))
    lost: int = 0
    missing: tuple[str, ...] = ()
    unknown: dict[str, int] = field(default_factory=dict)


def tracefs() -> Path:
    """The folder where tracefs is mounted.

    Raises:
        TracingUnavailable: it is not mounted or must not be used, with what to do.
    """
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    places = [Path(m.split()[1]) for m in mounts if m.split()[2] == "tracefs"]
    for place in places:
        if os.access(place / "instances", os.W_OK | os.X_OK):
            return place
    if places:
        raise TracingUnavailable(
            f"{places[0]} must not be written by this user; run as root, or inside the microVM: "
            "`labkit vm exec -- ...`"
        )
    if "tracefs" not in Path("/proc/filesystems").read_text():
        raise TracingUnavailable(
            "this kernel was built without tracing (CONFIG_TRACING); use the lab's kernel: "
            "`labkit vm exec -- ...`"
        )
    raise TracingUnavailable(
        "tracefs is not mounted; as root: mount -t tracefs nodev /sys/kernel/tracing"
    )


def _sched_switch(f: Fields) -> Fields:
    return {"tid": f["next_pid"], "peer": f["prev_pid"], "arg": _sched_state(f["prev_state"])}


def _sched_wake(f: Fields) -> Fields:
    return {"tid": f["pid"], "peer": f["common_pid"], "cpu": f["target_cpu"]}


def _sched_migrate(f: Fields) -> Fields:
    return {"tid": f["pid"], "cpu": f["dest_cpu"], "arg": f["orig_cpu"]}


def _umcg(f: Fields) -> Fields:
    old, _ = _state_word(f.get("old", 0))
    new, flags = _state_word(f.get("new", 0))
    return {
        "tid": f.get("tid", f["common_pid"]),
        "peer": f.get("peer", 0),
        "old": old,
        "new": new,
        "flags": flags,
    }


def _sched_state(value: Any) -> int:
    if isinstance(value, int):
        return value & 0xFF
    return sum(_STATE_BITS.get(letter, 0) for letter in str(value).rstrip("+").split("|"))


def _state_word(value: Any) -> tuple[str, int]:
    """State and flags of a state word, given as number or as `running(locked|preempted)`."""
    if isinstance(value, int):
        number = value & _STATE_MASK
        state = STATES[number] if number < len(STATES) else "none"
        return state, value & _FULL_MASK & ~_STATE_MASK
    name, _, flags = str(value).rstrip(")").partition("(")
    bits = 0
    for flag in filter(None, flags.split("|")):
        with contextlib.suppress(ValueError):
            bits |= _FLAG_BITS[flag] if flag in _FLAG_BITS else int(flag, 0)
    return name if name in STATES else "none", bits & _FULL_MASK & ~_STATE_MASK


_ROWS: dict[str, Callable[[Fields], Fields]] = {
    "sched_switch": _sched_switch,
    "sched_wakeup": _sched_wake,
    "sched_waking": _sched_wake,
    "sched_migrate_task": _sched_migrate,
    **{kind: _umcg for kind in KERNEL_KINDS if kind.startswith("umcg_")},
}


class _Rows:
    """Rows in the making, of the threads asked for."""

    def __init__(self, tids: Iterable[int] | None) -> None:
        self.tids = None if tids is None else frozenset(tids)
        self.rows: list[tuple[Any, ...]] = []
        self.unknown: dict[str, int] = {}

    def add(self, name: str, t: int, cpu: int, fields: Fields) -> None:
        make = _ROWS.get(name)
        if make is None:
            self.unknown[name] = self.unknown.get(name, 0) + 1
            return
        row = {"old": "none", "new": "none", "flags": 0, "peer": 0, "arg": 0, "cpu": cpu}
        row |= make(fields)
        if self.tids is None or row["tid"] in self.tids or row["peer"] in self.tids:
            row |= {"t": t, "kind": name}
            self.rows.append(tuple(row[c] for c in EVENT_SCHEMA))

    def table(self) -> pl.DataFrame:
        table = pl.DataFrame(self.rows, schema=EVENT_SCHEMA, orient="row")
        return schema.validate(schema.sort(table))


# --- the raw ring buffer ------------------------------------------------------------------------

_FIELD = re.compile(r"field:(?P<decl>[^;]+);\s*offset:(\d+);\s*size:(\d+);\s*signed:(\d+);")
_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}


@dataclass(frozen=True)
class Format:
    """The layout of one tracepoint, from its `format` file: numeric fields and strings are read."""

    name: str
    number: int
    readers: tuple[tuple[str, struct.Struct, int, bool], ...]

    @classmethod
    def parse(cls, text: str) -> Format:
        """Read the text of a `format` file.

        Raises:
            TracingUnavailable: it does not look like one.
        """
        name = re.search(r"^name:\s*(\S+)", text, re.M)
        number = re.search(r"^ID:\s*(\d+)", text, re.M)
        if not name or not number:
            raise TracingUnavailable("a tracepoint's format file cannot be read; is this tracefs?")
        readers = []
        for found in _FIELD.finditer(text):
            decl, offset, size = found["decl"].strip(), int(found[2]), int(found[3])
            key = decl.split()[-1].split("[")[0]
            is_string = decl.startswith("__data_loc")
            if "[" in decl and not is_string:
                continue
            if size in _CODES:
                code = _CODES[size] if found[4] == "1" else _CODES[size].upper()
                readers.append((key, struct.Struct("<" + code), offset, is_string))
        return cls(name[1], int(number[1]), tuple(readers))

    def read(self, data: memoryview) -> Fields:
        """The fields of one event's bytes."""
        fields: Fields = {}
        for key, unpacker, offset, is_string in self.readers:
            value = unpacker.unpack_from(data, offset)[0]
            if is_string:
                start, length = value & 0xFFFF, value >> 16
                value = bytes(data[start : start + length]).split(b"\0")[0].decode(errors="replace")
            fields[key] = value
        return fields


def page_events(page: memoryview, header: int) -> Iterator[tuple[int, memoryview]]:
    """(time in ns, bytes) of every event of a ring buffer's page, whose data begin at `header`."""
    t, commit = struct.unpack_from("<QQ", page)
    at, end = header, header + (commit & 0xFFFFF)
    while at + 4 <= end:
        (word,) = struct.unpack_from("<I", page, at)
        kind, delta = word & 0x1F, word >> 5
        if kind == 29:  # padding, to the end of the page when it has no length
            if delta == 0:
                return
            at += 4 + struct.unpack_from("<I", page, at + 4)[0]
            t += delta
        elif kind in (30, 31):
            more = struct.unpack_from("<I", page, at + 4)[0] << 27 | delta
            # An absolute time has 59 bits; the uppermost five stay.
            t = t + more if kind == 30 else (t & ~((1 << 59) - 1)) | more
            at += 8
        else:
            t += delta
            start = at + 4
            length = kind * 4
            if kind == 0:
                length = struct.unpack_from("<I", page, at + 4)[0] - 4
                start += 4
            yield t, page[start : start + length]
            at = start + (length + 3 & ~3)


class KernelTracer:
    """Records the tracepoints of threads while it is entered.

        with KernelTracer() as tracer:
            ...
        tracer.trace.events

    Args:
        tids: threads to follow; None: all threads of this process. Threads they make are followed
            too.
        buffer_kb: size of the kernel's buffer for each CPU, KiB. When it is full, the oldest events
            are lost and counted.

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
        self.trace = KernelTrace()

    def __enter__(self) -> Self:
        _remove_stale(self._root)
        try:
            self._dir.mkdir()
            self._write("tracing_on", "0")
            self._write("trace_clock", "mono")
            self._write("buffer_size_kb", str(self._buffer_kb))
            self._write("options/event-fork", "1")
            self._write("set_event_pid", " ".join(map(str, self._follow)))
            self._enable()
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
            self.trace = self._read()
        finally:
            self._remove()

    def _write(self, name: str, text: str) -> None:
        with open(self._dir / name, "w") as file:
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
            layout = Format.parse((folder / "format").read_text())
            self._formats[layout.number] = layout
            self._write(f"events/{event}/enable", "1")

    def _read(self) -> KernelTrace:
        text = (self._root / "events/header_page").read_text()
        data = re.search(r"field: char data;\s*offset:(\d+);\s*size:(\d+);", text)
        if not data:
            raise TracingUnavailable("events/header_page of tracefs cannot be read")
        header, size = int(data[1]), int(data[1]) + int(data[2])
        rows, lost = _Rows(self._threads()), 0
        for cpu_dir in sorted((self._dir / "per_cpu").glob("cpu[0-9]*")):
            cpu = int(cpu_dir.name.removeprefix("cpu"))
            stats = (cpu_dir / "stats").read_text()
            lost += sum(
                int(n)
                for n in re.findall(
                    r"^(?:overrun|commit overrun|dropped events): (\d+)", stats, re.M
                )
            )
            for page in _pages(cpu_dir / "trace_pipe_raw", size):
                for t, event in page_events(page, header):
                    layout = self._formats.get(int.from_bytes(event[:2], "little"))
                    if layout:
                        rows.add(layout.name, t, cpu, layout.read(event))
        return KernelTrace(rows.table(), lost, tuple(self._missing), rows.unknown)

    def _threads(self) -> frozenset[int] | None:
        """Threads whose rows are kept: those asked for, and those they made meanwhile."""
        if self._keep is None:
            return None
        followed = (self._dir / "set_event_pid").read_text().split()
        return self._keep | {int(tid) for tid in followed}

    def _remove(self) -> None:
        with contextlib.suppress(OSError):
            self._write("tracing_on", "0")
            self._write("events/enable", "0")
        with contextlib.suppress(OSError):
            self._dir.rmdir()


def _own_threads() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc/self/task"))


def _remove_stale(root: Path) -> None:
    """Remove the instances of tracers that were killed."""
    for old in (root / "instances").glob(f"{_INSTANCE}-*"):
        pid = old.name.split("-")[1]
        if not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                old.rmdir()


def _pages(path: Path, size: int) -> Iterator[memoryview]:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        while page := os.read(fd, size):
            yield memoryview(page)
    except BlockingIOError:
        return
    finally:
        os.close(fd)


# --- text ---------------------------------------------------------------------------------------

_LINE = re.compile(
    r"^\s*.+-(?P<pid>\d+)\s+(?:\(\s*[\d-]+\)\s+)?\[(?P<cpu>\d+)\]\s+(?:[\w.#]+\s+)?"
    r"(?P<s>\d+)\.(?P<frac>\d+):\s+(?:\w+:)?(?P<event>\w+):\s+(?P<rest>.*)$"
)
_PAIR = re.compile(r"(\w+)=(\w+\([^)\s]*\)|[^\s]+)")
_WRITTEN = re.compile(r"entries-in-buffer/entries-written:\s*(\d+)/(\d+)")
_LOST = re.compile(r"\[LOST (\d+) EVENTS\]")


def parse_text(lines: Iterable[str], tids: Iterable[int] | None = None) -> KernelTrace:
    """Read the text of `trace`, `trace_pipe` or `trace-cmd report`, recorded with trace_clock mono.

    Lines that are no event are passed over. Times in text are rounded to a microsecond, so events
    of one microsecond may be out of order with those of other sources.

    Args:
        lines: the text, line by line.
        tids: keep only rows about these threads; None: all.
    """
    rows, lost = _Rows(tids), 0
    for line in lines:
        if line.startswith("#") or "[LOST " in line:
            if written := _WRITTEN.search(line):
                lost += int(written[2]) - int(written[1])
            elif dropped := _LOST.search(line):
                lost += int(dropped[1])
            continue
        found = _LINE.match(line)
        if not found:
            continue
        fields: Fields = {"common_pid": int(found["pid"])}
        for key, value in _PAIR.findall(found["rest"]):
            fields[key] = int(value) if re.fullmatch(r"-?\d+", value) else value
        t = int(found["s"]) * 10**9 + int(found["frac"].ljust(9, "0")[:9])
        try:
            rows.add(found["event"], t, int(found["cpu"]), fields)
        except KeyError:
            rows.unknown[found["event"]] = rows.unknown.get(found["event"], 0) + 1
    return KernelTrace(rows.table(), lost, (), rows.unknown)
