# SPDX-License-Identifier: MIT
"""The timeline as SVG: in the widget, in saved notebooks, in pages.

It needs neither Plotly nor a browser to be made, nor a script to be looked at: a pointer that rests
on a shape is told by the shape's own title.
"""

from __future__ import annotations

import itertools
import math
import os
import textwrap
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import numpy as np

from labkit.analysis.requires import requires
from labkit.plots.png import data_uri
from labkit.plots.style import EDGES, FONT, PLACE_COLOURS, caption, duration
from labkit.plots.timeline_parts import (
    CPU_COLOURS,
    HATCHES,
    INK,
    MOST_ARROWS,
    MOST_MARKS,
    PITCH,
    arrows,
    no_data_words,
    share_pixels,
    slice_words,
    unit_of,
)
from labkit.plots.window import NO_DATA, Window, pick_series, timeline_window
from labkit.records import Record
from labkit.trace.files import write_atomically
from labkit.trace.loss import last_known
from labkit.trace.schema import STATE_KINDS

#: Pixels of width from which on a bar has room for a line round it.
_ROOM = 3
#: More stretches than this in which a task was there are outlined as one.
_MOST_STRETCHES = 20
_SOFT = "#5b6673"
_GRID = "#e6e9ec"
_STRIP = 16
_GREYS = 32

#: Ids inside a page are the page's: every drawing needs its own for its hatches.
_numbers = itertools.count()


