# SPDX-License-Identifier: MIT
"""Files and folders that other tools have written: what they are, by content, and their events.

What cannot be read is refused in one sentence that says what it is and what to do.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from labkit.trace import ringbuffer, text, tracepoints
from labkit.trace.errors import ClockMismatch, ForeignFile, TracingUnavailable, TruncatedFile
from labkit.trace.tracepoints import KernelTrace

#: How files begin that are no text.
_MAGIC = {
    b"\x17\x08\x44tracing": "trace.dat",
    b"PERFILE2": "perf.data",
    b"PAR1": "parquet",
    b"\x1f\x8b": "gzip",
    b"(\xb5/\xfd": "zstd",
}

_ADVICE = {
    "perf.data": "it is perf.data: import the text that `perf script -i FILE` prints",
    "parquet": "it is a Parquet file: a run is opened by labkit.load, `labkit report` and so on",
    "gzip": "it is compressed: import what `gunzip` makes of it",
    "zstd": "it is compressed: import what `unzstd` makes of it",
}

_WANTED = (
    "the text of trace-cmd report, perf script, ftrace's trace or systrace (also its HTML), "
    "trace.dat, or a folder with per-CPU pages and format files"
)

#: Trace and nothing else in a page of systrace: today's form, and the one before.
_IN_HTML = (
    re.compile(r'<script[^>]*class="trace-data"[^>]*>(.*?)</script>', re.S),
    re.compile(r'linuxPerfData\s*=\s*"(.*?)";', re.S),
)

#: A file of pages says whose they are: `per_cpu/cpu0/trace_pipe_raw`, `cpu0.raw`, `trace.dat.cpu0`.
_CPU = re.compile(r"cpu(\d+)")
_NO_PAGES = {"stats", "trace", "trace_pipe", "buffer_size_kb", "snapshot", "snapshot_raw", "format"}


@dataclass
class Foreign:
    """A trace that others made.

    Attributes:
        form: what it is, in words.
        trace: what it holds.
        notes: what its reader must know, a sentence each.
        clock: the clock's name, where it is said.
    """

    form: str
    trace: KernelTrace
    notes: list[str] = field(default_factory=list)
    clock: str = ""


def read(path: Path) -> Foreign:
    """Read a trace.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ForeignFile: it is nothing that can be read, with what it is.
        TruncatedFile: it is empty.
        TracingUnavailable: it needs a program that is not installed, with its package.
        ClockMismatch: its parts were recorded on different clocks.
    """
    if path.is_dir():
        return _folder(path)
    data = path.read_bytes()
    if not data.strip():
        raise TruncatedFile(f"{path} is empty; record the trace again")
    kind = next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "")
    if kind == "trace.dat":
        return _trace_dat(path)
    if kind:
        raise ForeignFile(f"{path} cannot be imported: {_ADVICE[kind].replace('FILE', str(path))}")
    if b"\0" in data:
        raise ForeignFile(f"{path} is a binary file of no kind that can be imported: {_WANTED}")
    written = data.decode(errors="replace").removeprefix("\ufeff")
    form = "text"
    if re.match(r"\s*<(!doctype|html)", written, re.I):
        form, written = "systrace HTML", _from_html(path, written)
    trace = _parse(path, written)
    if trace.events.is_empty():
        raise ForeignFile(f"{path} has no event that could be shown{_why(trace)}")
    return Foreign(form if form != "text" else _form(written), trace)


def _parse(path: Path, written: str) -> KernelTrace:
    try:
        return text.parse(written)
    except ClockMismatch as error:
        raise ClockMismatch(f"{path}: {error}") from None


def _why(trace: KernelTrace) -> str:
    if trace.unknown:
        names = ", ".join(sorted(trace.unknown)[:5])
        return f": it has {names}; record sched_switch and sched_wakeup, too (-e sched)"
    bad = f" ({trace.first_bad})" if trace.first_bad else ""
    return f"{bad}; what can be imported: {_WANTED}"


def _form(written: str) -> str:
    """Which tool has printed this, as far as it shows; for the run's own description."""
    head = written[:4096]
    if head.startswith(("cpus=", "version =")):
        return "trace-cmd report"
    if "# tracer:" in head:
        return "systrace" if "TRACE:" in head else "ftrace"
    return "perf script" if re.search(r"\d: +\w+:\w+: ", head) else "text"


def _from_html(path: Path, page: str) -> str:
    for pattern in _IN_HTML:
        blocks = [str(block) for block in pattern.findall(page)]
        # Other blocks hold a list of processes, or JSON.
        traces = [block for block in blocks if "# tracer" in block or ": sched_" in block]
        if traces:
            return "\n".join(_unescaped(block) for block in traces)
    raise ForeignFile(f"{path} is an HTML page without a trace in it: systrace's has one")


def _unescaped(block: str) -> str:
    """The older form is a string of JavaScript: each line ends in an escaped end of line."""
    return block.removeprefix("\\").replace("\\n\\", "").replace("\\n", "\n")


