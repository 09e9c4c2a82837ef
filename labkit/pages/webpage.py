# SPDX-License-Identifier: MIT
"""What pages are made of: one self-contained HTML document, tables, figures, lists."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence

import plotly.graph_objects as go
import polars as pl
from plotly.offline import get_plotlyjs

from labkit import plots
from labkit.analysis.requires import MissingEvents, MissingSamples
from labkit.plots.renderer import page_html
from labkit.plots.style import cell as cell
from labkit.plots.style import duration
from labkit.records import Record

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
  .modebar { display:none !important } figure.scroll > svg { max-width:none !important }
  h1 { font-size:1.5rem } dl { grid-template-columns:1fr } dt { margin-top:6px } }
@media print { body { background:#fff } section { break-inside:avoid } }
"""

# Plotly makes a legend and its margins for the width it has; on a phone these are half the
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


def document(title: str, body: Sequence[str]) -> str:
    """The whole page: no network, plotly.js inside once."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style>"
        f"<script>{get_plotlyjs()}</script></head><body><main>"
        + "\n".join(body)
        + f"</main><script>{_JS}</script></body></html>"
    )


def figure(plot: Callable[..., go.Figure], *args: object, **options: object) -> str:
    """A figure with its words as text; why there is none, when there is none."""
    try:
        parts = plots.take_apart(plot(*args, **options))
    except (MissingEvents, MissingSamples) as error:
        return f'<p class="note">No figure: {html.escape(str(error))}.</p>'
    drawn = page_html(parts.figure)
    notice = f'<p class="notice">{html.escape(parts.notice)}</p>' if parts.notice else ""
    return (
        f"<figure><h4>{html.escape(parts.title)}</h4>{notice}{drawn}"
        f"<figcaption>{html.escape(parts.caption)}</figcaption></figure>"
    )


def timeline(record: Record, series: str, t0: int | None = None, t1: int | None = None) -> str:
    """The picture of a timeline; its words are in it."""
    drawn = plots.plot_timeline(record, series, t0, t1).svg
    return f'<figure class="scroll" tabindex="0">{drawn}</figure>'


def table(table: pl.DataFrame, formats: Mapping[str, Callable[[object], str]] | None = None) -> str:
    """A table in HTML; text is escaped unless its column has a format, which makes HTML."""
    formats = formats or {}
    numeric = [t.is_numeric() for t in table.dtypes]
    head = "".join(
        f'<th scope="col"{" class=n" if n else ""}>{html.escape(_head(c, formats.get(c)))}</th>'
        for c, n in zip(table.columns, numeric, strict=True)
    )
    rows = []
    for row in table.iter_rows():
        cells = (
            f"<td{' class=n' if n else ''}>{formats.get(c, cell)(value)}</td>"
            for c, n, value in zip(table.columns, numeric, row, strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _head(column: str, written: Callable[[object], str] | None) -> str:
    # A time is written with its own unit.
    return (column.removesuffix("_ns") if written is ns else column).replace("_", " ")


def ns(value: object) -> str:
    """A time in ns as text."""
    return duration(float(value)) if isinstance(value, int | float) else "—"


def share(value: object) -> str:
    """A share as a percentage."""
    return f"{value:.1%}" if isinstance(value, float) else "—"


def pill(value: object) -> str:
    """A verdict, coloured."""
    look = {"better": "better", "worse": "worse"}.get(str(value), "same")
    return f'<span class="pill {look}">{html.escape(str(value))}</span>'


def definitions(values: dict[str, object]) -> str:
    """Names and values as a list; empty values are left out."""
    rows = []
    for key, value in values.items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if text:
            rows.append(
                f"<dt>{html.escape(key.replace('_', ' '))}</dt><dd>{html.escape(text)}</dd>"
            )
    return f"<dl>{''.join(rows)}</dl>"
