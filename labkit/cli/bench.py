# SPDX-License-Identifier: MIT
"""`labkit bench`: measure, report, compare; the instruction counts for continuous integration."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labkit import environment, vm
from labkit.benchmark import guest, icount, peers, results, suite
from labkit.benchmark.judge import HOLDS, REFUTED, Finding, interval, judge_all, judge_peers
from labkit.benchmark.results import Results, report_files
from labkit.benchmark.suite import RIGORS, Suite
from labkit.cli import console
from labkit.cli.console import Json
from labkit.native import engine
from labkit.trace.files import check_output

app = console.new_app(help="UMCG against pthreads: measure, report, compare.")

DEFAULT = Path("out/bench.json")
RIGOR_HELP = (
    "quick: a quarter of an hour under TCG, full: three to five times as long; virtual: one CPU "
    "whose clock counts instructions, so that a busy machine does not matter; smoke: no figures, "
    "does it run?"
)

#: The guest of `--rigor virtual`: slow, and slower on a busy machine.
VIRTUAL_GUEST = vm.VmOptions(
    cpus=1, accelerator="tcg", icount=True, boot_timeout_s=900.0, hang_timeout_s=900.0
)


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    rigor: Annotated[str, typer.Option(metavar="|".join(RIGORS), help=RIGOR_HELP)] = ("quick"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--suite",
            metavar="NAME",
            help="Only this suite; repeat for more. `programs` is in no run of all but `full`.",
        ),
    ] = None,
    with_peers: Annotated[
        bool, typer.Option("--peers/--no-peers", help="perf bench, hackbench, cyclictest.")
    ] = True,
    counts: Annotated[
        bool, typer.Option("--icount", help="Only count instructions; code 1 when one moved.")
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="With --icount: make these counts the baseline.")
    ] = False,
    output: Annotated[
        Path,
        console.output("The results file; the report goes beside it."),
    ] = DEFAULT,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in the results file that was ended."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure everything, write one results file and one report (HTML and Markdown).

    Ctrl-C ends it; what was measured so far is kept and reported.
    """
    if context.invoked_subcommand:
        return
    with console.errors():
        if update and not counts:
            console.fail(console.USAGE, "--update goes with --icount")
        if counts:
            _count(update, as_json)
            return
        if rigor not in RIGORS:
            console.fail(console.USAGE, f"rigor is {rigor!r}; choose from {', '.join(RIGORS)}")
        if output.suffix != ".json":
            console.fail(console.USAGE, f"{output}: the results file's name must end in .json")
        suites = suite.load(only or ())
        if not only and rigor != "full":
            suites = [one for one in suites if not one.by_name]
        output.absolute().parent.mkdir(parents=True, exist_ok=True)
        page = output.with_suffix(".html")
        for written in (output, *report_files(page)):
            check_output(written, icount.BASELINE)
        if resume and not output.is_file():
            console.fail(console.USAGE, f"{output}: there is no such file, so nothing to resume")
        if resume and (was := results.load(output).rigor) != rigor:
            console.fail(console.USAGE, f"{output} was measured with --rigor {was}: resume it so")
        whole = not only
        interrupted = _measure(output, rigor, suites, with_peers and whole, whole, resume)
        made = results.load(output)
        _report(made, page, as_json, str(output))
        if interrupted:
            console.note("interrupted; the report shows what was measured before")
            raise typer.Exit(console.INTERRUPTED)
        if made.failures:
            raise typer.Exit(console.FAILED)


def _measure(
    file: Path,
    rigor: str,
    suites: list[Suite],
    with_peers: bool,
    with_counts: bool,
    resume: bool,
) -> bool:
    """Everything that was asked for, into `file`; was it interrupted?

    Earlier results stay in `file` until the first new one replaces them.

    Raises:
        KeyboardInterrupt: before anything was measured.
    """
    before = _version(file)
    try:
        code = _measure_suites(file, rigor, suites, resume)
        if _version(file) == before and (code or not resume):
            kept_as_it_was = f"; {file} is as it was" if before else ""
            console.note(f"labkit: nothing was measured{kept_as_it_was}")
            raise typer.Exit(code or console.FAILED)
        if code == console.INTERRUPTED:
            return True
        kept = results.load(file)
        if _version(file) != before and not engine.enabled():
            # The guest's clock may be far off.
            kept.environment["time"] = environment.collect()["time"]
            kept.save(file)
        if with_counts and not (resume and kept.icount and not kept.icount.get("error")):
            kept.icount = _guarded(lambda: icount.measure(console.note))
            kept.save(file)
        if with_peers:
            found = kept.peers = (kept.peers or {}) if resume else {}
            found.pop("error", None)
            failed = _guarded(lambda: peers.measure(rigor, found, lambda: kept.save(file)))
            found.update(failed)
            kept.save(file)
    except KeyboardInterrupt:
        if _version(file) == before:
            raise
        return True
    except vm.VmError as error:
        if _version(file) == before:
            raise
        # What the guest had measured before it ended is kept, its last suite as interrupted.
        console.note(f"labkit: {error}")
    return False


