# SPDX-License-Identifier: MIT
"""A run's tables and sentences as HTML."""

from __future__ import annotations

import dataclasses
from html import escape

import polars as pl

from labkit import analysis
from labkit.plots.style import cell
from labkit.records import Record

_CELL = "padding:2px 10px;border-bottom:1px solid #dfe3e8"
_HEADINGS = {"value_a": "last", "value_b": "now", "ci_low": "from", "ci_high": "to"}
_QUARTILES = {"q1": "lower quartile", "q3": "upper quartile"}


def table_html(table: pl.DataFrame, caption: str, headings: dict[str, str]) -> str:
    """A table for the eye: numbers to the right, four digits."""
    sides = ["right" if dtype.is_numeric() else "left" for dtype in table.dtypes]
    head = "".join(
        f'<th scope="col" style="{_CELL};text-align:{side}">{escape(headings.get(name, name))}</th>'
        for name, side in zip(table.columns, sides, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_CELL};text-align:{side}">{cell(value)}</td>'
            for value, side in zip(row, sides, strict=True)
        )
        + "</tr>"
        for row in table.iter_rows()
    )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;line-height:1.4;'
        'font-variant-numeric:tabular-nums">'
        f'<caption style="text-align:left;padding:4px 10px">{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def samples_html(record: Record) -> str:
    """The run's measured values, and reasons to doubt them."""
    if record.samples.is_empty():
        return "<p>No value was measured.</p>"
    doubts = "".join(f"<li>{escape(said)}</li>" for said in analysis.warnings(record))
    table = table_html(analysis.df_samples(record), "Measured values", _QUARTILES)
    return table + (f"<ul style='line-height:1.4'>{doubts}</ul>" if doubts else "")


def changes(before: Record, now: Record) -> list[str]:
    """What was asked for differently, in words."""
    return [
        f"{key}: {before.spec.get(key)} → {now.spec.get(key)}"
        for key in now.spec
        if before.spec.get(key) != now.spec.get(key)
    ]


def comparison_html(before: Record, now: Record) -> str:
    """This run over the one before, also where something else was asked for: then it says what.

    Raises:
        NotComparable: the environments differ, or no series is common.
    """
    # What a slider changed is the question here, not a reason to refuse.
    same = {key: before.spec.get(key) for key in now.spec}
    table = analysis.df_compare(before, dataclasses.replace(now, spec=same))
    different = changes(before, now)
    words = "changed " + "; ".join(different) if different else "nothing was changed"
    return table_html(
        table, f"This run over the last; {words}. 95 % intervals of independent runs.", _HEADINGS
    )


def words_html(text: str, *, bad: bool = False) -> str:
    """A sentence, read out when it comes; `bad`: in the colour of errors."""
    colour = "var(--jp-error-color0, #8a1c00)" if bad else "var(--jp-ui-font-color1, #1d2733)"
    return f'<div role="status" style="color:{colour};line-height:1.4">{escape(text)}</div>'
