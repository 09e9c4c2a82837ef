# SPDX-License-Identifier: MIT
"""The benchmark's report: one self-contained HTML page, and the same in Markdown."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from labkit import analysis, webpage
from labkit.bench import charts
from labkit.bench.judge import (
    BETTER,
    HOLDS,
    OPEN,
    REFUTED,
    SAME,
    WORSE,
    Finding,
    judge_all,
    judge_peers,
    margin,
)
from labkit.bench.published import PUBLISHED
from labkit.bench.results import Results, SuiteResult
from labkit.bench.suite import Distribution, Suite
from labkit.plots.style import TCG_WARNING
from labkit.record import Record
from labkit.trace.files import write_atomically

#: Said once, for all figures.
METHOD = (
    "Series that are set against each other ran alternately in the same boot, on the same CPUs, "
    "doing the same work in C. A value is the median of short slices that alternate, too; the "
    "first round is thrown away. A run is a pair of values of one repetition. A ratio is the "
    "median of the runs' ratios, so that what disturbs a whole repetition is not in it; its 95 % "
    "interval is a bootstrap over runs. “Better” and “worse” need the whole interval to be clear "
    "of 1 by {margin:.1%}; “no difference” needs the whole interval within {half:.1%} of 1; "
    "everything else is “undecided”. Of a hundred such intervals about five miss the true ratio: "
    "that is what the margins are for. {boots} A claim of “better” is refuted by “worse” and by "
    "“no difference”."
)
#: Of results whose clock counted instructions.
VIRTUAL = (
    "Times are guest instructions, one a nanosecond, on one CPU: what the host did meanwhile is in "
    "none of them, nor are caches, pipelines and other CPUs."
)

NOTHING_WORSE = "Nothing was shown to be worse over UMCG in these results."

#: What the instruction counts are.
COUNTED = (
    "Guest instructions of a round trip (two switches) or one call, on one CPU under QEMU's "
    "-icount. Each image was counted twice; "
)
#: What the field's own programs are for.
PEERS = (
    "The field's own programs, unmodified, on the patched and the unpatched kernel: has anything "
    "else become slower? Two kernels need two boots, so pairs of boots alternate, and each pair is "
    "one run."
)

#: How to make these figures again.
REPEAT = (
    ("everything again, on this machine", "make bench"),
    ("the longer one", "labkit bench --rigor full"),
    ("where the machine is busy", "labkit bench --rigor virtual"),
    ("one suite", "labkit bench --suite NAME"),
    ("the instruction counts against bench/baseline.json", "labkit bench --icount"),
    ("this file against another", "labkit bench compare A.json B.json"),
    ("this page from its file", "labkit bench report FILE.json"),
)


def write(results: Results, suites: Sequence[Suite], page: Path) -> tuple[Path, Path]:
    """Write `page` (.html) and the Markdown beside it; their paths.

    Raises:
        WriteFailed: the operating system refused.
    """
    text = page.with_suffix(".md")
    write_atomically(page, as_html(results, suites).encode())
    write_atomically(text, as_markdown(results, suites).encode())
    return page, text


# What both forms say.


def method(results: Results) -> str:
    """How a figure is made and what a verdict takes, in these results' environment."""
    clear = margin(results.environment)
    count = results.environment.get("boots", 1)
    boots = (
        f"The runs are spread over {count} boots, so that what a boot changes is in the intervals."
        if count > 1
        else "All runs were made in one boot: what another one changes is in no interval."
    )
    return METHOD.format(margin=clear, half=clear / 2, boots=boots)


