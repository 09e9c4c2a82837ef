# SPDX-License-Identifier: MIT
"""UMCG Lab: scheduling experiments on User-Managed Concurrency Groups.

`labkit doctor` says what works here, `labkit demo` shows everything once.

Exit codes: 0 done; 1 a measurement failed; 2 wrong usage or a value that is not allowed; 3 not
possible on this kernel; 4 a file cannot be read or written; 125 the microVM failed; 130
interrupted. `labkit vm exec` and `labkit vm shell` end with their command's own code.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import labkit
from labkit.cli import console
from labkit.names import meant

#: Each command: where its app is, and what it is in a few words.
COMMANDS = {
    "doctor": ("doctor:app", "Say what this machine can do for the lab."),
    "demo": ("demo:app", "Run five experiments and write one page."),
    "run": ("run:app", "Run one experiment."),
    "show": ("runs:show_app", "Show a saved run: its table, ratios, and reasons to doubt them."),
    "compare": ("runs:compare_app", "Compare two saved runs."),
    "check": ("runs:check_app", "Check a saved run's trace against the protocol."),
    "report": ("runs:report_app", "Write one HTML page about saved runs."),
    "trace": ("trace:app", "Recorded events, to other tools and from them."),
    "bench": ("bench:app", "UMCG against pthreads: measure, report, compare."),
    "policy": ("policy:app", "Schedulers: those that come with labkit, and your own in C."),
    "record": ("record:app", "Run a real program over a scheduler of yours and save its run."),
    "sweep": ("sweep:app", "Simulate many policies, loads and seeds."),
    "grade": ("grading:grade_app", "Grade notebooks that were handed in."),
    "release": ("grading:release_app", "Write the notebooks as students get them."),
    "vm": ("vm:app", "A microVM with the patched kernel on this machine's own files."),
    "jupyter": ("jupyter:app", "The kernel Python (UMCG) for JupyterLab."),
}


class _Commands(TyperGroup):
    """Imports a command when it is called, and no other: `labkit vm` needs no tables."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            console.fail(
                console.USAGE,
                f"there is no command {cmd_name!r}{meant(cmd_name, COMMANDS)}; choose from "
                f"{', '.join(COMMANDS)}",
            )
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = typer.main.get_command(getattr(import_module(f"labkit.cli.{module}"), name))
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, what) for name, (_, what) in COMMANDS.items()])


app = console.new_app(
    name="labkit",
    cls=_Commands,
    help=__doc__,
    no_args_is_help=True,
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"labkit {labkit.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    pass
