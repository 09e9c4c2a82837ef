# SPDX-License-Identifier: MIT
"""`labkit demo`: everything once, as tables in the terminal and one page of HTML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from labkit import vm
from labkit.cli import console, measure, tables
from labkit.cli.console import Json
from labkit.native import engine
from labkit.run import Run, load
from labkit.trace.files import check_output

app = console.new_app()


def _present(folder: Path, page: Path, *, quiet: bool = False) -> list[Run]:
    """Load what `labkit.cli.measure` saved in `folder`, print ratios, write the page."""
    runs = [load(measure.file(folder, spec)) for spec in measure.DEMO]
    if not quiet:
        for run in runs:
            tables.show_ratios(run)
    # For the page alone: the measurements do without it.
    from labkit.pages import report

    report.write(runs, page)
    return runs


@app.command("demo")
def demo(
    output: Annotated[
        Path,
        console.output("The page to write."),
    ] = Path("out/demo.html"),
    as_json: Json = False,
) -> None:
    """Run five experiments and write one page. Boots the microVM if need be."""
    with console.errors():
        folder = output.absolute().parent
        folder.mkdir(parents=True, exist_ok=True)
        check_output(output, *(measure.file(folder, spec) for spec in measure.DEMO))
        if engine.enabled():
            measure.measure(folder)
        else:
            with console.waiting() as say:
                command = [sys.executable, "-m", "labkit.cli.measure", str(folder)]
                code = vm.execute(command, say=say)
            if code:
                console.note("labkit: the measurements in the guest did not end well")
                raise typer.Exit(code)
        runs = _present(folder, output, quiet=as_json)
        if as_json:
            from labkit.analysis import df_probe

            document = {
                "file": str(output),
                "environment": runs[0].environment,
                "ratios": {run.experiment: run.ratios().to_dicts() for run in runs},
                "probe_cost": {run.experiment: df_probe(run).to_dicts() for run in runs},
            }
            console.print_json(document)
        else:
            console.note(f"wrote {output}")
