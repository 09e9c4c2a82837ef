# SPDX-License-Identifier: MIT
"""`Run`: what an experiment returns; a `Record` with a notebook user's verbs.

This module stands above `trace`, `analysis` and `plots` and below `experiments`. What lies below it
(loading, saving, tables, figures) works on `labkit.record.Record` and never imports `Run`.
"""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from labkit.record import Record
from labkit.trace import files

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from labkit.panels import Timeline


# Statistics and figures are imported where they are used: SciPy and Plotly take the better part of
# a minute to import in a guest under TCG, where runs are only made and saved.
class Run(Record):
    """One run of one experiment; see `labkit.record.Record` for its data."""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the run to a .parquet file, wholly or not at all; see `labkit.trace.files.save`.

        Raises:
            WriteFailed: the file cannot be written; what was there is untouched.
        """
        return files.save(self, path)

    def table(self) -> pl.DataFrame:
        """Median, quartiles and spread of every series; see `labkit.analysis.df_samples`."""
        from labkit import analysis

        return analysis.df_samples(self)

    def ratios(self, baseline: str | None = None) -> pl.DataFrame:
        """Every series over its baseline with interval; see `labkit.analysis.df_ratio`.

        Raises:
            MissingSamples: there are no samples, or no such baseline.
        """
        from labkit import analysis

        return analysis.df_ratio(self, baseline)

    def timeline(
        self, series: str | None = None, t0: int | None = None, t1: int | None = None
    ) -> go.Figure:
        """The tasks' states over time; see `labkit.plots.plot_timeline`.

        Args:
            series: one of the run's traced series; None: the first.
            t0: begin, ns of CLOCK_MONOTONIC; None: the series' first event.
            t1: end; None: its last event.
        """
        from labkit import plots

        return plots.plot_timeline(self, series, t0, t1)

    def timeline_widget(self, series: str | None = None) -> Timeline:
        """The timeline to zoom, pan and click in, for notebooks; see `labkit.panels.Timeline`.

        Raises:
            MissingEvents: the run has no state changes, or none of this series.
        """
        from labkit import panels

        return panels.timeline(self, series)

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the events for ui.perfetto.dev; see `labkit.trace.perfetto.export`.

        Raises:
            WriteFailed: the file cannot be written.
        """
        from labkit.trace import perfetto

        return perfetto.export(self, path)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained HTML page; see `labkit.report.write`.

        Raises:
            WriteFailed: the file cannot be written.
        """
        from labkit import report

        return report.write([self], path)

    def _headline(self) -> str:
        parts = [
            f"{self.environment.get('kernel', '?')} ({self.environment.get('accelerator', '?')})",
            f"{self.samples.height} values",
            f"{self.events.height} events of {self.tasks.height} threads",
        ]
        if lost := self.counters.get("lost"):
            parts.append(f"{lost:g} events lost")
        if self.counters.get("stopped"):
            parts.append("stopped before it was complete")
        return f"on {', '.join(parts)}"

    def __repr__(self) -> str:
        with pl.Config(tbl_rows=40, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
            return f"{self.experiment} {self._headline()}\n{self.table()}"

    def _repr_html_(self) -> str:
        head = f"<b>{html.escape(self.experiment)}</b> {html.escape(self._headline())}"
        return f"<p>{head}</p>{self.table()._repr_html_()}"


def load(path: str | os.PathLike[str]) -> Run:
    """Read a run that `Run.save` wrote; see `labkit.trace.files.load` for the errors."""
    return files.load(path, Run)


def compare(a: Record, b: Record) -> pl.DataFrame:
    """Run `b` over run `a`, series by series; see `labkit.analysis.df_compare`.

    Raises:
        NotComparable: experiment or environment differ.
    """
    from labkit import analysis

    return analysis.df_compare(a, b)
