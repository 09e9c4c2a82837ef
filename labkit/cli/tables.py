# SPDX-License-Identifier: MIT
"""What is shown of a run in a terminal."""

from __future__ import annotations

from math import isnan
from typing import Any

import polars as pl
from rich.table import Table

from labkit.cli import console
from labkit.run import Run


def show(run: Run, doubts: list[str]) -> None:
    """Print a run's series, how they compare with their baselines, and reasons to doubt them.

    Of an imported trace: where each task's time went.
    """
    if run.imported:
        _show_occupancy(run)
    else:
        _show_samples(run)
        show_ratios(run)
    for doubt in doubts:
        console.out.print(f"doubt: {doubt}", markup=False, soft_wrap=True)


def _show_occupancy(run: Run) -> None:
    places = ("running", "idle", "listed", "blocked")
    table = Table()
    for title in ("task", "series", *places, "of"):
        table.add_column(title, justify="left" if title in ("task", "series") else "right")
    for row in run.table().iter_rows(named=True):
        shares = (f"{row[place]:.1%}" for place in places)
        known = f"{row['observed_ns'] / 1e6:.4g} ms{'' if row['complete'] else ', incomplete'}"
        table.add_row(row["name"], row["series"], *shares, known)
    console.out.print(table)
    show_origin(run)
    for said in run.spec.get("notes", ()):
        console.out.print(f"note: {said}", markup=False, soft_wrap=True)


def _show_samples(run: Run) -> None:
    table = Table()
    for title in ("series", "median", "unit", "repetitions", "spread"):
        table.add_column(title, justify="left" if title in ("series", "unit") else "right")
    for row in run.table().iter_rows(named=True):
        spread = "" if row["spread"] is None else f"{row['spread']:.0%}"
        table.add_row(row["series"], f"{row['median']:.4g}", row["unit"], str(row["n"]), spread)
    console.out.print(table)


def show_ratios(run: Run) -> None:
    """Print UMCG over its baseline, with the 95 % interval and what that means.

    A run without UMCG series has its other series compared with each other.
    """
    rows = run.ratios()
    umcg = rows.filter(pl.col("series").str.starts_with("umcg"))
    table = Table(title=f"{run.experiment}: over the baseline", title_justify="left")
    for title in ("series", "baseline", "unit", "ratio", "95 % interval", "verdict"):
        right = title in ("ratio", "95 % interval")
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    for row in (rows if umcg.is_empty() else umcg).iter_rows(named=True):
        table.add_row(
            row["series"],
            row["baseline"],
            row["unit"],
            f"{row['ratio']:.2f}",
            interval(row),
            row["verdict"],
        )
    if table.row_count:
        console.out.print(table)
    show_origin(run)


def interval(row: dict[str, Any]) -> str:
    """The 95 % interval in a row of ratios; "" where there is none."""
    return "" if isnan(row["ci_low"]) else f"{row['ci_low']:.2f} to {row['ci_high']:.2f}"


def show_origin(run: Run) -> None:
    """Print what every figure carries: where it was made, and what tracing costs there."""
    from labkit import analysis, plots

    for text in (plots.caption(run), analysis.probe_sentence(run)):
        console.out.print(text, style="dim", markup=False)
