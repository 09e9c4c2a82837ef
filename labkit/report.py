# SPDX-License-Identifier: MIT
"""One self-contained HTML page from runs: no network, plotly.js inside once."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import plotly.graph_objects as go
import plotly.io
import polars as pl
from plotly.offline import get_plotlyjs

from labkit import analysis, plots
from labkit.analysis.compare import BASELINES, head_and_rest
from labkit.analysis.needs import MissingEvents, MissingSamples
from labkit.plots.style import TCG_WARNING, duration
from labkit.record import Record
from labkit.trace.files import write_atomically
from labkit.trace.schema import STATE_KINDS

#: What each experiment asks, for a reader who starts with the page.
QUESTIONS = {
    "swap": "What does it cost to hand one turn from a thread to another?",
    "wake": "How long does it take until woken threads run, one or many at once?",
    "block": "When a worker blocks in the kernel, how soon does its server run another?",
    "preempt": "How soon is a runaway worker taken off its server, and how fair is the rest?",
}

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

_CSS = """
:root { --ink:#1d2733; --soft:#5b6673; --line:#dfe3e8; --accent:#0072B2; --warn:#8a4b00; }
* { box-sizing:border-box }
body { margin:0; font:16px/1.55 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;
  color:var(--ink); background:#f6f7f9 }
main { max-width:1120px; margin:0 auto; padding:24px 20px 80px }
h1 { font-size:1.9rem; margin:.2em 0 } h2 { font-size:1.4rem; margin:0 0 .2em }
h3 { font-size:1.15rem; margin:1.8em 0 .4em } h4 { font-size:1rem; margin:0 }
.notice { font-size:.85rem; color:var(--soft); margin:0 }
.lead, figcaption, .note { color:var(--soft) }
section { background:#fff; border:1px solid var(--line); border-radius:8px; padding:22px 24px;
  margin:22px 0 }
nav ul { list-style:none; padding:0; margin:0; display:flex; flex-wrap:wrap; gap:6px 18px }
a { color:var(--accent) }
figure { margin:18px 0; min-width:0 } figcaption { font-size:.82rem; margin-top:2px }
.scroll { overflow-x:auto }
table { border-collapse:collapse; font-size:.9rem; width:100% }
th,td { text-align:left; padding:5px 12px 5px 0; border-bottom:1px solid var(--line);
  white-space:nowrap }
th { font-weight:600; color:var(--soft) } td.n, th.n { text-align:right;
  font-variant-numeric:tabular-nums }
.pill { border-radius:99px; padding:1px 9px; font-size:.82rem; border:1px solid currentColor }
.better { color:#00614a } .worse { color:#9c3a00 } .same { color:var(--soft) }
.warn { border-left:4px solid #E69F00; padding:8px 14px; background:#fff8ea; color:var(--warn);
  margin:14px 0 }
.warn p, .warn ul { margin:.2em 0 }
dl { display:grid; grid-template-columns:max-content 1fr; gap:3px 18px; font-size:.9rem; margin:0 }
dt { color:var(--soft) } dd { margin:0; overflow-wrap:anywhere }
details summary { cursor:pointer; color:var(--accent) }
@media (max-width:640px) { main { padding:12px 8px 60px } section { padding:14px 12px }
  .modebar { display:none !important }
  h1 { font-size:1.5rem } dl { grid-template-columns:1fr } dt { margin-top:6px } }
@media print { body { background:#fff } section { break-inside:avoid } }
"""

# Plotly lays a legend and its margins out for the width it has; on a phone these are half the
# figure.
_JS = """
function fit() {
  const narrow = window.innerWidth < 640;
  document.querySelectorAll('.js-plotly-plot').forEach(p => {
    if (p.dataset.narrow === String(narrow)) return;
    p.dataset.narrow = String(narrow);
    p.labTall ??= p.layout.height;
    p.labSide ??= (p.layout.legend || {}).orientation !== 'h';
    const look = {'margin.l': narrow ? 4 : 10, 'margin.r': narrow ? 6 : 16,
      'font.size': narrow ? 11 : 13};
    const entries = p.data.filter(t => t.name && t.showlegend !== false).length;
    if (p.labSide && entries > 1) {
      // A legend at the side would take half of a phone: put it below.
      const extra = 19 * entries;
      look['height'] = p.labTall + (narrow ? extra : 0);
      look['legend.orientation'] = narrow ? 'h' : 'v';
      look['legend.yref'] = narrow ? 'container' : 'paper';
      look['legend.y'] = narrow ? 0 : 1;
      look['legend.yanchor'] = narrow ? 'bottom' : 'top';
      look['legend.x'] = narrow ? 0 : 1.02;
      look['margin.b'] = (p.labBottom ??= p.layout.margin.b) + (narrow ? extra : 0);
    }
    Plotly.relayout(p, look);
  });
}
window.addEventListener('load', fit); window.addEventListener('resize', fit);
"""


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
        _ratios(records),
        *(_run(anchor, r) for anchor, r in zip(names, records, strict=True)),
        _limits(records),
        _environment(records),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style>"
        f"<script>{get_plotlyjs()}</script></head><body><main>"
        + "\n".join(body)
        + f"</main><script>{_JS}</script></body></html>"
    )


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


def _figure(plot: Callable[..., go.Figure], *args: object, **options: object) -> str:
    """A figure with its words as text; why there is none, when there is none."""
    try:
        parts = plots.take_apart(plot(*args, **options))
    except (MissingEvents, MissingSamples) as error:
        return f'<p class="note">No figure: {html.escape(str(error))}.</p>'
    drawn = plotly.io.to_html(
        parts.figure,
        full_html=False,
        include_plotlyjs=False,
        config={"responsive": True, "displaylogo": False},
    )
    notice = f'<p class="notice">{html.escape(parts.notice)}</p>' if parts.notice else ""
    return (
        f"<figure><h4>{html.escape(parts.title)}</h4>{notice}{drawn}"
        f"<figcaption>{html.escape(parts.caption)}</figcaption></figure>"
    )


def _table(
    table: pl.DataFrame, formats: Mapping[str, Callable[[object], str]] | None = None
) -> str:
    """A table in HTML; text is escaped unless its column has a format, which makes HTML."""
    formats = formats or {}
    numeric = [t.is_numeric() for t in table.dtypes]
    head = "".join(
        f'<th scope="col"{" class=n" if n else ""}>{html.escape(c.replace("_", " "))}</th>'
        for c, n in zip(table.columns, numeric, strict=True)
    )
    rows = []
    for row in table.iter_rows():
        cells = (
            f"<td{' class=n' if n else ''}>{formats.get(c, _cell)(value)}</td>"
            for c, n, value in zip(table.columns, numeric, row, strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(value: object) -> str:
    if value is None:
        return "—"
    if isinstance(value, float):
        if value != value:
            return "—"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else html.escape(str(value))


def _ns(value: object) -> str:
    return duration(float(value)) if isinstance(value, int | float) else "—"


def _share(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, float) else "—"


def _pill(value: object) -> str:
    look = {"better": "better", "worse": "worse"}.get(str(value), "same")
    return f'<span class="pill {look}">{html.escape(str(value))}</span>'


def _ratios(records: Sequence[Record]) -> str:
    parts = [
        '<section id="ratios"><h2>Ratios</h2><p>Each series over its baseline: median over median '
        "of repetitions that alternated, with a 95 % bootstrap interval. For times below 1 is "
        "better, for rates above 1.</p>"
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
        low, high = (pl.col(c).round(3).cast(pl.String) for c in ("low", "high"))
        shown = table.select(
            "series",
            "ratio",
            pl.when(pl.col("low").is_finite())
            .then(pl.format("{} to {}", low, high))
            .alias("95 % interval"),
            "verdict",
            "baseline",
            "unit",
            "value",
            "baseline_value",
            "n",
        )
        formats = {"verdict": _pill, "ratio": lambda v: f"<strong>{_cell(v)}</strong>"}
        parts.append(f"<h3>{html.escape(record.experiment)}</h3>" + _table(shown, formats))
    if none:
        parts.append("<p>No run has a series with a baseline: there is no ratio to show.</p>")
    return "".join(parts) + "</section>"


def _run(anchor: str, record: Record) -> str:
    parts = [
        f'<section id="{anchor}"><h2>{html.escape(record.experiment)}</h2>',
        f'<p class="lead">{html.escape(QUESTIONS.get(record.experiment, ""))}</p>',
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
    if analysis.df_ratio(record).height:
        yield _figure(plots.plot_ratio, record)
    for unit in record.samples["unit"].unique(maintain_order=True):
        yield _figure(plots.plot_comparison, record, unit)


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
        yield _table(table, _ns_columns(table))
        for group in _groups(table["series"].to_list()):
            yield _figure(plots.plot_latency, record, series=group)
        yield "<h3>Throughput</h3>"
        for group in _groups(table["series"].to_list()):
            yield _figure(plots.plot_throughput, record, series=group)
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
            yield f"<h3>{head}</h3>" + _table(table, _ns_columns(table))
    if kinds & set(STATE_KINDS):
        shares = dict.fromkeys(("running", "idle", "listed", "blocked"), _share)
        occupancy = analysis.df_occupancy(record)
        yield (
            f"<details><summary>Where the time of {occupancy.height} tasks went</summary>"
            + _table(occupancy.drop("tid"), shares | {"observed_ns": _ns})
            + "</details>"
        )


def _groups(series: Sequence[str]) -> list[list[str]]:
    """Series that may stand in one figure: alike but for what is before the first `/`."""
    groups: dict[str, list[str]] = {}
    for name in series:
        groups.setdefault(head_and_rest(name)[1], []).append(name)
    # Many groups of one say nothing against each other; then one figure is better.
    return list(groups.values()) if len(groups) < len(series) else [list(series)]


def _ns_columns(table: pl.DataFrame) -> dict[str, Callable[[object], str]]:
    return {c: _ns for c in table.columns if c.endswith("_ns")}


def _timelines(record: Record) -> Iterable[str]:
    series = plots.series_of(record)
    # One of UMCG and one baseline tell the story; all of them would be a book.
    head, rest = head_and_rest(series[0])
    others = [s for s in series if head_and_rest(s)[0] in BASELINES and not s.startswith(head)]
    others.sort(key=lambda s: head_and_rest(s)[1] != rest)
    chosen = series[:1] + others[:1]
    for name in chosen:
        tids = record.tasks.filter(pl.col("series") == name)["tid"]
        times = record.events.filter(
            pl.col("tid").is_in(tids.implode()) & pl.col("kind").is_in(STATE_KINDS)
        )["t"]
        yield _figure(plots.plot_timeline, record, name)
        if times.len() > 2 * _CLOSE:
            # From the middle, where everything is warm and nothing ends yet.
            start = times.len() // 2
            t0, t1 = int(times[start]), int(times[start + _CLOSE]) + 1
            yield '<p class="note">The same, close: a few moments from the middle.</p>'
            yield _figure(plots.plot_timeline, record, name, t0, t1)
    left = len(series) - len(chosen)
    if left > 0:
        yield f'<p class="note">{left} more series have timelines in the run\'s file.</p>'


def _probe(record: Record) -> str:
    table = analysis.df_probe(record)
    if table.is_empty():
        return (
            "<h3>Probe effect</h3><p>The cost of tracing was not measured in this run: how much it "
            "slowed the work down is unknown.</p>"
        )
    worst = table.sort("cost", descending=True).row(0, named=True)
    return (
        "<h3>Probe effect</h3><p>Tracing made the work take up to "
        f"{worst['cost']:.2f} times as long ({html.escape(worst['series'])}). Timelines, latency "
        "distributions and throughput over time show traced work.</p>"
        f"<details><summary>Cost of tracing by series</summary>{_table(table)}</details>"
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
    if all(not analysis.differences(first, r.environment) for r in records[1:]):
        parts.append("<p>All runs were made in this environment.</p>" + _definitions(first))
    else:
        parts.append(
            '<div class="warn"><p>The runs were made in different environments: do not compare '
            "one with another.</p></div>"
        )
        parts += [
            f"<h3>{html.escape(r.experiment)}</h3>{_definitions(r.environment)}" for r in records
        ]
    for record in records:
        parts.append(
            f"<details><summary>What was asked of {html.escape(record.experiment)}</summary>"
            f"{_definitions(record.spec)}</details>"
        )
    return "".join(parts) + "</section>"


def _definitions(values: dict[str, object]) -> str:
    rows = []
    for key, value in values.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if text:
            rows.append(
                f"<dt>{html.escape(key.replace('_', ' '))}</dt><dd>{html.escape(text)}</dd>"
            )
    return f"<dl>{''.join(rows)}</dl>"
