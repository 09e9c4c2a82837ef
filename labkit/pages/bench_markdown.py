# SPDX-License-Identifier: MIT
"""The report as Markdown, without figures."""

from __future__ import annotations

import html
from collections.abc import Sequence

import polars as pl

from labkit.benchmark.compare import Change
from labkit.benchmark.judge import judge_all, judge_peers
from labkit.benchmark.results import Results
from labkit.benchmark.suite import Suite
from labkit.names import counted
from labkit.pages import bench_texts as texts
from labkit.pages import webpage
from labkit.pages.published import PUBLISHED
from labkit.plots.style import TCG_WARNING


def as_markdown(results: Results, suites: Sequence[Suite]) -> str:
    """The same in Markdown, without figures."""
    env = results.environment
    lines = ["# UMCG against pthreads", ""]
    lines += [f"- {sentence}" for sentence in texts.summary(results, suites)]
    where = (
        f"Kernel {env.get('kernel')} (configuration {env.get('config_digest')}, build "
        f"{env.get('build')}), {env.get('accelerator')}, {env.get('cpu')}, "
        f"{counted(len(env.get('cpus', [])), 'CPU')}, clock {env.get('clock')}, "
        f"commit {env.get('commit')}, "
        f"{env.get('time')}, rigor {results.rigor}."
    )
    lines += ["", where]
    if env.get("accelerator") == "tcg":
        lines += ["", f"**{TCG_WARNING}**"]
    if env.get("accelerator") == "tcg icount":
        lines += ["", f"**{texts.VIRTUAL}**"]
    lines += ["", texts.method(results), "", "## Claims made before measuring", ""]
    lines += [f"- **{f.claim}**: {texts.claim_said(f)}" for f in texts.claims(results, suites)]
    lines += ["", "## What UMCG does not help", ""]
    worse = texts.unhelpful(results, suites)
    for suite, findings in worse:
        lines += [f"**{suite.title}.** {suite.help}", ""]
        lines += [*(f"- {f.sentence()}" for f in findings), ""]
    if not worse:
        lines += [texts.NOTHING_WORSE, ""]
    for what, findings in texts.indifferent(results, suites).items():
        if findings:
            lines += [f"{what}:", "", *(f"- {f.sentence()}" for f in findings), ""]
    judged = judge_all(results, suites)
    for suite in suites:
        if suite.name not in results.suites:
            continue
        result = results.suites[suite.name]
        lines += [f"## {suite.title}", "", suite.question, ""]
        lines += [f"Refuted by: {suite.refuted_by}", ""]
        lines += [f"- {said}" for said in texts.doubts(results, suite.name, result)]
        if judged[suite.name]:
            lines += ["", *_markdown_table(texts.findings_table(judged[suite.name])), ""]
    lines += ["## Instructions", ""]
    if results.icount and "patched" in results.icount:
        lines += [texts.COUNTED + texts.repeats(results.icount), ""]
        lines += [*_markdown_table(texts.counts_table(results)), ""]
    lines += [
        "## Peers",
        "",
        texts.PEERS,
        "",
        *(f"- {p}" for p in texts.peer_problems(results.peers or {})),
    ]
    peers = judge_peers(results)
    if peers:
        lines += ["", *_markdown_table(texts.peers_table(peers))]
    lines += ["", "## Published figures", "", "For context: other machines, other kernels.", ""]
    table = pl.DataFrame(PUBLISHED, schema=["what", "figure", "source"], orient="row")
    lines += [*_markdown_table(table), "", "## How to repeat it", ""]
    lines += [f"- {what}: `{command}`" for what, command in texts.REPEAT]
    return "\n".join(lines) + "\n"


def of_both(changes: Sequence[Change]) -> list[str]:
    """The lines of a table: each contrast, what two results files have of it, and the verdicts."""
    schema = dict.fromkeys(("contrast", "first", "second", "verdict"), pl.String)
    table = pl.DataFrame([_row(change) for change in changes], schema=schema, orient="row")
    return _markdown_table(table.rename({"contrast": ""}), right=("first", "second"))


def _row(change: Change) -> list[str]:
    contrast, found = change.contrast, (change.a, change.b)
    verdict = "; ".join(dict.fromkeys(f.verdict for f in found))
    if change.a.claim:
        verdict += ", claim " + "; ".join(dict.fromkeys(f.claim for f in found))
    ratios = (f"{f.ratio:.2f} ({f.interval})" for f in found)
    return [f"{contrast.what} : {contrast.against}", *ratios, verdict]


def _markdown_table(table: pl.DataFrame, right: Sequence[str] = ()) -> list[str]:
    head = [column.replace("_", " ") for column in table.columns]
    aligned = [t.is_numeric() or name in right for name, t in table.schema.items()]
    rows = [
        "|" + "".join(f" {name} |" if name else " |" for name in head),
        "|" + "|".join("--:" if r else "---" for r in aligned) + "|",
    ]
    for row in table.iter_rows():
        cells = (webpage.cell(value).replace("|", "\\|") for value in row)
        rows.append("| " + " | ".join(html.unescape(cell) for cell in cells) + " |")
    return rows
