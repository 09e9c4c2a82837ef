# SPDX-License-Identifier: MIT
"""One self-contained HTML page from runs: no network, plotly.js inside once."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import polars as pl

from labkit import analysis, plots
from labkit.analysis.compare import head_and_rest
from labkit.analysis.requires import MissingEvents, MissingSamples
from labkit.experiments.asked import baselines, question
from labkit.names import counted
from labkit.pages import webpage, worth
from labkit.plots.style import TCG_WARNING
from labkit.records import Record
from labkit.trace.files import write_atomically
from labkit.trace.schema import STATE_KINDS

#: True of every page, whatever it shows.
LIMITS = (
    "They come from one machine in one boot. Another CPU, configuration or load gives others.",
    "A ratio compares two ways to do the same small thing. It is not the gain of a whole program: "
    "uniform throughput work gains little from scheduling in user space.",
    "Pinned and unpinned series are different experiments: on one CPU a hand-off is two switches, "
    "across CPUs it is two remote wake-ups. Do not compare one with the other.",
    "Timelines and latency distributions come from a traced repetition, which is slower than an "
    "untraced one; the probe effect of each experiment says by how much.",
    "An interval tells how well this run repeats itself, not how another machine would do.",
)

#: State changes in the close view of a timeline: few enough to see each.
_CLOSE = 120


def write(records: Sequence[Record], path: str | os.PathLike[str], title: str = "UMCG Lab") -> Path:
    """Write the page about these runs and return its path.

    Raises:
        ValueError: no runs were given.
        labkit.trace.errors.WriteFailed: the operating system refused.
    """
    target = Path(path)
    write_atomically(target, page(records, title).encode())
    return target


def page(records: Sequence[Record], title: str = "UMCG Lab") -> str:
    """The page's HTML.

    Raises:
        ValueError: no runs were given.
    """
    if not records:
        raise ValueError("a report needs at least one run; give the files of saved runs")
    names = _anchors(records)
    links = "".join(
        f'<li><a href="#{anchor}">{html.escape(r.experiment)}</a></li>'
        for anchor, r in zip(names, records, strict=True)
    )
    body = [
        f"<h1>{html.escape(title)}</h1>",
        '<p class="lead">User-Managed Concurrency Groups against ordinary threads: the same C '
        "workload, measured alternately in one boot.</p>",
        f'<nav aria-label="On this page"><ul><li><a href="#ratios">Ratios</a></li>{links}'
        '<li><a href="#limits">What the numbers do not say</a></li>'
        '<li><a href="#environment">Environment</a></li></ul></nav>',
        _tcg(records),
        worth.section(records),
        _ratios(records),
        *(_run(anchor, r) for anchor, r in zip(names, records, strict=True)),
        _limits(records),
        _environment(records),
    ]
    return webpage.document(title, body)


def _anchors(records: Sequence[Record]) -> list[str]:
    seen: dict[str, int] = {}
    names = []
    for record in records:
        word = "".join(c if c.isalnum() else "-" for c in record.experiment)
        seen[word] = seen.get(word, 0) + 1
        names.append(f"run-{word}" + (f"-{seen[word]}" if seen[word] > 1 else ""))
    return names


def _tcg(records: Sequence[Record]) -> str:
    if not any(r.environment.get("accelerator") == "tcg" for r in records):
        return ""
    return (
        f'<div class="warn"><p><strong>{TCG_WARNING}</strong> These runs were made in an emulated '
        "machine.</p></div>"
    )


def _ratios(records: Sequence[Record]) -> str:
    parts = [
        '<section id="ratios"><h2>Ratios</h2><p>Each series over its baseline: both were measured '
        "one after the other in every repetition; the median of the repetitions' ratios, with its "
        "95 % interval. For times below 1 is better, for rates above 1.</p>"
    ]
    none = True
    for record in records:
        try:
            table = analysis.df_ratio(record)
        except MissingSamples:
            continue
        if table.is_empty():
            continue
        none = False
        low, high = (pl.col(c).round(3).cast(pl.String) for c in ("ci_low", "ci_high"))
        shown = table.select(
            "series",
            "ratio",
            pl.when(pl.col("ci_low").is_finite())
            .then(pl.format("{} to {}", low, high))
            .alias("95 % interval"),
            "verdict",
            "baseline",
            "unit",
            "value",
            "baseline_value",
            "n",
        )
        formats = {
            "verdict": webpage.pill,
            "ratio": lambda v: f"<strong>{webpage.cell(v)}</strong>",
        }
        parts.append(f"<h3>{html.escape(record.experiment)}</h3>" + webpage.table(shown, formats))
    if none:
        parts.append("<p>No run has a series with a baseline: there is no ratio to show.</p>")
    return "".join(parts) + "</section>"


def _run(anchor: str, record: Record) -> str:
    parts = [
        f'<section id="{anchor}"><h2>{html.escape(record.experiment)}</h2>',
        f'<p class="lead">{html.escape(question(record.experiment))}</p>',
        _warnings(record),
        *(_samples(record)),
        *(_events(record)),
        _probe(record),
        "</section>",
    ]
    return "".join(parts)


def _warnings(record: Record) -> str:
    said = analysis.warnings(record)
    if not said:
        return ""
    items = "".join(f"<li>{html.escape(w)}</li>" for w in said)
    if len(said) > 4:
        return (
            f'<details class="warn"><summary>{len(said)} reasons to doubt these values</summary>'
            f"<ul>{items}</ul></details>"
        )
    return f'<div class="warn"><p>Reasons to doubt these values</p><ul>{items}</ul></div>'


def _samples(record: Record) -> Iterable[str]:
    if record.samples.is_empty():
        return
    if record.experiment == "prediction":  # each value once: its ratios are its figure
        yield webpage.figure(plots.plot_prediction, record)
        return
    if record.experiment == "server":
        yield webpage.figure(plots.plot_load_curve, record)
    if analysis.df_ratio(record).height:
        yield webpage.figure(plots.plot_ratio, record)
    for unit in record.samples["unit"].unique(maintain_order=True):
        yield webpage.figure(plots.plot_comparison, record, unit)


def _events(record: Record) -> Iterable[str]:
    kinds = set(record.events["kind"].unique().cast(pl.String))
    if not kinds:
        yield '<p class="note">This run was not traced: no timeline, no distributions.</p>'
        return
    if kinds & set(STATE_KINDS):
        yield "<h3>Timelines</h3>"
        yield from _timelines(record)
    if "op" in kinds:
        yield "<h3>Latency of operations</h3>"
        table = analysis.df_latency(record)
        yield _latencies(table)
        for group in _groups(table["series"].to_list()):
            yield webpage.figure(plots.plot_latency, record, series=group)
        yield "<h3>Throughput</h3>"
        for group in _groups(table["series"].to_list()):
            yield webpage.figure(plots.plot_throughput, record, series=group)
    for make, head in (
        (analysis.df_detection, "Block detection"),
        (analysis.df_wake, "Wake-up until running"),
        (analysis.df_preemption, "Preemption"),
    ):
        try:
            table = make(record)
        except MissingEvents:
            continue
        if table.height:
            yield f"<h3>{head}</h3>" + _latencies(table)
    if kinds & set(STATE_KINDS):
        shares = dict.fromkeys(("running", "idle", "listed", "blocked"), webpage.share)
        occupancy = analysis.df_occupancy(record)
        yield (
            f"<details><summary>Where the time of {counted(occupancy.height, 'task')} went"
            "</summary>"
            + _table(occupancy.drop("tid"), shares | {"observed_ns": webpage.ns})
            + "</details>"
        )


def _groups(series: Sequence[str]) -> list[list[str]]:
    """Series that may stand in one figure: alike but for what is before the first `/`."""
    groups: dict[str, list[str]] = {}
    for name in series:
        groups.setdefault(head_and_rest(name)[1], []).append(name)
    # Many groups of one say nothing against each other; then one figure is better.
    return list(groups.values()) if len(groups) < len(series) else [list(series)]


def _latencies(table: pl.DataFrame) -> str:
    return _table(table, {c: webpage.ns for c in table.columns if c.endswith("_ns")})


def _table(table: pl.DataFrame, formats: Mapping[str, Callable[[object], str]]) -> str:
    """A table of what events tell; rows say that they are incomplete, where any is."""
    if table["complete"].all():
        return webpage.table(table.drop("complete"), formats)
    lost = {"complete": lambda whole: "yes" if whole else "no: events were lost"}
    return webpage.table(table, {**formats, **lost})


def _timelines(record: Record) -> Iterable[str]:
    series = plots.series_of(record)
    # One of UMCG and one baseline tell the story; all of them would be a book.
    head, rest = head_and_rest(series[0])
    against = baselines(record.experiment)
    others = [s for s in series if head_and_rest(s)[0] in against and not s.startswith(head)]
    others.sort(key=lambda s: head_and_rest(s)[1] != rest)
    chosen = series[:1] + others[:1]
    for name in chosen:
        tids = record.tasks.filter(pl.col("series") == name)["tid"]
        times = record.events.filter(
            pl.col("tid").is_in(tids.implode()) & pl.col("kind").is_in(STATE_KINDS)
        )["t"]
        yield webpage.timeline(record, name)
        if times.len() > 2 * _CLOSE:
            # From the middle, where everything is warm and nothing ends yet.
            start = times.len() // 2
            t0, t1 = int(times[start]), int(times[start + _CLOSE]) + 1
            yield '<p class="note">The same, close: a few moments from the middle.</p>'
            yield webpage.timeline(record, name, t0, t1)
    left = len(series) - len(chosen)
    if left > 0:
        yield f'<p class="note">{left} more series have timelines in the run\'s file.</p>'


def _probe(record: Record) -> str:
    said = f"<h3>Probe effect</h3><p>{html.escape(analysis.probe_sentence(record))}"
    table = analysis.df_probe(record)
    if table.is_empty():
        return said + "</p>"
    return (
        f"{said} Timelines, latency distributions and throughput over time show traced work.</p>"
        f"<details><summary>Cost of tracing by series</summary>{webpage.table(table)}</details>"
    )


def _limits(records: Sequence[Record]) -> str:
    said = list(LIMITS)
    if any(r.environment.get("accelerator") == "tcg" for r in records):
        said.insert(0, TCG_WARNING + " Instruction counts are the cost measure to trust there.")
    if any(r.environment.get("umcg_missing") for r in records):
        missing = next(m for r in records if (m := r.environment.get("umcg_missing")))
        said.insert(0, f"Nothing about UMCG in some runs: {missing}.")
    items = "".join(f"<li>{html.escape(s)}</li>" for s in said)
    return f'<section id="limits"><h2>What the numbers do not say</h2><ul>{items}</ul></section>'


def _environment(records: Sequence[Record]) -> str:
    parts = ['<section id="environment"><h2>Environment</h2>']
    first = records[0].environment
    # Older files do not tell their boot: what they tell is the same or not.
    times = all(r.environment.get("boot_id") for r in records)
    if not any(analysis.differences(first, r.environment, times=times) for r in records[1:]):
        parts.append("<p>All runs were made in this environment.</p>" + webpage.definitions(first))
    else:
        parts.append(
            '<div class="warn"><p>The runs were made in different environments: do not compare '
            "one with another.</p></div>"
        )
        parts += [
            f"<h3>{html.escape(r.experiment)}</h3>{webpage.definitions(r.environment)}"
            for r in records
        ]
    for record in records:
        parts.append(
            f"<details><summary>What was asked of {html.escape(record.experiment)}</summary>"
            f"{webpage.definitions(record.spec)}</details>"
        )
    return "".join(parts) + "</section>"
