# SPDX-License-Identifier: MIT
"""`labkit trace`: recorded events out to other tools, and in from them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.console import Json
from labkit.names import counted
from labkit.records import KERNEL_KINDS
from labkit.run import import_trace, load
from labkit.trace.files import check_output

app = console.new_app(help="Recorded events, to other tools and from them.", no_args_is_help=True)


@app.command("export")
def trace_export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A saved run (.parquet).")],
    output: Annotated[
        Path,
        console.output("The Perfetto file to write."),
    ],
    as_json: Json = False,
) -> None:
    """Export a run's events for ui.perfetto.dev or trace_processor."""
    with console.errors():
        run = load(file)
        check_output(output, file)
        run.export(output)
        if as_json:
            console.print_json({"file": str(output), "events": run.events.height})
        else:
            console.note(f"wrote {output}: {counted(run.events.height, 'event')}")


@app.command("import")
def trace_import(
    file: Annotated[
        Path,
        typer.Argument(
            help="Text of trace-cmd report, perf script, ftrace or systrace (or its HTML), "
            "trace.dat, or a folder with per-CPU pages and format files."
        ),
    ],
    output: Annotated[
        Path | None,
        console.output("The run to write; without: FILE's name.parquet, here."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a run of a trace that another tool recorded. For `labkit report`, `labkit.load`."""
    with console.errors():
        target = output or Path(f"{file.resolve().stem}.parquet")
        check_output(target, file)
        begin = time.monotonic()
        run = import_trace(file)
        run.save(target)
        seconds = time.monotonic() - begin
        recorded = int(run.events["kind"].is_in(KERNEL_KINDS).sum())
        if as_json:
            said = {"file": str(target), "form": run.spec["form"], "events": recorded}
            console.print_json(said | {"tasks": run.tasks.height, "notes": run.spec["notes"]})
            return
        console.note(
            f"wrote {target}: {counted(recorded, 'event')} of {counted(run.tasks.height, 'task')} "
            f"from {run.spec['form']}, {seconds:.1f} s"
        )
        for text in run.spec["notes"]:
            console.note(f"note: {text}")