def _version(file: Path) -> tuple[int, int] | None:
    """Changes with every save; None: there is no such file."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _measure_suites(file: Path, rigor: str, suites: list[Suite], resume: bool) -> int:
    """Here, where this kernel has UMCG, else in microVMs, one after the other; the exit code."""
    virtual = rigor == suite.VIRTUAL.name
    names = [one.name for one in suites]
    if engine.enabled() and not virtual:
        return 1 if guest.measure(file, rigor, names, resume=resume).failures else 0
    words = [sys.executable, "-m", "labkit.benchmark.guest", str(file.absolute()), rigor]
    boots, code = RIGORS[rigor].boots, 0
    before = _version(file)
    earlier = results.load(file) if resume else None
    way = "resume" if resume else "new"
    for boot in range(boots):
        if earlier and all(guest.parts_done(earlier, one) > boot for one in suites):
            continue
        with console.waiting() as say:
            ended = vm.execute(
                [*words, str(boot), str(boots), way, *names],
                VIRTUAL_GUEST if virtual else vm.VmOptions(frozen=vm.this_python()),
                say=say,
            )
        way = "new"
        code = code or ended
        if ended == console.INTERRUPTED or _version(file) == before:
            return ended
    return code


def _guarded(measure: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    """What `measure` returns, or why it failed: one part that fails does not take the rest."""
    try:
        return measure() or {}
    except (icount.CountError, peers.PeerError, vm.VmError) as error:
        console.note(f"labkit: {error}")
        return {"error": str(error)}


def _report(made: Results, page: Path, as_json: bool, file: str) -> None:
    # Nothing of pages is imported before something is measured.
    from labkit.pages import bench_report as report

    suites = suite.load()
    html, markdown = report.write(made, suites, page)
    judged = judge_all(made, suites)
    peered = judge_peers(made)
    if as_json:
        found = {name: [_row(f) for f in group] for name, group in judged.items()}
        if peered:
            found["peers"] = [_row(f) for f in peered]
        document = {
            "file": file,
            "report": [str(html), str(markdown)],
            "failures": made.failures,
            "findings": found,
        }
        console.print_json(document)
        return
    for name, group in judged.items():
        _print_findings(name, group)
    _print_findings("peers, patched against unpatched", peered)
    for line in report.summary(made, suites):
        console.out.print(line, markup=False)
    console.note(f"wrote {file}, {html}, {markdown}")


def _row(f: Finding) -> dict[str, Any]:
    return {
        "series": f.contrast.series,
        "baseline": f.contrast.baseline,
        "unit": f.contrast.unit,
        "ratio": f.ratio,
        "interval": [f.low, f.high],
        "runs": f.n,
        "verdict": f.verdict,
        "claim": f.claim,
    }


def _table(title: str, numbers: Sequence[str], words: Sequence[str]) -> Table:
    """One row a contrast: what it sets against what, then these columns."""
    table = Table(title=title, title_justify="left")
    for head in ("series", "baseline", "unit"):
        table.add_column(head, overflow="fold")
    for head in numbers:
        table.add_column(head, justify="right", overflow="fold")
    for head in words:
        table.add_column(head, overflow="fold")
    return table


def _print_findings(title: str, findings: list[Finding]) -> None:
    if not findings:
        return
    table = _table(title, ("ratio", "95 % interval", "runs"), ("verdict", "claim"))
    marks = {HOLDS: "holds", REFUTED: "REFUTED"}
    for f in findings:
        table.add_row(
            f.contrast.series,
            f.contrast.baseline,
            f.contrast.unit,
            f"{f.ratio:.2f}",
            f.interval,
            str(f.n),
            f.verdict,
            marks.get(f.claim, f.claim),
        )
    console.out.print(table)


def _count(update: bool, as_json: bool) -> None:
    """Count, and hold the counts against the baseline."""
    baseline = {} if update else icount.load_baseline()
    counted = icount.measure(console.note)
    if not counted["repeats"]:
        console.fail(console.FAILED, f"counts do not repeat: {', '.join(counted['moved'])}")
    if update:
        icount.save_baseline(counted)
        console.note(f"wrote {icount.BASELINE}")
    rows = icount.moved(counted, baseline)
    if as_json:
        keys = ("kernel", "row", "was", "is")
        moved = [dict(zip(keys, row, strict=True)) for row in rows]
        console.print_json({"counts": counted, "moved": moved})
    elif rows:
        _print_moved(rows)
    elif not update:
        total = sum(len(counted[name]) for name in baseline if name in counted)
        print(f"{total} counts, none moved by more than {icount.TOLERANCE:.0%}")
    if counted["note"]:
        console.note(f"note: {counted['note']}")
    if rows:
        console.fail(
            console.FAILED,
            f"{len(rows)} counts moved by more than {icount.TOLERANCE:.0%}; if that is meant: "
            "`labkit bench --icount --update`",
        )


def _print_moved(rows: list[tuple[str, str, Any, Any]]) -> None:
    table = Table(title="instructions that moved", title_justify="left")
    for head in ("kernel", "program/row", "was", "is", "change"):
        table.add_column(head, justify="left" if head in ("kernel", "program/row") else "right")
    for kernel, row, was, new in rows:
        change = f"{new / was - 1:+.1%}" if was and new else "gone" if was else "new"
        table.add_row(kernel, row, *(f"{v:,.1f}" if v else "" for v in (was, new)), change)
    console.out.print(table)


@app.command("report")
def report_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A results file (.json).")],
    output: Annotated[
        Path | None,
        console.output("The page; without: beside the file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a results file again."""
    with console.errors():
        page = output or file.with_suffix(".html")
        if page.suffix == ".md":
            console.fail(console.USAGE, f"{page}: the Markdown goes beside it; end it in .html")
        made = results.load(file)
        for written in report_files(page):
            check_output(written, file)
        _report(made, page, as_json, str(file))


