# SPDX-License-Identifier: MIT
"""What is done with saved runs: `labkit show`, `compare`, `check`, `report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.table import Table

from labkit import analysis
from labkit.cli import console, tables
from labkit.cli.console import Json
from labkit.model import invariants
from labkit.run import load
from labkit.trace.files import check_output

show_app, compare_app, check_app, report_app = (console.new_app() for _ in range(4))

Saved = Annotated[Path, typer.Argument(metavar="FILE", help="A saved run (.parquet).")]


@show_app.command()
def show(
    file: Saved,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="What was asked, where it ran, and what was counted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a saved run: its table, its ratios, and reasons to doubt them."""
    with console.errors():
        run = load(file)
        doubts = analysis.warnings(run)
        about = {"spec": run.spec, "environment": run.environment, "counters": run.counters}
        ratios = [] if run.samples.is_empty() else run.ratios().to_dicts()
        if as_json:
            measured = {"table": run.table().to_dicts(), "ratios": ratios, "doubts": doubts}
            console.print_json(about if metadata else {**about, **measured})
        elif metadata:
            for title, values in about.items():
                console.out.print(title, style="bold")
                for name, value in values.items():
                    said = value if isinstance(value, str) else json.dumps(value)
                    console.out.print(f"  {name}: {said}", markup=False)
        else:
            tables.show(run, doubts)


@compare_app.command()
def compare(
    a: Saved,
    b: Annotated[Path, typer.Argument(metavar="FILE", help="Another, to be set against it.")],
    baseline: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Compare ratios to this baseline (futex, pthread, ...)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what changed from the first run to the second. Code 2: they do not compare.

    Values of one boot are compared; of two boots, where times mean nothing, the ratios that were
    made within each.
    """
    with console.errors():
        if {a.suffix, b.suffix} == {".json"}:
            console.fail(
                console.USAGE, f"for results of the benchmark: labkit bench compare {a} {b}"
            )
        first, second = load(a), load(b)
        clocks = analysis.clocks_differ(first.environment, second.environment)
        within = baseline is not None or bool(clocks)
        if within:
            found = analysis.df_compare_ratios(first, second, baseline)
        else:
            found = analysis.df_compare(first, second)
        if as_json:
            what = "ratios to the baseline" if within else "values"
            console.print_json({"compared": what, "changes": found.to_dicts()})
            return
        _print_changes(found, within)


def _print_changes(found: pl.DataFrame, within: bool) -> None:
    """Print what two runs have in common, the second over the first."""
    title = "ratios to the baseline: second over first" if within else "second run over first"
    was, new = ("ratio_a", "ratio_b") if within else ("value_a", "value_b")
    table = Table(title=title, title_justify="left")
    for head in ("series", *(("baseline",) if within else ()), "unit"):
        table.add_column(head, overflow="fold")
    for head in ("first", "second", "ratio", "95 % interval"):
        table.add_column(head, justify="right", overflow="fold")
    table.add_column("verdict")
    for row in found.iter_rows(named=True):
        names = [row["series"], *([row["baseline"]] if within else []), row["unit"]]
        values = (f"{row[was]:.4g}", f"{row[new]:.4g}", f"{row['ratio']:.2f}")
        table.add_row(*names, *values, tables.interval(row), row["verdict"])
    console.out.print(table)


@check_app.command()
def check(file: Saved, as_json: Json = False) -> None:
    """Check a saved run's trace against the protocol. Code 1: something in it must not be."""
    with console.errors():
        run = load(file)
        found = invariants.check_record(run)
        broken = found.violations["invariant"].value_counts().rows_by_key("invariant", unique=True)
        if as_json:
            document = {"result": found.result, "state_changes": found.checked}
            console.print_json(document | {"violations": found.violations.to_dicts()})
        else:
            for name, rule in invariants.INVARIANTS.items() if found.checked else ():
                mark = f"{broken[name]} times not" if name in broken else "holds"
                print(f"{mark:14} {invariants.said(rule)}")
            for row in found.violations.head(5).iter_rows(named=True):
                print(f"event {row['row']}, task {row['tid']}: {row['invariant']}: {row['detail']}")
            print(found)
        if found.result == "FAILED":
            raise typer.Exit(console.FAILED)


@report_app.command()
def report(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Saved runs (.parquet).")],
    output: Annotated[
        Path,
        console.output("The page to write."),
    ],
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML page about saved runs."""
    from labkit.pages.report import write as write_page

    with console.errors():
        runs = [load(file) for file in files]
        check_output(output, *files)
        write_page(runs, output)
        if as_json:
            console.print_json({"file": str(output), "runs": len(runs)})
        else:
            console.note(f"wrote {output}")