def _trace_dat(path: Path) -> Foreign:
    command = shutil.which("trace-cmd")
    if not command:
        raise TracingUnavailable(
            f"{path} is a trace.dat, which trace-cmd reads; it is not installed: Debian package "
            f"trace-cmd. Or import the text that `trace-cmd report -i {path}` prints elsewhere"
        )
    # Raw fields, as plugins leave some of them out; times to the nanosecond.
    done = subprocess.run(
        [command, "report", "-R", "-t", "-i", str(path)],
        capture_output=True,
        check=False,
        errors="replace",
        text=True,
    )
    if done.returncode:
        said = (done.stderr.strip() or "no reason given").splitlines()[-1].strip()
        raise TruncatedFile(f"{path}: trace-cmd cannot read it ({said}); copy or record it again")
    trace = _parse(path, done.stdout)
    if trace.events.is_empty():
        raise ForeignFile(f"{path} has no event that could be shown{_why(trace)}")
    return Foreign("trace.dat", trace)


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _folder(path: Path) -> Foreign:
    formats = {}
    for file in sorted({*path.rglob("format"), *path.rglob("*.format")}):
        layout = ringbuffer.Format.parse(_text(file))
        layout.check()
        formats[layout.number] = layout
    pages = sorted(
        (int(number[-1]), file)
        for file in path.rglob("*")
        if file.is_file()
        and file.name not in _NO_PAGES
        and (number := _CPU.findall(str(file.relative_to(path))))
    )
    if not formats or not any(file.stat().st_size for _, file in pages):
        lacks = "per-CPU pages (per_cpu/cpu0/trace_pipe_raw)" if formats else "format files"
        raise ForeignFile(
            f"{path} is a folder without {lacks}; copy events/*/*/format and per_cpu/*/"
            "trace_pipe_raw of tracefs into it"
        )
    header, size = ringbuffer.HEADER, ringbuffer.PAGE
    for file in path.rglob("header_page"):
        header, size = ringbuffer.page_size(_text(file))
    trace = KernelTrace()
    notes: list[str] = []
    buffers, overwritten = [], {}
    for cpu, file in pages:
        data = file.read_bytes()
        if len(data) % size:
            notes.append(
                f"{file.relative_to(path)} ends inside a page: its last {len(data) % size} bytes "
                "were left out"
            )
        try:
            buffers.append(ringbuffer.read(data, cpu, formats, header, size))
        except ForeignFile as error:
            raise ForeignFile(f"{file}: {error}") from None
        with contextlib.suppress(FileNotFoundError):
            oldest, newest = ringbuffer.lost_by_stats(_text(file.parent / "stats"))
            trace.lost += newest
            overwritten[cpu] = oldest
    _same_clock(path, buffers)
    firsts = [buffer.first for buffer in buffers if buffer.first is not None]
    for (cpu, _), buffer in zip(pages, buffers, strict=True):
        # The pages tell of the same losses as the counter of what was overwritten.
        trace.lost += max(buffer.missed, overwritten.get(cpu, 0))
        trace.gaps += [(cpu, begin, end) for begin, end in buffer.gaps if end > begin]
        if overwritten.get(cpu) and buffer.first is not None:
            trace.gaps.append((cpu, min(firsts), buffer.first))
    trace.events = tracepoints.join(ringbuffer.rows(buffers, trace))
    trace.names = _names(path, buffers)
    if trace.events.is_empty():
        raise ForeignFile(f"{path} has no event that could be shown{_why(trace)}")
    return Foreign("ring-buffer pages", trace, notes, _clock(path))


def _same_clock(path: Path, buffers: list[ringbuffer.Buffer]) -> None:
    """Buffers of one recording are from one stretch of time."""
    spans = [(b.first, b.last) for b in buffers if b.first is not None and b.last is not None]
    begin, end = spans[0] if spans else (0, 0)
    for first, last in spans[1:]:
        away = max(first - end, begin - last)
        if away > max(10 * 10**9, 10 * (end - begin)):
            raise ClockMismatch(
                f"{path}: the CPUs' pages are {away / 1e9:.0f} s apart, so they were not recorded "
                "together or not on one clock; record with trace_clock mono"
            )
        begin, end = min(begin, first), max(end, last)


def _names(path: Path, buffers: list[ringbuffer.Buffer]) -> dict[int, str]:
    names: dict[int, str] = {}
    for file in path.rglob("saved_cmdlines"):
        for line in _text(file).splitlines():
            tid, _, name = line.strip().partition(" ")
            if tid.isdecimal() and int(tid) <= tracepoints.MOST_TIDS and not name.startswith("<"):
                names[int(tid)] = name
    for buffer in buffers:
        for _, table in buffer.tables:
            names |= text.names_in(table)
    return names


def _clock(path: Path) -> str:
    for file in path.rglob("trace_clock"):
        if chosen := re.search(r"\[(\S+)\]", _text(file)):
            return chosen[1]
    return ""