@app.command("compare")
def compare_command(
    a: Annotated[Path, typer.Argument(metavar="A", help="A results file (.json).")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another, compared with it.")],
    as_json: Json = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Both files in one table, for a text.")
    ] = False,
) -> None:
    """Say which ratios and verdicts changed from A to B.

    Code 2 when the two cannot be compared.
    """
    with console.errors():
        from labkit.benchmark import compare

        made = compare.compare(results.load(a), results.load(b), suite.load())
        if as_json:
            console.print_json(_as_json(made))
            return
        for note in made.notes:
            console.note(f"note: {note}")
        for name, why in made.refused.items():
            console.note(f"not compared: {name}: {why}")
        if as_markdown:
            # Slow to import, and only this needs it.
            from labkit.pages import bench_markdown

            print("\n".join([*bench_markdown.of_both(made.changes), ""]))
        else:
            _print_changes(made.changes)
        if made.moved:
            _print_moved(made.moved)
        for line in compare.summary(made.changes):
            console.out.print(line, markup=False)


def _as_json(made: Any) -> dict[str, Any]:
    return {
        "notes": made.notes,
        "refused": made.refused,
        "changes": [
            {
                "suite": c.suite,
                "a": _row(c.a),
                "b": _row(c.b),
                "change": c.change,
                "interval": [c.low, c.high],
                "verdict": c.verdict,
                "same_verdict": c.agrees,
                "contradicts": c.contradicts,
            }
            for c in made.changes
        ],
        "moved": made.moved,
    }


def _print_changes(changes: list[Any]) -> None:
    for name, group in itertools.groupby(changes, key=lambda change: change.suite):
        title = f"{name}: ratio of B over ratio of A"
        table = _table(title, ("A", "B", "B / A", "95 % interval"), ("B is", "verdicts"))
        for c in group:
            verdicts = c.a.verdict if c.agrees else f"{c.a.verdict} → {c.b.verdict}"
            table.add_row(
                c.contrast.series,
                c.contrast.baseline,
                c.contrast.unit,
                f"{c.a.ratio:.2f}",
                f"{c.b.ratio:.2f}",
                f"{c.change:.2f}",
                interval(c.low, c.high),
                c.verdict,
                verdicts,
            )
        console.out.print(table)
