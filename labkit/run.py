# SPDX-License-Identifier: MIT
"""`Run`: what an experiment returns; a `Record` with a notebook user's verbs.

This module stands above `experiments`, `trace`, `analysis` and `plots`. What is below it
(measuring, loading, saving, tables, figures) works on `labkit.records.Record`, never on `Run`.
"""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from labkit.names import counted, meant
from labkit.records import Record, a_run
from labkit.trace import files

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from labkit.plots import Picture


class Table(pl.DataFrame):
    """A table that shows all its rows, in four digits: as many as mean something of a measurement.

    Its values are whole; what is made of it with polars shows itself as polars does.
    """

    def __repr__(self) -> str:
        with _whole_table():
            return str(_four_digits(self))

    __str__ = __repr__

    def _repr_html_(self, **options: Any) -> str:
        with _whole_table():
            page = _four_digits(self)._repr_html_(**options)
        # Names are names: polars puts them in quotes.
        return re.sub("<td>&quot;(.*?)&quot;</td>", r"<td>\1</td>", page)


def _whole_table() -> pl.Config:
    """Every row of a table is shown, and what a reader does not ask for is not."""
    return pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=200,
        fmt_str_lengths=80,
        tbl_hide_dataframe_shape=True,
        tbl_hide_column_data_types=True,
    )


def _four_digits(table: pl.DataFrame) -> pl.DataFrame:
    """The digits of a measured number that mean something."""
    return pl.DataFrame(table.get_columns()).with_columns(pl.selectors.float().round_sig_figs(4))