@dataclass(frozen=True)
class Picture:
    """A drawing and where its times are.

    Attributes:
        svg: the drawing.
        width, height: its size, pixels.
        left, right: x of the window's begin and end.
        head: y of the first strip of a CPU.
        top: y of the first lane.
        lane: height of a lane.

    In a notebook it shows itself; a pointer that rests on something is told what it is.
    """

    svg: str = field(repr=False)
    width: int
    height: int
    left: float
    right: float
    head: float
    top: float
    lane: float

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the drawing to an .svg file.

        Raises:
            ValueError: the file's name is one of something else.
            WriteFailed: the file cannot be written; what was there is untouched.
        """
        if Path(path).suffix.lower() != ".svg":
            raise ValueError(f"{path}: the picture is written as SVG; end the name in .svg")
        write_atomically(Path(path), self.svg.encode())
        return Path(path)

    def _repr_html_(self) -> str:
        return self.svg


@requires(any_of=STATE_KINDS)
def plot_timeline(
    record: Record,
    series: str | None = None,
    t0: int | None = None,
    t1: int | None = None,
    width: int = 1000,
) -> Picture:
    """Draw one series' tasks between two times.

    Args:
        record: a run.
        series: which of `series_of(record)`; None: the first.
        t0: begin, ns of CLOCK_MONOTONIC; None: the series' first event.
        t1: end, ns; None: its last event, recorded or lost.
        width: of the drawing, pixels.

    Raises:
        MissingEvents: the run has no state changes, or none of this series.
        ValueError: the window is empty.
    """
    name, tasks, events = pick_series(record, series)
    origin = int(events["t"][0])
    begin = origin if t0 is None else t0
    end = last_known(events) + 1 if t1 is None else t1
    window = timeline_window(record.events, tasks, begin, end, width)
    return picture(window, origin, width, f"Timeline: {name}", caption(record))


class _Sheet:
    """Where things are on the drawing."""

    def __init__(self, window: Window, origin: int, width: int, head: int) -> None:
        self.window, self.origin, self.width = window, origin, width
        names = [*window.lanes["name"], "CPU 00"]
        self.left = min(170, 7.2 * max(len(n) for n in names) + 16)
        self.right = width - 14.0
        self.strips = head + 6
        self.lane = 28 if window.lanes.height <= 16 else 17
        self.top = self.strips + _STRIP * max(1, len(window.cpus)) + 10
        self.bottom = self.top + self.lane * window.lanes.height
        self.scale = (self.right - self.left) / (window.t1 - window.t0)

    def x(self, t: int) -> float:
        """The place of a time, within the drawing."""
        t = min(max(t, self.window.t0), self.window.t1)
        return round(self.left + (t - self.window.t0) * self.scale, 2)

    def y(self, lane: int) -> float:
        """The upper edge of a lane."""
        return self.top + self.lane * lane


def picture(
    window: Window, origin: int, width: int = 1000, title: str = "", below: str = ""
) -> Picture:
    """Draw a window.

    Args:
        window: what to draw.
        origin: the time that the axis calls 0, ns.
        width: pixels.
        title: what stands above, with the window's notice; empty: nothing does.
        below: what stands below, wrapped.
    """
    mark = f"lk{next(_numbers)}"
    legend = _legend(window, mark, width)
    sheet = _Sheet(window, origin, width, legend.height + (46 if title else 4))
    lines = textwrap.wrap(below, max(40, round(width / 6.4)))
    height = round(sheet.bottom + 44 + 15 * len(lines) + (6 if lines else 0))
    label = escape(f"{title or 'Timeline'}. {window.notice}.")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{label}" '
        f'font-family="{FONT}" font-size="12" fill="{INK}" style="max-width:100%;height:auto">',
        _hatches(mark),
        f'<clipPath id="{mark}c"><rect x="{sheet.left}" y="0" width="{sheet.right - sheet.left}" '
        f'height="{height}"/></clipPath>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    if title:
        parts.append(f'<text x="8" y="20" font-size="16">{escape(title)}</text>')
        parts.append(f'<text x="8" y="37" fill="{_SOFT}">{escape(window.notice)}.</text>')
    parts.append(f'<g transform="translate(0 {46 if title else 4})">{legend.svg}</g>')
    parts.append(_axis(sheet))
    parts.append(_names(sheet))
    parts.append(f'<g clip-path="url(#{mark}c)"><g class="lk-plot">')
    if window.aggregated:
        parts += _shares(sheet)
    else:
        parts += _slices(sheet, mark) + _cpus(sheet) + _arrows(sheet) + _marks(sheet)
    parts += _no_data(sheet, mark)
    parts.append("</g></g>")
    for i, line in enumerate(lines):
        y = round(sheet.bottom + 58 + 15 * i)
        parts.append(f'<text x="8" y="{y}" font-size="11" fill="{_SOFT}">{escape(line)}</text>')
    parts.append("</svg>")
    return Picture(
        svg="".join(parts),
        width=width,
        height=height,
        left=sheet.left,
        right=sheet.right,
        head=sheet.strips,
        top=sheet.top,
        lane=sheet.lane,
    )


def _hatches(mark: str) -> str:
    strokes = {"/": "M-1 5L5 -1M3 9L9 3", "x": "M-1 5L5 -1M3 9L9 3M-1 3L5 9M3 -1L9 5"}
    return (
        "<defs>"
        + "".join(
            f'<pattern id="{mark}{name}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<path d="{strokes[shape]}" stroke="{INK}" stroke-width="1.3" fill="none"/></pattern>'
            for name, shape, _ in HATCHES
        )
        + f'<pattern id="{mark}lost" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<path d="M-1 1L1 -1M0 6L6 0M5 7L7 5" stroke="{_SOFT}" stroke-width="1" fill="none"/>'
        "</pattern></defs>"
    )


@dataclass(frozen=True)
class _Legend:
    svg: str
    height: int


def _legend(window: Window, mark: str, width: int) -> _Legend:
    items = [
        (name, f'<rect width="16" height="11" fill="{colour}"{_line(EDGES.get(name, colour))}/>')
        for name, colour in PLACE_COLOURS.items()
    ]
    if window.no_data.height:
        items.append(
            (
                NO_DATA,
                f'<rect width="16" height="11" fill="url(#{mark}lost)" stroke="{_SOFT}" '
                'stroke-width=".6"/>',
            )
        )
    if not window.aggregated:
        for name, _, flag in HATCHES:
            if window.slices.height and (window.slices["flags"] & flag != 0).any():
                items.append(
                    (
                        name,
                        f'<rect width="16" height="11" fill="url(#{mark}{name})" stroke="{INK}" '
                        'stroke-width=".6"/>',
                    )
                )
        if window.arrows.height <= MOST_ARROWS:
            for arrow in arrows(window):
                items.append(
                    (
                        arrow.name,
                        f'<path d="M0 6H13" stroke="{arrow.colour}" stroke-width="1.4" '
                        f'stroke-dasharray="{arrow.dash}"/>'
                        f'<path d="M11 2.5L17 6L11 9.5z" fill="{arrow.colour}"/>',
                    )
                )
        if 0 < window.marks.height <= MOST_MARKS:
            items.append(("operation done", f'<path d="M8 1L12 9H4z" fill="{INK}"/>'))
    drawn, x, y = [], 8.0, 0
    for name, shape in items:
        wide = 34 + 6.6 * len(name) + 2 * sum(c.isupper() for c in name)
        if x + wide > width:
            x, y = 8.0, y + 18
        drawn.append(
            f'<g transform="translate({x:.0f} {y})">{shape}<text x="21" y="10">{name}</text></g>'
        )
        x += wide
    hidden = window.arrows.height if not window.aggregated else 0
    if hidden > MOST_ARROWS:
        drawn.append(
            f'<text x="{width - 14}" y="{y + 10}" text-anchor="end" fill="{_SOFT}">'
            f"{hidden:,} arrows are too many to draw</text>"
        )
    return _Legend("".join(drawn), y + 18)


def _axis(sheet: _Sheet) -> str:
    window = sheet.window
    unit, size = unit_of(window.t1 - sheet.origin)
    first, last = ((t - sheet.origin) / size for t in (window.t0, window.t1))
    step = _step((last - first) / max(3, (sheet.right - sheet.left) / 110))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    drawn = []
    for i in range(math.ceil(first / step - 1e-9), math.floor(last / step + 1e-9) + 1):
        x = sheet.x(round(i * step * size) + sheet.origin)
        said = f"{i * step:,.{digits}f}"
        drawn.append(
            f'<path d="M{x} {sheet.strips}V{sheet.bottom + 5}" stroke="{_GRID}"/>'
            f'<text x="{x}" y="{sheet.bottom + 18}" text-anchor="middle">{said}</text>'
        )
    middle = (sheet.left + sheet.right) / 2
    drawn.append(
        f'<text x="{middle:.0f}" y="{sheet.bottom + 36}" text-anchor="middle" fill="{_SOFT}">'
        f"time since the series began ({unit})</text>"
    )
    return "".join(drawn)


def _step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= least * (1 - 1e-9))


def _names(sheet: _Sheet) -> str:
    room = int((sheet.left - 14) / 6.6)

    def text(name: str, y: float, colour: str) -> str:
        short = name if len(name) <= room else name[: room - 1] + "…"
        whole = "" if short == name else f"<title>{escape(name)}</title>"
        return (
            f'<text x="{sheet.left - 6:.1f}" y="{y:.1f}" text-anchor="end" fill="{colour}">'
            f"{escape(short)}{whole}</text>"
        )

    cpus = [f"CPU {c}" for c in sheet.window.cpus] or ["CPU ?"]
    return "".join(
        [text(n, sheet.strips + _STRIP * i + 12, _SOFT) for i, n in enumerate(cpus)]
        + [
            text(n, sheet.y(i) + sheet.lane / 2 + 4, INK)
            for i, n in enumerate(sheet.window.lanes["name"])
        ]
    )


def _slices(sheet: _Sheet, mark: str) -> list[str]:
    slices = sheet.window.slices
    words = slice_words(sheet.window)
    high = sheet.lane * 0.74
    drawn = []
    for (lane, t0, t1, place, flags, row), said in zip(
        slices.select("lane", "t0", "t1", "place", "flags", "row").iter_rows(), words, strict=True
    ):
        x, y = sheet.x(t0), sheet.y(lane) + sheet.lane * 0.13
        box = f'x="{x}" y="{y:.1f}" width="{max(0.4, sheet.x(t1) - x):.2f}" height="{high:.1f}"'
        title = f"<title>{escape(said)}, at {_at(sheet, t0)}</title>"
        colour, edge = PLACE_COLOURS[place], ""
        if place in EDGES and sheet.x(t1) - x > _ROOM:
            edge = _line(EDGES[place])
        elif place in EDGES:
            colour = EDGES[place]
        drawn.append(f'<rect {box} fill="{colour}"{edge} data-r="{row}">{title}</rect>')
        hatch = next((name for name, _, flag in HATCHES if flags & flag), None)
        if hatch:
            drawn.append(f'<rect {box} fill="url(#{mark}{hatch})" pointer-events="none"/>')
    return drawn


def _line(colour: str) -> str:
    return f' stroke="{colour}" stroke-width="0.8" vector-effect="non-scaling-stroke"'


def _no_data(sheet: _Sheet, mark: str) -> list[str]:
    """Where events were lost: hatched, over the whole height of the lane, and the CPUs'."""
    drawn = []
    if sheet.window.dark:
        x, end = (sheet.x(t) for t in sheet.window.dark)
        drawn.append(
            f'<rect x="{x}" y="{sheet.strips}" width="{max(0.4, end - x):.2f}" '
            f'height="{_STRIP * max(1, len(sheet.window.cpus))}" fill="url(#{mark}lost)">'
            f"<title>CPUs: no data, as events were lost</title></rect>"
        )
    words = no_data_words(sheet.window)
    for (lane, t0, t1), said in zip(sheet.window.no_data.iter_rows(), words, strict=True):
        x = sheet.x(t0)
        drawn.append(
            f'<rect x="{x}" y="{sheet.y(lane) + 1:.1f}" width="{max(0.4, sheet.x(t1) - x):.2f}" '
            f'height="{sheet.lane - 2:.1f}" fill="url(#{mark}lost)" class="lk-lost">'
            f"<title>{escape(said)}, from {_at(sheet, t0)}</title></rect>"
        )
    return drawn


