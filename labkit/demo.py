# SPDX-License-Identifier: MIT
"""What `labkit run` and `labkit demo` show: tables in the terminal, one page of HTML."""

from __future__ import annotations

from math import isnan
from pathlib import Path

import polars as pl
from rich.table import Table

from labkit import console, measure
from labkit.run import Run, load


def present(folder: Path, page: Path, *, quiet: bool = False) -> list[Run]:
    """Load what `labkit.measure` saved in `folder`, print ratios, write the page."""
    runs = [load(measure.file(folder, spec)) for spec in measure.SPECS]
    if not quiet:
        show_ratios(runs)
    # Plotly is for those who want a page: `labkit run` in a guest under TCG does not wait for it.
    from labkit import report

    report.write(runs, page)
    return runs


def show_table(run: Run) -> None:
    """Print a run's series, and below them how they compare with their baselines."""
    table = Table()
    for title in ("series", "median", "unit", "repetitions", "spread"):
        table.add_column(title, justify="left" if title in ("series", "unit") else "right")
    for row in run.table().iter_rows(named=True):
        spread = "" if row["spread"] is None else f"{row['spread']:.0%}"
        table.add_row(row["series"], f"{row['median']:.4g}", row["unit"], str(row["n"]), spread)
    console.out.print(table)
    show_ratios([run])


def show_ratios(runs: list[Run]) -> None:
    """Print UMCG over its baseline, with the 95 % interval and what that means.

    Runs without UMCG series have their other series compared with each other.
    """
    for run in runs:
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
                "" if isnan(row["low"]) else f"{row['low']:.2f} to {row['high']:.2f}",
                row["verdict"],
            )
        if table.row_count:
            console.out.print(table)
        show_origin(run)


def show_origin(run: Run) -> None:
    """Print what every figure carries: where it was made, and what tracing costs there."""
    from labkit import analysis, plots

    for text in (plots.caption(run), analysis.probe_sentence(run)):
        console.out.print(text, style="dim", markup=False)