def summary(results: Results, suites: Sequence[Suite]) -> list[str]:
    """The first things to know, a sentence each."""
    findings = [f for group in judge_all(results, suites).values() for f in group]
    mine = [f for f in findings if f.about_umcg]
    made = [f for f in findings if f.claim]
    count = {what: sum(f.verdict == what for f in mine) for what in (BETTER, WORSE, SAME)}
    said = [
        f"{len(mine)} contrasts of UMCG with something else, in {len(results.suites)} "
        f"suite{'s' if len(results.suites) != 1 else ''}: better in {count[BETTER]}, worse in "
        f"{count[WORSE]}, no difference in {count[SAME]}, undecided in "
        f"{len(mine) - sum(count.values())}.",
        f"Of {len(made)} claims made before measuring {sum(f.claim == HOLDS for f in made)} hold, "
        f"{sum(f.claim == REFUTED for f in made)} are refuted, "
        f"{sum(f.claim == OPEN for f in made)} could not be shown.",
    ]
    peers = judge_peers(results)
    if peers:
        worse = [f.contrast.what for f in peers if f.verdict == WORSE]
        close = sum(f.claim == HOLDS for f in peers)
        said.append(
            f"{len(peers)} measures of the field's own programs, patched against unpatched: "
            + (f"slower: {', '.join(worse)}; " if worse else "none shown to be slower; ")
            + f"{close} shown not to be."
        )
    said += [f"Not complete: {failure}." for failure in results.failures]
    return said


def claims(results: Results, suites: Sequence[Suite]) -> list[Finding]:
    """What was claimed before measuring, with what came of it."""
    return [f for group in judge_all(results, suites).values() for f in group if f.claim]


def _claim_said(finding: Finding) -> str:
    return f"{finding.sentence()} Claimed: {finding.claimed}."


def unhelpful(results: Results, suites: Sequence[Suite]) -> list[tuple[Suite, list[Finding]]]:
    """By suite, what UMCG makes worse; suites without such a finding are left out."""
    judged = judge_all(results, suites)
    found = []
    for suite in suites:
        group = judged.get(suite.name, [])
        worse = [f for f in group if f.verdict == WORSE and f.about_umcg]
        if worse:
            found.append((suite, sorted(worse, key=_badness, reverse=True)))
    return found


def _badness(finding: Finding) -> float:
    return max(finding.ratio, 1 / finding.ratio) if finding.ratio > 0 else 0.0


def indifferent(results: Results, suites: Sequence[Suite]) -> dict[str, list[Finding]]:
    """What UMCG does not change, and what stayed undecided; each may be empty."""
    judged = judge_all(results, suites)
    mine = [f for group in judged.values() for f in group if f.about_umcg]
    return {
        "No difference": [f for f in mine if f.verdict == SAME],
        "Undecided": [f for f in mine if f.verdict not in (BETTER, WORSE, SAME)],
    }


