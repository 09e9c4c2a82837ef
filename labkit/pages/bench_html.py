# SPDX-License-Identifier: MIT
"""The report as one self-contained HTML page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import polars as pl

from labkit import analysis
from labkit.benchmark.judge import HOLDS, REFUTED, judge_all, judge_peers
from labkit.benchmark.results import Results
from labkit.benchmark.suite import Distribution, Suite
from labkit.names import counted
from labkit.pages import bench_charts as charts
from labkit.pages import bench_texts as texts
from labkit.pages import webpage
from labkit.pages.published import PUBLISHED
from labkit.plots.style import TCG_WARNING
from labkit.records import Record


def as_html(results: Results, suites: Sequence[Suite]) -> str:
    """The page."""
    shown = [suite for suite in suites if suite.name in results.suites]
    links = "".join(f'<li><a href="#{s.name}">{html.escape(s.title)}</a></li>' for s in shown)
    body = [
        "<h1>UMCG against pthreads</h1>",
        '<p class="lead">User-Managed Concurrency Groups beside what ordinary threads cost under '
        "the kernel's own scheduler.</p>",
        '<nav aria-label="On this page"><ul><li><a href="#summary">Summary</a></li>'
        f'<li><a href="#unhelpful">What UMCG does not help</a></li>{links}'
        '<li><a href="#icount">Instructions</a></li><li><a href="#peers">Peers</a></li>'
        '<li><a href="#published">Published figures</a></li>'
        '<li><a href="#repeat">How to repeat it</a></li></ul></nav>',
        _tcg(results),
        _summary(results, suites),
        _unhelpful(results, suites),
        *(_suite(results, suite) for suite in shown),
        _icount(results),
        _peers(results),
        _published(),
        _repeat(results),
    ]
    return webpage.document("UMCG against pthreads", body)


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"


def _tcg(results: Results) -> str:
    if results.environment.get("accelerator") == "tcg icount":
        return f'<div class="warn"><p>{html.escape(texts.VIRTUAL)}</p></div>'
    if results.environment.get("accelerator") != "tcg":
        return ""
    return (
        f'<div class="warn"><p><strong>{TCG_WARNING}</strong> QEMU interpreted this machine; the '
        "instruction counts below are the cost measure to trust.</p></div>"
    )


def _summary(results: Results, suites: Sequence[Suite]) -> str:
    made = texts.claims(results, suites)
    items = "".join(f"<li>{_claim(f.claim)} {html.escape(texts.claim_said(f))}</li>" for f in made)
    return (
        '<section id="summary"><h2>Summary</h2>'
        + _list(texts.summary(results, suites))
        + (f"<h3>Claims made before measuring</h3><ul>{items}</ul>" if made else "")
        + f"<h3>How to read this</h3><p>{html.escape(texts.method(results))}</p>"
        + "</section>"
    )


def _claim(value: object) -> str:
    if value == "—":
        return "—"
    look = {HOLDS: "better", REFUTED: "worse"}.get(str(value), "same")
    return f'<span class="pill {look}">{html.escape(str(value))}</span>'


def _unhelpful(results: Results, suites: Sequence[Suite]) -> str:
    parts = ['<section id="unhelpful"><h2>What UMCG does not help</h2>']
    worse = texts.unhelpful(results, suites)
    if not worse:
        parts.append(f"<p>{texts.NOTHING_WORSE}</p>")
    for suite, findings in worse:
        parts.append(
            f"<h3>{html.escape(suite.title)}</h3><p>{html.escape(suite.help)}</p>"
            + _list(f.sentence() for f in findings)
        )
    for what, findings in texts.indifferent(results, suites).items():
        if findings:
            parts.append(
                f"<details><summary>{what}: {len(findings)} contrasts</summary>"
                + _list(f.sentence() for f in findings)
                + "</details>"
            )
    return "".join(parts) + "</section>"


def _suite(results: Results, suite: Suite) -> str:
    result = results.suites[suite.name]
    findings = judge_all(results, [suite])[suite.name]
    record = result.record(suite.name, results.environment)
    parts = [
        f'<section id="{suite.name}"><h2>{html.escape(suite.title)}</h2>'
        f'<p class="lead">{html.escape(suite.question)}</p>'
        f"<p>Refuted by: {html.escape(suite.refuted_by)}</p>"
    ]
    said = texts.doubts(results, suite.name, result)
    if said:
        parts.append(
            f'<details class="warn"><summary>{counted(len(said), "reason")} to '
            f"doubt these values</summary>{_list(said)}</details>"
        )
    if findings:
        shown = texts.findings_table(findings)
        bold = {"ratio": lambda v: f"<strong>{html.escape(str(v))}</strong>"}
        parts.append(webpage.table(shown, {"verdict": webpage.pill, "claim": _claim, **bold}))
        parts.append(webpage.figure(charts.plot_findings, record, findings))
    for curve in suite.curves:
        if charts.plot_curve(record, curve) is not None:
            parts.append(webpage.figure(charts.plot_curve, record, curve))
    for title, shapes in _groups(result.distributions).items():
        parts.append(webpage.figure(charts.plot_distributions, record, title, shapes))
    parts.append(_values(record))
    parts.append(f"<p>{html.escape(suite.help)}</p></section>")
    return "".join(parts)


def _values(record: Record) -> str:
    if record.samples.is_empty():
        return "<p>No values.</p>"
    probe = analysis.df_probe(record)
    text = (
        f"<details><summary>All values</summary>{webpage.table(analysis.df_samples(record))}"
        "</details>"
    )
    if probe.height:
        text += (
            "<details><summary>Probe effect: what tracing costs, in times as long</summary>"
            + webpage.table(probe)
            + "</details>"
        )
    return text


def _groups(shapes: dict[str, Distribution]) -> dict[str, dict[str, Distribution]]:
    """Distributions that stand in one figure: alike but for what is before the first `/`."""
    groups: dict[str, dict[str, Distribution]] = {}
    for name, shape in shapes.items():
        rest = name.partition("/")[2]
        groups.setdefault(f"Latency, {rest}" if rest else "Latency", {})[name] = shape
    if len(groups) == len(shapes):
        return {"Latency": shapes} if shapes else {}
    return groups


def _icount(results: Results) -> str:
    parts = ['<section id="icount"><h2>Instructions</h2>']
    counted = results.icount
    if not counted or "patched" not in counted:
        why = (counted or {}).get("error", "they were not counted in this run")
        return f"{parts[0]}<p>No counts: {html.escape(str(why))}.</p></section>"
    parts.append(f"<p>{html.escape(texts.COUNTED + texts.repeats(counted))}</p>")
    if counted.get("note"):
        parts.append(f'<p class="note">{html.escape(counted["note"])}</p>')
    parts.append(webpage.table(texts.counts_table(results)))
    return "".join(parts) + "</section>"


def _peers(results: Results) -> str:
    parts = ['<section id="peers"><h2>Peers</h2>']
    parts.append(f"<p>{texts.PEERS}</p>")
    peers = results.peers or {}
    findings = judge_peers(results)
    for problem in texts.peer_problems(peers):
        parts.append(f'<p class="note">{html.escape(problem)}</p>')
    if findings:
        shown = texts.peers_table(findings)
        parts.append(webpage.table(shown, {"verdict": webpage.pill, "claim": _claim}))
        kernels = {f"{name} kernel": said for name, said in peers.get("kernels", {}).items()}
        commands = [f"{name}: {said}" for name, said in (peers["commands"] | kernels).items()]
        parts.append(f"<details><summary>Commands, kernels</summary>{_list(commands)}</details>")
    return "".join(parts) + "</section>"


def _wrapped(value: object) -> str:
    return f'<span style="white-space:normal">{html.escape(str(value))}</span>'


def _published() -> str:
    table = pl.DataFrame(PUBLISHED, schema=["what", "figure", "source"], orient="row")
    return (
        '<section id="published"><h2>Published figures</h2><p>Other machines, other kernels, some '
        "per switch and some per round trip: for context, not to be compared with the times "
        f"above.</p>{webpage.table(table, {'source': _wrapped})}</section>"
    )


def _repeat(results: Results) -> str:
    table = pl.DataFrame(texts.REPEAT, schema=["what", "command"], orient="row")
    code = {"command": lambda v: f"<code>{html.escape(str(v))}</code>"}
    took = {f"{name}, s": result.seconds for name, result in results.suites.items()}
    return (
        f'<section id="repeat"><h2>How to repeat it</h2>{webpage.table(table, code)}'
        f"<h3>Environment</h3>{webpage.definitions(results.environment | {'rigor': results.rigor})}"
        f"<details><summary>What each suite took</summary>{webpage.definitions(dict(took))}"
        "</details></section>"
    )
