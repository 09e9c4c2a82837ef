# SPDX-License-Identifier: MIT
"""Latency distributions as SVG, for panels: drawn without Plotly, seen without a script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from labkit.plots.lanes import INK
from labkit.plots.style import FONT, duration, log_ticks, series_style
from labkit.plots.tails import NAMED, Tail, latencies, tails
from labkit.record import Record

_SOFT, _GRID = "#5b6673", "#e6e9ec"
_LEFT, _TOP, _HIGH, _ROW = 64, 40, 250, 17
_DASHES = {
    "solid": "none", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3", "longdash": "12 4",
    "longdashdot": "12 3 2 3",
}  # fmt: skip


def draw_latency(
    record: Record, which: str = "op", series: Sequence[str] | None = None, width: int = 900
) -> str:
    """The whole distribution, tail first: the share that took longer than x, both axes log.

    Args:
        record: a run.
        which: one of `labkit.plots.tails.LATENCIES`.
        series: which to draw; None: all.
        width: pixels.

    Raises:
        MissingEvents: the run has not the events it takes.
        ValueError: unknown `which`.
    """
    rows, title = latencies(record, which, series)
    curves = list(tails(rows))
    names = [f"{tail.series} (n {tail.n:,})" for tail in curves]
    right = width - min(width * 0.4, 48 + 6.8 * max(len(n) for n in names))
    height = max(_TOP + _HIGH + 48, _TOP + _ROW * len(names) + 12)
    bottom = _TOP + _HIGH
    low, high = (float(x) for x in (rows["ns"].to_numpy().min(), rows["ns"].to_numpy().max()))
    first, last = math.log10(low) - 0.03, math.log10(max(high, low * 1.2)) + 0.03
    least = math.log10(min(float(tail.share[-1]) for tail in curves)) - 0.1

    def x(ns: float) -> float:
        return round(_LEFT + (math.log10(ns) - first) / (last - first) * (right - _LEFT), 1)

    def y(share: float) -> float:
        return round(_TOP + math.log10(share) / least * _HIGH, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(title)}, {len(curves)} series" '
        f'font-family="{FONT}" font-size="12" fill="{INK}" style="max-width:100%;height:auto">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="8" y="20" font-size="15">{escape(title)}</text>'
    ]
    ticks = log_ticks(low, high, duration)
    reached = 0.0
    for value, text in zip(ticks["tickvals"], ticks["ticktext"], strict=True):
        if not first <= math.log10(value) <= last:
            continue
        parts.append(f'<path d="M{x(value)} {_TOP}V{bottom}" stroke="{_GRID}"/>')
        if x(value) - 3.5 * len(text) > reached:
            parts.append(
                f'<text x="{x(value)}" y="{bottom + 17}" text-anchor="middle">{text}</text>'
            )
            reached = x(value) + 3.5 * len(text) + 6
    for share, name in NAMED:
        if math.log10(share) < least:
            continue
        parts.append(
            f'<path d="M{_LEFT} {y(share)}H{right:.0f}" stroke="#c9ced4"/>'
            f'<text x="{_LEFT - 6}" y="{y(share) + 4}" text-anchor="end">{name}</text>'
        )
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{bottom + 36}" text-anchor="middle" fill="{_SOFT}">latency '
        f'(log)</text><text transform="translate(14 {_TOP + _HIGH / 2:.0f}) rotate(-90)" '
        f'text-anchor="middle" fill="{_SOFT}">share that took longer (log)</text>'
    )
    for i, (tail, name) in enumerate(zip(curves, names, strict=True)):
        look = series_style(i)
        stroke = (
            f'fill="none" stroke="{look["color"]}" stroke-width="2" '
            f'stroke-dasharray="{_DASHES[look["dash"]]}"'
        )
        line = _TOP + _ROW * i + 6
        parts.append(
            f'<path d="{_path(tail, x, y)}" {stroke}><title>{escape(name)}</title></path>'
            f'<path d="M{right + 12:.0f} {line}h26" {stroke}/>'
            f'<text x="{right + 44:.0f}" y="{line + 4}">{escape(name)}</text>'
        )
    return "".join([*parts, "</svg>"])


def _path(tail: Tail, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    """Down at each latency, across to the next; one value alone is a short stroke."""
    points = [f"M{x(tail.ns[0])} {y(1)}"]
    for ns, share in zip(tail.ns, tail.share, strict=True):
        points.append(f"H{x(ns)}V{y(share)}")
    return "".join(points) + ("h5" if tail.n == 1 else "")
