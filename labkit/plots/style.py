# SPDX-License-Identifier: MIT
"""Colours, fonts and the caption that every figure carries."""

from __future__ import annotations

import html
import math
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from labkit.names import counted, things
from labkit.records import Record

if TYPE_CHECKING:
    import plotly.graph_objects as go

#: Colours of the places a task can be in; apart in hue for all kinds of colour vision, and in
#: lightness, for a print in grey (after Okabe and Ito, "Color Universal Design", 2008).
PLACE_COLOURS = {
    "RUNNING": "#2A8BCB",
    "IDLE": "#E4E7EA",
    "IDLE on the list": "#E8B62C",
    "BLOCKED": "#8A2D00",
}

#: Those of them that stand out from white by less than 3 : 1 have a line of this colour round them;
#: what is too narrow for a line is all of it.
EDGES = {"IDLE": "#7d8894", "IDLE on the list": "#A8780A"}

#: Colours and dashes of series, in order; a series is never told by colour alone.
SERIES_COLOURS = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#C28500", "#3B9AD9", "#5B5B5B", "#8C6D1F",
)  # fmt: skip
SERIES_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")

TCG_WARNING = "Under TCG absolute times mean nothing: compare ratios only."

#: Of every drawing.
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"
_CAPTION = "caption"
_HEAD, _LINE = 56, 18

#: A legend in a row above the drawing, for the few entries that a reader knows.
TOP_LEGEND = {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0}


def caption(record: Record) -> str:
    """One line that says where and how the run was made, for under a figure."""
    env, spec = record.environment, record.spec
    if env.get("backend") == "imported":
        lost = record.counters.get("lost")
        return (
            f"{spec.get('file', '?')}: {spec.get('form', '?')}, recorded by another tool, clock "
            f"{env.get('clock', 'unknown')}, {counted(len(env.get('cpus', ())), 'CPU')}."
            + (f" Lost: {lost:g} {things(lost, 'event')}." if lost else "")
        )
    if env.get("backend") == "simulator":
        return _simulated(spec | {"costs": env.get("costs", spec.get("costs", {}))})
    said = [f"{record.experiment}: kernel {env.get('kernel', 'unknown')}"]
    if env.get("config_digest"):
        said.append(f"config {env['config_digest']}")
    accelerator = str(env.get("accelerator", "unknown"))
    said.append({"tcg": "TCG", "kvm": "KVM", "vm": "some VM"}.get(accelerator, accelerator))
    said.append(str(env.get("cpu", "unknown CPU")))
    cpus = env.get("cpus")
    if isinstance(cpus, list):
        said.append(counted(len(cpus), "CPU"))
    said.append(f"pinning: {_pinning(spec)}")
    said.append(f"clock {env.get('clock', 'unknown')}")
    repetitions = spec.get("repetitions")
    if repetitions is None and record.samples.height:
        repetitions = record.samples["repetition"].n_unique()
    said.append("no repetitions" if repetitions is None else counted(repetitions, "repetition"))
    if env.get("commit"):
        said.append(f"commit {env['commit']}")
    text = ", ".join(said) + "."
    if record.counters.get("lost"):
        text += f" {record.counters['lost']:g} events were lost; what is made of them ends there."
    return text + (f" {TCG_WARNING}" if accelerator == "tcg" else "")


def _simulated(spec: dict[str, Any]) -> str:
    """The caption of what no kernel has run."""
    policy = spec.get("policy", "?")
    policy = policy if isinstance(policy, str) else " and ".join(policy)
    said = [f"{spec['experiment']}: simulated in virtual time, policy {policy}"]
    if "points" in spec:
        said += [counted(spec["points"], "simulation"), counted(spec["seeds"], "seed")]
    if "servers" in spec:
        given = spec.get("costs", {}).items()
        costs = [f"{name.removesuffix('_ns')} {ns} ns" for name, ns in given if ns]
        seeds = f"seeds 1 to {spec['repetitions']}" if "repetitions" in spec else ""
        said.append(counted(spec["servers"], "server"))
        said.append(seeds or f"seed {spec.get('seed', '?')}")
        said.append(f"switching costs {', '.join(costs) or 'nothing'}")
    return ", ".join(said) + "."


