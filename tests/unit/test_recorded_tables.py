# SPDX-License-Identifier: MIT
"""The recorded runs give the figures that they gave before: every number of every table.

`python tests/unit/test_recorded_tables.py` writes them down anew, for a change that is meant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import labkit
from labkit import analysis, plots
from labkit.run import Run
from labkit.trace.errors import ForeignFile

HERE = Path(__file__)
RECORDED = HERE.parents[2] / "notebooks/recorded"
KNOWN = HERE.with_name("recorded_tables.json")

TABLES: dict[str, Callable[[Run], pl.DataFrame]] = {
    "samples": analysis.df_samples,
    "ratios": analysis.df_ratio,
    "probe": analysis.df_probe,
    "occupancy": analysis.df_occupancy,
    "throughput": analysis.df_throughput,
    "cpu use": analysis.df_cpu_use,
    "compared with itself": lambda run: analysis.df_compare_ratios(run, run),
    "timelines": lambda run: pl.DataFrame({"series": plots.series_of(run)}),
    "doubts": lambda run: pl.DataFrame({"said": analysis.warnings(run)}),
}


def _cell(value: object) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def digest(table: pl.DataFrame) -> str:
    """Of all cells in order; not of the words of a verdict, nor of the columns' names."""
    rows = table.drop("verdict", strict=False).rows()
    text = "\n".join("\t".join(map(_cell, row)) for row in rows)
    return f"{len(rows)} rows, {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def tables(file: Path) -> dict[str, str]:
    """What each table of a run is, or why there is none."""
    try:
        run = labkit.load(file)
    except ForeignFile:
        return {"table": digest(pl.read_parquet(file))}
    found = {}
    for name, make in TABLES.items():
        try:
            found[name] = digest(make(run))
        except (analysis.MissingEvents, analysis.MissingSamples, analysis.NotComparable) as error:
            found[name] = type(error).__name__
    return found


FILES = sorted(RECORDED.glob("*.parquet"))


def test_there_are_recorded_runs() -> None:
    assert {file.stem for file in FILES} == set(json.loads(KNOWN.read_text(encoding="utf-8")))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recorded_run_gives_the_same_figures(file: Path) -> None:
    assert tables(file) == json.loads(KNOWN.read_text(encoding="utf-8"))[file.stem]


if __name__ == "__main__":
    made = {file.stem: tables(file) for file in FILES}
    KNOWN.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