def _at(sheet: _Sheet, t: int) -> str:
    unit, size = unit_of(sheet.window.t1 - sheet.origin)
    return f"{(t - sheet.origin) / size:,.3f} {unit}"


def _cpus(sheet: _Sheet) -> list[str]:
    window = sheet.window
    lane_of = {tid: i for i, tid in enumerate(window.lanes["tid"])}
    names = window.lanes["name"].to_list()
    strip_of = {cpu: i for i, cpu in enumerate(window.cpus)}
    drawn: list[str] = []
    if window.on_cpu.is_empty():
        return drawn
    for cpu, t0, t1, tid in window.on_cpu.select("cpu", "t0", "t1", "tid").iter_rows():
        x, lane = sheet.x(t0), lane_of[tid]
        drawn.append(
            f'<rect x="{x}" y="{sheet.strips + _STRIP * strip_of[cpu] + 2}" '
            f'width="{max(0.4, sheet.x(t1) - x):.2f}" height="{_STRIP - 4}" '
            f'fill="{CPU_COLOURS[lane % len(CPU_COLOURS)]}"><title>CPU {cpu}: '
            f"{escape(names[lane])}, from {_at(sheet, t0)} for {duration(t1 - t0)}</title></rect>"
        )
    return drawn


def _arrows(sheet: _Sheet) -> list[str]:
    if sheet.window.arrows.height > MOST_ARROWS:
        return []
    drawn = []
    for arrow in arrows(sheet.window):
        lines, heads = [], []
        for start, end, t in arrow.rows.select("lane_from", "lane_to", "t").iter_rows():
            x, down = sheet.x(t), end > start
            # From the middle of one lane to the edge of the other.
            tail = sheet.y(start) + sheet.lane / 2
            tip = sheet.y(end) + sheet.lane * (0.13 if down else 0.87)
            back = -7 if down else 7
            lines.append(f"M{x} {tail:.1f}V{tip + back / 2:.1f}")
            heads.append(
                f"M{x - 3.5:.2f} {tip + back:.1f}L{x} {tip:.1f}L{x + 3.5:.2f} {tip + back:.1f}z"
            )
        drawn.append(
            f'<path d="{"".join(lines)}" fill="none" stroke="{arrow.colour}" stroke-width="1.3" '
            f'stroke-dasharray="{arrow.dash}" pointer-events="none"/>'
            f'<path d="{"".join(heads)}" fill="{arrow.colour}" pointer-events="none"/>'
        )
    return drawn


