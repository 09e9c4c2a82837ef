# SPDX-License-Identifier: MIT
"""The pages of the kernel's ring buffer, and the events in them, by the `format` files of tracefs.

Source: Documentation/trace/ring-buffer-design.rst of Linux, `events/header_page`, `header_event`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.trace import tracepoints
from labkit.trace.errors import ForeignFile, TracingUnavailable
from labkit.trace.tracepoints import KernelTrace

#: Where a page's data begin, and its size, when no `header_page` says so.
HEADER, PAGE = 16, 4096

_FIELD = re.compile(r"field:(?P<decl>[^;]+);\s*offset:(\d+);\s*size:(\d+);\s*signed:(\d+);")
_DATA = re.compile(r"field: char data;\s*offset:(\d+);\s*size:(\d+);")
_CODES = {1: "i1", 2: "i2", 4: "i4", 8: "i8"}
_WORD, _WORDS, _PAGE_START = struct.Struct("<I"), struct.Struct("<II"), struct.Struct("<QQ")

#: Bits of a page's length: events were lost before it; how many stands behind its data.
_MISSED, _MISSED_COUNT, _LENGTH = 1 << 31, 1 << 30, 0xFFFFF

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Format:
    """The layout of one tracepoint, from its `format` file.

    Attributes:
        name: of the tracepoint.
        number: what its events begin with.
        numbers: NumPy type and offset of each numeric field.
        texts: offset and size of each text of fixed size.
    """

    name: str
    number: int
    numbers: Mapping[str, tuple[str, int]]
    texts: Mapping[str, tuple[int, int]]

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
        numbers: dict[str, tuple[str, int]] = {}
        texts: dict[str, tuple[int, int]] = {}
        for found in _FIELD.finditer(text):
            decl, offset, size = found["decl"].strip(), int(found[2]), int(found[3])
            key = decl.split()[-1].split("[")[0]
            if offset + size > _LENGTH:
                raise TracingUnavailable(f"the format file of {name[1]} places {key} in no page")
            if decl.startswith("__data_loc"):
                continue
            if re.match(r"char \w+\[", decl):
                texts[key] = (offset, size)
            elif size in _CODES and "[" not in decl:
                code = _CODES[size] if found[4] == "1" else _CODES[size].replace("i", "u")
                numbers[key] = (f"<{code}", offset)
        return cls(name[1], int(number[1]), numbers, texts)

    def table(self, data: Bytes, starts: Ints) -> pl.DataFrame:
        """The fields of the events that begin at `starts`: numbers as int64, texts as String."""
        columns: dict[str, pl.Series] = {"row": pl.Series(np.arange(len(starts)))}
        for key, (code, offset) in self.numbers.items():
            raw = _gather(data, starts + offset, np.dtype(code).itemsize)
            columns[key] = pl.Series(raw.view(code).ravel().astype(np.int64))
        for key, (offset, size) in self.texts.items():
            columns[key] = _texts(_gather(data, starts + offset, size))
        return pl.DataFrame(columns)

    def check(self) -> None:
        """Fail if fields are missing that a row of the event table is made of.

        Raises:
            TracingUnavailable: they are.
        """
        if self.name in tracepoints.ROWS:
            _, needed = tracepoints.ROWS[self.name]
            missing = {"common_pid", *needed} - self.numbers.keys()
            if missing:
                raise TracingUnavailable(
                    f"the format file of {self.name} has no field {', '.join(sorted(missing))}"
                )


def _gather(data: Bytes, starts: Ints, size: int) -> Bytes:
    """`size` bytes from each of `starts`, shape (events, size)."""
    if len(starts) and starts.max() + size > len(data):
        raise ForeignFile("an event ends beyond its page: the format files are of another kernel")
    return np.ascontiguousarray(data[starts[:, None] + np.arange(size)])


def _texts(raw: Bytes) -> pl.Series:
    """Bytes up to the first zero, as text; each that is different is made once."""
    rows = raw.view(f"V{raw.shape[1]}").ravel()
    codes: dict[bytes, int] = {}
    index = [codes.setdefault(row, len(codes)) for row in rows.tolist()]
    names = [text.split(b"\0")[0].decode(errors="replace") for text in codes]
    return pl.Series(names, dtype=pl.String).gather(index)


def page_size(header_page: str) -> tuple[int, int]:
    """Where a page's data begin, and its size, from the text of `events/header_page`.

    Raises:
        TracingUnavailable: it does not look like one.
    """
    data = _DATA.search(header_page)
    if not data:
        raise TracingUnavailable("events/header_page of tracefs cannot be read")
    return int(data[1]), int(data[1]) + int(data[2])


def lost_by_stats(text: str) -> tuple[int, int]:
    """Events of a CPU that were lost, from the text of `per_cpu/cpuN/stats`.

    Returns:
        The oldest, which newer ones have overwritten, and the newest, for which there was no room.
    """
    oldest = re.findall(r"^overrun: (\d+)", text, re.M)
    newest = re.findall(r"^(?:commit overrun|dropped events): (\d+)", text, re.M)
    return sum(map(int, oldest)), sum(map(int, newest))


def _entries(page: memoryview, header: int) -> Iterator[tuple[int, int, int]]:
    """(time in ns, begin, length) of every event of a page."""
    t, commit = _PAGE_START.unpack_from(page)
    at, end = header, header + (commit & _LENGTH)
    if end > len(page):
        raise ForeignFile("a page says that it is longer than a page: this is no ring buffer")
    while at + 4 <= end:
        (word,) = _WORD.unpack_from(page, at)
        kind, delta = word & 0x1F, word >> 5
        if 0 < kind < 29:
            t += delta
            yield t, at + 4, kind * 4
            at += 4 + kind * 4
        elif kind == 0:
            t += delta
            length = _WORD.unpack_from(page, at + 4)[0] - 4
            yield t, at + 8, length
            at += 8 + (length + 3 & ~3)
        elif kind == 29:  # padding, to the end of the page when it has no length
            if delta == 0:
                return
            at += 4 + _WORD.unpack_from(page, at + 4)[0]
            t += delta
        else:
            more = _WORD.unpack_from(page, at + 4)[0] << 27 | delta
            # An absolute time has 59 bits; the uppermost five stay.
            t = t + more if kind == 30 else (t & ~((1 << 59) - 1)) | more
            at += 8


def page_events(page: memoryview, header: int) -> Iterator[tuple[int, memoryview]]:
    """(time in ns, bytes) of every event of a page, whose data begin at `header`."""
    for t, start, length in _entries(page, header):
        yield t, page[start : start + length]


def _missed(page: memoryview, header: int) -> int:
    """Events that were lost before a page; at least one where the kernel does not say how many."""
    (_, commit) = _PAGE_START.unpack_from(page)
    if not commit & _MISSED:
        return 0
    end = header + (commit & _LENGTH)
    if commit & _MISSED_COUNT and end + 8 <= len(page):
        return int(struct.unpack_from("<Q", page, end)[0])
    return 1


@dataclass
class Buffer:
    """What one CPU's pages hold.

    Attributes:
        tables: one a tracepoint: its name, and its fields with `t`, `cpu` and `row`.
        unknown: events of tracepoints without a format file, by number.
        missed: events that the pages say were lost.
        gaps: from and until when, ns, for each page before which some were.
        first, last: the times of the first and the last event, ns; None: there is none.
    """

    tables: list[tuple[str, pl.DataFrame]]
    unknown: dict[str, int]
    missed: int
    gaps: list[tuple[int, int]]
    first: int | None
    last: int | None


def read(
    pages: bytes, cpu: int, formats: Mapping[int, Format], header: int = HEADER, size: int = PAGE
) -> Buffer:
    """Every event of a CPU's pages.

    Args:
        pages: whole pages, one after another, as `trace_pipe_raw` gives them.
        cpu: whose they are.
        formats: layouts by their number.
        header: where a page's data begin.
        size: of a page.

    Raises:
        ForeignFile: these are no pages of a ring buffer.
    """
    view, missed = memoryview(pages), 0
    times: list[int] = []
    starts: list[int] = []
    gaps: list[tuple[int, int]] = []
    for begin in range(0, len(pages) - size + 1, size):
        page = view[begin : begin + size]
        if before := _missed(page, header):
            missed += before
            begins = _PAGE_START.unpack_from(page)[0]
            gaps.append((times[-1] if times else begins, begins))
        try:
            for t, start, _ in _entries(page, header):
                times.append(t)
                starts.append(begin + start)
        except struct.error:
            raise ForeignFile("an event does not end in its page: this is no ring buffer") from None
    data = np.frombuffer(pages, np.uint8)
    if times and not 0 <= min(times) <= max(times) < 2**63:
        raise ForeignFile("its times are beyond all bounds: this is no ring buffer, or damaged")
    at, at_ns = np.array(starts, np.int64), np.array(times, np.int64)
    numbers = _gather(data, at, 2).view("<u2").ravel() if len(at) else np.zeros(0, np.uint16)
    tables, unknown = [], {}
    for number in np.unique(numbers).tolist():
        mine = np.flatnonzero(numbers == number)
        layout = formats.get(number)
        if layout is None:
            unknown[f"number {number}"] = len(mine)
            continue
        fields = layout.table(data, at[mine])
        placed = {"t": at_ns[mine], "cpu": np.full(len(mine), cpu), "row": mine}
        placed_columns = [pl.Series(name, values) for name, values in placed.items()]
        tables.append((layout.name, fields.with_columns(placed_columns)))
    first, last = (int(at_ns.min()), int(at_ns.max())) if len(at) else (None, None)
    return Buffer(tables, unknown, missed, gaps, first, last)


def rows(buffers: Iterable[Buffer], trace: KernelTrace) -> list[pl.DataFrame]:
    """The buffers' events as rows of the event table; `trace` counts those that have none."""
    made = []
    for buffer in buffers:
        for name, count in buffer.unknown.items():
            trace.unknown[name] = trace.unknown.get(name, 0) + count
        for name, table in buffer.tables:
            if name not in tracepoints.ROWS:
                trace.unknown[name] = trace.unknown.get(name, 0) + table.height
                continue
            made.append(tracepoints.rows(name, table))
            if strange := table.height - made[-1].height:
                trace.bad += strange
                trace.first_bad = trace.first_bad or f"a {name} with numbers that cannot be"
    return made
