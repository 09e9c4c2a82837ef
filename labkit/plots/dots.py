# SPDX-License-Identifier: MIT
"""Values with their intervals, a row each, as SVG: drawn without Plotly, seen without a script."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from labkit.plots.lanes import INK
from labkit.plots.style import FONT, SERIES_COLOURS, log_ticks

_SOFT, _GRID = "#5b6673", "#e6e9ec"
_TOP, _ROW, _LETTER = 40, 26, 6.6


class Dot(NamedTuple):
    """One row: what it is, its value, and the ends of its interval (nan: none)."""

    name: str
    value: float
    low: float
    high: float


def draw_dots(
    dots: Sequence[Dot],
    title: str,
    axis: str,
    caption: str = "",
    *,
    ratio: bool = False,
    width: int = 900,
) -> str:
    """Draw one row a value.

    Args:
        dots: from top to bottom, all above 0; names may repeat.
        title: stands above.
        axis: what the numbers are.
        caption: where they come from.
        ratio: draw a line at 1 and make dots hollow whose interval contains it.
        width: pixels.

    Raises:
        ValueError: there are no dots, or one is not above 0.
    """
    if not dots or min(dot.value for dot in dots) <= 0:
        raise ValueError("dots need one value or more, all above 0")
    ends = [e for dot in dots for e in (dot.value, dot.low, dot.high) if e > 0] + [1.0] * ratio
    low, high = min(ends), max(ends)
    log = ratio or high > 20 * low
    left = 16 + _LETTER * max(len(dot.name) for dot in dots)
    right = width - 76
    bottom = _TOP + _ROW * len(dots)
    first, last = _range(low, high, log)

    def x(value: float) -> float:
        place = math.log10(value) if log else value
        return round(left + (place - first) / (last - first) * (right - left), 1)

    words = textwrap.wrap(caption, round(width / 6))
    height = bottom + 46 + 15 * len(words)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(title)}" font-family="{FONT}" '
        f'font-size="12" fill="{INK}" style="max-width:100%;height:auto">'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="8" y="20" font-size="15">{escape(title)}</text>'
    ]
    parts += _grid(low, high, log, x, bottom)
    if ratio:
        parts.append(
            f'<path d="M{x(1)} {_TOP - 6}V{bottom}" stroke="{INK}" stroke-dasharray="5 4"/>'
        )
    for i, dot in enumerate(dots):
        parts.append(_row(dot, _TOP + _ROW * i + _ROW // 2, x, left, hollow=ratio))
    unit = axis + (" (log)" if log else "")
    parts.append(
        f'<text x="{(left + right) / 2:.0f}" y="{bottom + 36}" text-anchor="middle" '
        f'fill="{_SOFT}">{escape(unit)}</text>'
    )
    parts += [
        f'<text x="8" y="{bottom + 54 + 15 * i}" font-size="11" fill="{_SOFT}">'
        f"{escape(line)}</text>"
        for i, line in enumerate(words)
    ]
    return "".join([*parts, "</svg>"])


def _range(low: float, high: float, log: bool) -> tuple[float, float]:
    """Ends of the axis in the axis' own measure."""
    if not log:
        return 0.0, high * 1.05
    margin = 0.05 * math.log10(high / low) if high > low else 0.1
    return math.log10(low) - margin, math.log10(high) + margin


def _grid(
    low: float, high: float, log: bool, x: Callable[[float], float], bottom: int
) -> list[str]:

    if log:
        ticks = log_ticks(low, high, "{:g}".format)["tickvals"]
        ticks = [t for t in ticks if low * 0.98 <= t <= high * 1.02]
    else:
        step = 10.0 ** math.floor(math.log10(high))
        step = next(s for s in (step, step / 2, step / 5) if high / s >= 3)
        ticks = [step * i for i in range(math.floor(high * 1.05 / step) + 1)]
    parts, reached = [], 0.0
    for value in ticks:
        text = f"{value:,.0f}" if value >= 1000 else f"{value:.6g}"
        parts.append(f'<path d="M{x(value)} {_TOP}V{bottom}" stroke="{_GRID}"/>')
        if x(value) - 3.5 * len(text) > reached:
            parts.append(
                f'<text x="{x(value)}" y="{bottom + 17}" text-anchor="middle">{text}</text>'
            )
            reached = x(value) + 3.5 * len(text) + 6
    return parts


def _row(dot: Dot, y: int, x: Callable[[float], float], left: float, *, hollow: bool) -> str:
    colour = SERIES_COLOURS[0]
    unsure = hollow and not (dot.high < 1 or dot.low > 1)
    whisker = ""
    if dot.low > 0 and dot.high > 0:
        whisker = (
            f'<path d="M{x(dot.low)} {y}H{x(dot.high)}m0 -5v10M{x(dot.low)} {y - 5}v10" '
            f'stroke="{colour}" stroke-width="2" fill="none"/>'
        )
    end = x(max(dot.value, dot.high if dot.high > 0 else 0))
    said = f"{dot.name}: {_number(dot.value)} ({_number(dot.low)} to {_number(dot.high)})"
    return (
        f'<g><title>{escape(said)}</title><text x="{left - 8:.0f}" y="{y + 4}" '
        f'text-anchor="end">{escape(dot.name)}</text>{whisker}<circle cx="{x(dot.value)}" cy="{y}" '
        f'r="5" stroke="{colour}" stroke-width="2" fill="{"#fff" if unsure else colour}"/>'
        f'<text x="{end + 10:.0f}" y="{y + 4}" fill="{_SOFT}">{_number(dot.value)}</text></g>'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