def findings_table(findings: Iterable[Finding]) -> pl.DataFrame:
    """The ratio table: one row a contrast."""
    rows = [
        (
            f.contrast.series,
            f.contrast.baseline,
            f.contrast.unit,
            f"{f.ratio:.2f}",
            f.interval,
            f.n,
            f.verdict,
            f.claim or "—",
            f.value,
            f.other,
        )
        for f in findings
    ]
    columns = ["series", "baseline", "unit", "ratio", "95 % interval", "runs", "verdict"]
    columns += ["claim", "median", "baseline_median"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _peers_table(findings: Iterable[Finding]) -> pl.DataFrame:
    """The same, where all are of the patched kernel over the unpatched."""
    return (
        findings_table(findings)
        .drop("baseline")
        .with_columns(pl.col("series").str.strip_prefix("patched/"))
        .rename({"series": "program", "median": "patched", "baseline_median": "unpatched"})
    )


def counts_table(results: Results) -> pl.DataFrame:
    """Instruction counts: patched, unpatched, and both over each other."""
    counted = results.icount or {}
    patched, base = counted.get("patched", {}), counted.get("base", {})
    futex = patched.get("raw/futex")
    rows = [
        (
            row,
            count,
            base.get(row),
            f"{count / base[row] - 1:+.2%}" if row in base else "",
            f"{count / futex:.2f}" if futex else "",
        )
        for row, count in patched.items()
    ]
    columns = ["program_and_row", "instructions", "unpatched", "patches_add", "over_futex"]
    schema = dict(
        zip(columns, [pl.String, pl.Float64, pl.Float64, pl.String, pl.String], strict=True)
    )
    return pl.DataFrame(rows, schema=schema, orient="row")


def _doubts(results: Results, name: str, result: SuiteResult) -> list[str]:
    said = [*([f"failed: {result.error}"] if result.error else []), *result.notes]
    if not result.samples:
        return said
    record = result.record(name, results.environment)
    return said + [w for w in analysis.warnings(record) if not w.startswith("under TCG")]


# HTML


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
        return f'<div class="warn"><p>{html.escape(VIRTUAL)}</p></div>'
    if results.environment.get("accelerator") != "tcg":
        return ""
    return (
        f'<div class="warn"><p><strong>{TCG_WARNING}</strong> QEMU interpreted this machine; the '
        "instruction counts below are the cost measure to trust.</p></div>"
    )


def _summary(results: Results, suites: Sequence[Suite]) -> str:
    made = claims(results, suites)
    items = "".join(f"<li>{_claim(f.claim)} {html.escape(_claim_said(f))}</li>" for f in made)
    return (
        '<section id="summary"><h2>Summary</h2>'
        + _list(summary(results, suites))
        + (f"<h3>Claims made before measuring</h3><ul>{items}</ul>" if made else "")
        + f"<h3>How to read this</h3><p>{html.escape(method(results))}</p>"
        + "</section>"
    )


def _claim(value: object) -> str:
    if value == "—":
        return "—"
    look = {HOLDS: "better", REFUTED: "worse"}.get(str(value), "same")
    return f'<span class="pill {look}">{html.escape(str(value))}</span>'


def _unhelpful(results: Results, suites: Sequence[Suite]) -> str:
    parts = ['<section id="unhelpful"><h2>What UMCG does not help</h2>']
    worse = unhelpful(results, suites)
    if not worse:
        parts.append(f"<p>{NOTHING_WORSE}</p>")
    for suite, findings in worse:
        parts.append(
            f"<h3>{html.escape(suite.title)}</h3><p>{html.escape(suite.help)}</p>"
            + _list(f.sentence() for f in findings)
        )
    for what, findings in indifferent(results, suites).items():
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
    said = _doubts(results, suite.name, result)
    if said:
        parts.append(
            f'<details class="warn"><summary>{len(said)} reason{"s" if len(said) > 1 else ""} to '
            f"doubt these values</summary>{_list(said)}</details>"
        )
    if findings:
        shown = findings_table(findings)
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
    parts.append(f"<p>{html.escape(COUNTED + _repeats(counted))}</p>")
    if counted.get("note"):
        parts.append(f'<p class="note">{html.escape(counted["note"])}</p>')
    parts.append(webpage.table(counts_table(results)))
    return "".join(parts) + "</section>"


def _repeats(counted: dict[str, Any]) -> str:
    if counted["repeats"]:
        return "both counts agree to the digit."
    return f"these differ: {', '.join(counted['moved'])}."


def _peers(results: Results) -> str:
    parts = ['<section id="peers"><h2>Peers</h2>']
    parts.append(f"<p>{PEERS}</p>")
    peers = results.peers or {}
    findings = judge_peers(results)
    for problem in _peer_problems(peers):
        parts.append(f'<p class="note">{html.escape(problem)}</p>')
    if findings:
        shown = _peers_table(findings)
        parts.append(webpage.table(shown, {"verdict": webpage.pill, "claim": _claim}))
        kernels = {f"{name} kernel": said for name, said in peers.get("kernels", {}).items()}
        commands = [f"{name}: {said}" for name, said in (peers["commands"] | kernels).items()]
        parts.append(f"<details><summary>Commands, kernels</summary>{_list(commands)}</details>")
    return "".join(parts) + "</section>"


def _peer_problems(peers: dict[str, object]) -> list[str]:
    if not peers:
        return ["The peers were not run."]
    said = [f"Not run: {peers['error']}."] if peers.get("error") else []
    missing, failed = peers.get("missing"), peers.get("failed")
    if isinstance(missing, list) and missing:
        said.append(f"Not installed (Debian: linux-perf, rt-tests): {', '.join(missing)}.")
    if isinstance(failed, dict):
        said += [f"{name} failed: {why}" for name, why in failed.items()]
    return said


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
    table = pl.DataFrame(REPEAT, schema=["what", "command"], orient="row")
    code = {"command": lambda v: f"<code>{html.escape(str(v))}</code>"}
    took = {f"{name}, s": result.seconds for name, result in results.suites.items()}
    return (
        f'<section id="repeat"><h2>How to repeat it</h2>{webpage.table(table, code)}'
        f"<h3>Environment</h3>{webpage.definitions(results.environment | {'rigor': results.rigor})}"
        f"<details><summary>What each suite took</summary>{webpage.definitions(dict(took))}"
        "</details></section>"
    )


# Markdown


def as_markdown(results: Results, suites: Sequence[Suite]) -> str:
    """The same in Markdown, without figures."""
    env = results.environment
    lines = ["# UMCG against pthreads", ""]
    lines += [f"- {sentence}" for sentence in summary(results, suites)]
    where = (
        f"Kernel {env.get('kernel')} (configuration {env.get('config_digest')}, build "
        f"{env.get('build')}), {env.get('accelerator')}, {env.get('cpu')}, "
        f"{len(env.get('cpus', []))} CPUs, clock {env.get('clock')}, commit {env.get('commit')}, "
        f"{env.get('time')}, rigor {results.rigor}."
    )
    lines += ["", where]
    if env.get("accelerator") == "tcg":
        lines += ["", f"**{TCG_WARNING}**"]
    if env.get("accelerator") == "tcg icount":
        lines += ["", f"**{VIRTUAL}**"]
    lines += ["", method(results), "", "## Claims made before measuring", ""]
    lines += [f"- **{f.claim}**: {_claim_said(f)}" for f in claims(results, suites)]
    lines += ["", "## What UMCG does not help", ""]
    worse = unhelpful(results, suites)
    for suite, findings in worse:
        lines += [f"**{suite.title}.** {suite.help}", ""]
        lines += [*(f"- {f.sentence()}" for f in findings), ""]
    if not worse:
        lines += [NOTHING_WORSE, ""]
    for what, findings in indifferent(results, suites).items():
        if findings:
            lines += [f"{what}:", "", *(f"- {f.sentence()}" for f in findings), ""]
    judged = judge_all(results, suites)
    for suite in suites:
        if suite.name not in results.suites:
            continue
        result = results.suites[suite.name]
        lines += [f"## {suite.title}", "", suite.question, ""]
        lines += [f"Refuted by: {suite.refuted_by}", ""]
        lines += [f"- {said}" for said in _doubts(results, suite.name, result)]
        if judged[suite.name]:
            lines += ["", *_markdown_table(findings_table(judged[suite.name])), ""]
    lines += ["## Instructions", ""]
    if results.icount and "patched" in results.icount:
        lines += [COUNTED + _repeats(results.icount), ""]
        lines += [*_markdown_table(counts_table(results)), ""]
    lines += ["## Peers", "", PEERS, "", *(f"- {p}" for p in _peer_problems(results.peers or {}))]
    peers = judge_peers(results)
    if peers:
        lines += ["", *_markdown_table(_peers_table(peers))]
    lines += ["", "## Published figures", "", "For context: other machines, other kernels.", ""]
    table = pl.DataFrame(PUBLISHED, schema=["what", "figure", "source"], orient="row")
    lines += [*_markdown_table(table), "", "## How to repeat it", ""]
    lines += [f"- {what}: `{command}`" for what, command in REPEAT]
    return "\n".join(lines) + "\n"


def _markdown_table(table: pl.DataFrame) -> list[str]:
    head = [column.replace("_", " ") for column in table.columns]
    right = [t.is_numeric() for t in table.dtypes]
    rows = [
        "| " + " | ".join(head) + " |",
        "|" + "|".join("--:" if r else "---" for r in right) + "|",
    ]
    for row in table.iter_rows():
        cells = (webpage.cell(value).replace("|", "\\|") for value in row)
        rows.append("| " + " | ".join(html.unescape(cell) for cell in cells) + " |")
    return rows