def _pinning(spec: dict[str, Any]) -> str:
    placements = spec.get("placements")
    if isinstance(placements, list):
        return " and ".join(placements)
    return str(spec.get("pinning", "to the run's CPUs"))


def finish(
    fig: go.Figure, record: Record, title: str, height: int = 420, notice: str = ""
) -> go.Figure:
    """Give a figure its looks, its title with a notice under it, and its caption."""
    from labkit.plots.renderer import everywhere  # imports Plotly

    everywhere()
    text = caption(record)
    lines = textwrap.wrap(text, 120)
    shown = f"{title}<br><sup>{notice}</sup>" if notice else title
    fig.update_layout(
        template="plotly_white",
        font={"family": FONT, "size": 13, "color": "#1d2733"},
        title={
            "text": shown,
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"l": 12, "t": 12},
            "font": {"size": 16},
        },
        height=height + _HEAD + _LINE * len(lines),
        margin={"l": 10, "r": 16, "t": _HEAD + 20, "b": 62 + _LINE * len(lines)},
        legend={"title": None, "font": {"size": 12}},
        hoverlabel={"font": {"family": FONT}},
        meta={"title": title, "notice": notice, "caption": text},
    )
    fig.update_xaxes(automargin=True, zeroline=False)
    fig.update_yaxes(automargin=True, zeroline=False)
    fig.add_annotation(
        name=_CAPTION,
        text="<br>".join(lines),
        x=0,
        xref="paper",
        xanchor="left",
        align="left",
        y=0,
        yref="paper",
        yanchor="top",
        yshift=-56,
        showarrow=False,
        font={"size": 11, "color": "#5b6673"},
    )
    return fig


class Parts(NamedTuple):
    """A figure without words, and its words: for pages that set text themselves."""

    figure: go.Figure
    title: str
    notice: str
    caption: str


def take_apart(fig: go.Figure) -> Parts:
    """A copy of a finished figure without title, notice and caption, and these."""
    import plotly.graph_objects as go

    bare = go.Figure(fig)
    words = fig.layout.meta
    bare.layout.annotations = [a for a in bare.layout.annotations if a.name != _CAPTION]
    lines = len(textwrap.wrap(words["caption"], 120))
    bare.layout.height -= _LINE * lines + _HEAD
    bare.layout.margin.b -= _LINE * lines
    bare.layout.margin.t -= _HEAD
    bare.layout.title = None
    return Parts(bare, words["title"], words["notice"], words["caption"])


def log_ticks(low: float, high: float, text: Callable[[float], str]) -> dict[str, Any]:
    """Ticks of a logarithmic axis, written by `text`.

    At 1, 2, 5 of each decade, at 1 alone beyond three decades, and in even steps where that would
    leave one tick or none.
    """
    if high < 5 * low:
        step = 10.0 ** math.floor(math.log10(high - low)) / 2 if high > low else low
        near = [step * i for i in range(math.floor(low / step), math.ceil(high / step) + 1)]
        ticks = [t for t in near if t > 0][:: max(1, len(near) // 8)]
        return {"tickmode": "array", "tickvals": ticks, "ticktext": [text(t) for t in ticks]}
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if last - first <= 3 else (1,)
    ticks = [s * 10.0**e for e in range(first, last + 1) for s in steps]
    return {"tickmode": "array", "tickvals": ticks, "ticktext": [text(t) for t in ticks]}


def series_style(index: int) -> dict[str, str]:
    """Line colour and dash of the index-th series."""
    return {
        "color": SERIES_COLOURS[index % len(SERIES_COLOURS)],
        "dash": SERIES_DASHES[index % len(SERIES_DASHES)],
    }


def duration(ns: float) -> str:
    """A time in a unit that reads well."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if abs(ns) >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.3g} ns"


def cell(value: object) -> str:
    """A value as text of a page: four digits, escaped."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if value != value:
            return "—"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else html.escape(str(value))