# Figures are imported where they are used: a guest in which runs are only made and saved does
# without Plotly.
class Run(Record):
    """One run of one experiment; see `labkit.records.Record` for its data."""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the run to a .parquet file, wholly or not at all; see `labkit.trace.files.save`.

        Raises:
            WriteFailed: the file cannot be written; what was there is untouched.
        """
        return files.save(self, path)

    def table(self) -> Table:
        """Median, quartiles and spread of every series; see `labkit.analysis.df_samples`.

        Of an imported trace, which has no measured values: where each task's time went; see
        `labkit.analysis.df_occupancy`.
        """
        from labkit import analysis

        if self.imported:
            return Table(analysis.df_occupancy(self))
        return Table(analysis.df_samples(self))

    @property
    def imported(self) -> bool:
        """Was it recorded by another tool?"""
        return self.environment.get("backend") == "imported"

    def ratios(self, baseline: str | None = None) -> Table:
        """Every series over its baseline with interval; see `labkit.analysis.df_ratio`.

        Raises:
            MissingSamples: there are no samples, or no such baseline.
        """
        from labkit import analysis

        return Table(analysis.df_ratio(self, baseline))

    def timeline(
        self, series: str | None = None, t0: int | None = None, t1: int | None = None
    ) -> Picture:
        """A picture of the tasks' states over time; see `labkit.plots.plot_timeline`.

        `labkit.timeline(run)` is the one to zoom and search in, in a notebook.

        Args:
            series: one of the run's traced series; None: the first.
            t0: begin, ns of CLOCK_MONOTONIC; None: the series' first event.
            t1: end; None: its last event.
        """
        from labkit import plots

        return plots.plot_timeline(self, series, t0, t1)

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write the events for ui.perfetto.dev; see `labkit.trace.perfetto.export`.

        Raises:
            WriteFailed: the file cannot be written.
        """
        from labkit.trace import perfetto

        return perfetto.export(self, path)

    def open_in_perfetto(self) -> Path | None:
        """Open the events at ui.perfetto.dev by a button: in the cell, or in a page of its own.

        Returns:
            The page, which the browser has been told to open; None in a notebook.

        Raises:
            WriteFailed: the trace is too large for a cell; `export` writes it to a file.
        """
        from labkit.trace import perfetto_page

        return perfetto_page.open_in_browser(self)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained HTML page; see `labkit.pages.report.write`.

        Raises:
            WriteFailed: the file cannot be written.
        """
        from labkit.pages import report

        return report.write([self], path)

    def compare(self, other: Record) -> Table:
        """This run over the other, series by series: `ratio` is this one's median over its.

        Args:
            other: a run of the same experiment with the same fields, of the same boot.

        Raises:
            NotComparable: experiment, environment or boot differ; see `labkit.analysis.df_compare`.
        """
        return compare(other, self)

    def of(self, series: str | Iterable[str]) -> Run:
        """What it has of some series alone: samples, events, tasks and counters.

        Args:
            series: one of the run's series, or the beginning of some up to a `/`: `umcg/sleep` is
                also `umcg/sleep/detection`; or several of these.

        Raises:
            MissingSamples: the run has none that is called so; says what it has.
        """
        wanted = [series] if isinstance(series, str) else list(series)
        known = dict.fromkeys([*self.tasks["series"], *self.samples["series"]])
        for name in wanted:
            if not any(_is_of(one, name) for one in known):
                from labkit.analysis import MissingSamples

                raise MissingSamples(
                    f"no series {name!r}{meant(name, known)}; the run has {', '.join(known)}"
                )
        mine = [one for one in known if any(_is_of(one, name) for name in wanted)]
        tasks = self.tasks.filter(pl.col("series").is_in(mine))
        return Run(
            spec=self.spec,
            environment=self.environment,
            events=self.events.filter(pl.col("tid").is_in(tasks["tid"].implode())),
            tasks=tasks,
            samples=self.samples.filter(pl.col("series").is_in(mine)),
            counters={
                name: value
                for name, value in self.counters.items()
                if ":" not in name or name.rpartition(":")[0] in mine
            },
        )

    def plot(self, what: str = "ratio", **options: Any) -> go.Figure:
        """A figure of the run, to look at and to save (`.write_html`); as `labkit.plots.plot_WHAT`.

        Args:
            what: `comparison` (all values), `histogram` or `latency` (of operations), `load_curve`
                (of `labkit.server`), `occupancy`, `ratio`, `throughput`. The timeline is
                `timeline()`.
            options: what that function takes, as `series`.

        Raises:
            ValueError: there is no such figure; says which there are.
            MissingEvents, MissingSamples: the run does not have what it is made of.
        """
        from labkit import plots

        known = plots.OF_ONE_RUN
        if what not in known:
            raise ValueError(
                f"no figure {what!r}{meant(what, known)}; choose from {', '.join(known)}; "
                "the timeline is run.timeline()"
            )
        figure: go.Figure = getattr(plots, f"plot_{what}")(self, **options)
        return figure

    def _headline(self) -> str:
        env, spec = self.environment, self.spec
        if self.imported:
            parts = [f"{spec.get('file', '?')} ({spec.get('form', '?')})"]
        else:
            parts = [f"{env.get('kernel', '?')} ({env.get('accelerator', '?')})"]
            parts.append(counted(self.samples.height, "value"))
        parts.append(
            f"{counted(self.events.height, 'event')} of {counted(self.tasks.height, 'thread')}"
        )
        if lost := self.counters.get("lost"):
            parts.append(f"{lost:g} events lost")
        if self.counters.get("stopped"):
            parts.append("stopped before it was complete")
        return f"on {', '.join(parts)}"

    def __repr__(self) -> str:
        from labkit import analysis

        doubts = "".join(f"\ndoubt: {said}" for said in analysis.warnings(self))
        return f"{self.experiment} {self._headline()}\n{self.table()}{doubts}"

    def _repr_html_(self) -> str:
        from labkit import analysis

        head = f"<b>{html.escape(self.experiment)}</b> {html.escape(self._headline())}"
        doubts = "".join(f"<p>doubt: {html.escape(said)}</p>" for said in analysis.warnings(self))
        return f"<p>{head}</p>{self.table()._repr_html_()}{doubts}"


def _is_of(series: str, name: str) -> bool:
    """Is a series called so, or does its name begin so up to a `/`?"""
    return series == name or series.startswith(f"{name}/")


def load(path: str | os.PathLike[str]) -> Run:
    """Read a run that `Run.save` wrote; see `labkit.trace.files.load` for the errors."""
    return files.load(path, Run)


def import_trace(path: str | os.PathLike[str]) -> Run:
    """Open a trace that other tools have recorded, as a run with a timeline and tables.

    Tasks are RUNNING on a CPU, IDLE when they were taken off one, IDLE on the list when they were
    woken and wait for one, BLOCKED otherwise; tasks of UMCG have the states of their word. What was
    not understood, and what the event table has no row for, is counted in `counters` and said in
    `spec["notes"]`. Two million events take some ten seconds.

    Args:
        path: the text of `trace-cmd report` (also `-R`, `-l`), `perf script`, ftrace's `trace` or
            systrace (also its HTML); `trace.dat`, where trace-cmd is installed; or a folder with
            `per_cpu/cpu*/trace_pipe_raw` and `events/*/*/format` as tracefs has them. What it is
            shows in its content, not in its name.

    Raises:
        FileNotFoundError: there is no such file.
        labkit.trace.errors.TraceError: it cannot be read, with what it is and what to do.
    """
    from labkit.trace import importer

    return Run(**vars(importer.read(path)))


def compare(a: Record, b: Record) -> Table:
    """Run `b` over run `a`, series by series; see `labkit.analysis.df_compare`.

    Raises:
        NotComparable: experiment or environment differ.
        TypeError: one is no run.
    """
    from labkit import analysis

    return Table(analysis.df_compare(a_run(a), a_run(b)))