def _marks(sheet: _Sheet) -> list[str]:
    marks = sheet.window.marks
    if marks.height > MOST_MARKS:
        return []
    names = sheet.window.lanes["name"].to_list()
    drawn = []
    for lane, t, kind, arg, row in marks.select("lane", "t", "kind", "arg", "row").iter_rows():
        x, y = sheet.x(t), sheet.y(lane) + sheet.lane
        said = f"{names[lane]}: {kind}, {duration(arg)}, at {_at(sheet, t)}, event {row}"
        drawn.append(
            f'<path d="M{x} {y - 7:.1f}l4 7h-8z" fill="{INK}" stroke="#fff" stroke-width=".6" '
            f'data-r="{row}"><title>{escape(said)}</title></path>'
        )
    return drawn


def _shares(sheet: _Sheet) -> list[str]:
    window = sheet.window
    pixels = share_pixels(window.shares)
    pixels[pixels < 0] = len(PLACE_COLOURS)
    drawn = []
    if pixels.size:
        height = sheet.lane * pixels.shape[0] / PITCH
        uri = data_uri(pixels.astype(np.uint8), list(PLACE_COLOURS.values()))
        drawn.append(_image(sheet, sheet.top, height, uri))
        drawn += _outlines(sheet)
    greys = [f"#{g:02x}{g:02x}{g:02x}" for g in np.linspace(0xF4, 0x1D, _GREYS + 1).astype(int)]
    for i in range(len(window.cpus)):
        row = np.round(np.clip(window.busy[i : i + 1], 0, 1) * _GREYS).astype(np.uint8)
        y = sheet.strips + _STRIP * i + 2
        drawn.append(_image(sheet, y, _STRIP - 4, data_uri(row, greys)))
    return drawn


def _outlines(sheet: _Sheet) -> list[str]:
    """A line round each stretch in which a task was there: its shares may be as light as paper."""
    window, drawn = sheet.window, []
    for lane, there in enumerate(window.shares[:, :, 1:].sum(axis=2) > 0):
        ends = np.flatnonzero(np.diff(there, prepend=False, append=False))
        if len(ends) > 2 * _MOST_STRETCHES:
            ends = ends[[0, -1]]
        for first, last in ends.reshape(-1, 2):
            x, end = (sheet.x(int(window.edges[i])) for i in (first, last))
            inset = sheet.lane / PITCH
            drawn.append(
                f'<rect x="{x}" y="{sheet.y(lane) + inset:.1f}" width="{max(0.4, end - x):.2f}" '
                f'height="{sheet.lane - 2 * inset:.1f}" fill="none"{_line(EDGES["IDLE"])} '
                'pointer-events="none" class="lk-outline"/>'
            )
    return drawn


def _image(sheet: _Sheet, y: float, height: float, uri: str) -> str:
    return (
        f'<image x="{sheet.left}" y="{y:.1f}" width="{sheet.right - sheet.left}" '
        f'height="{height:.1f}" preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'href="{uri}"/>'
    )
