# SPDX-License-Identifier: MIT
"""`labkit record -- PROGRAM...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labkit.cli import console
from labkit.cli.console import Json
from labkit.names import counted
from labkit.programs import POLICY, ProgramsError, record_wish
from labkit.programs.recording import DRIVERS, Wish
from labkit.sim.policies import files_in
from labkit.trace.files import check_output

app = console.new_app()


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def command(
    program: Annotated[list[str], typer.Argument(metavar="-- PROGRAM [ARG]...")],
    output: Annotated[
        Path | None,
        console.output("The run to write; without: PROGRAM.parquet, here."),
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Plain threads, seen by the kernel's tracepoints.")
    ] = False,
    policy: Annotated[
        str,
        typer.Option(
            "--policy", "-p", metavar="POLICY", help="NAME or FILE.so, with NAME:KEY=VALUE,..."
        ),
    ] = POLICY,
    servers: Annotated[
        int, typer.Option("--servers", "-n", help="Servers; 0: as many as CPUs.")
    ] = 0,
    seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="How long the client works where it can be told; your own program gets SIGTERM "
            "after so many seconds. 0: two; until it ends.",
        ),
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Run a program over a scheduler of yours (umcg-run) and save what its threads did.

    memcached, mariadb, mariadb-writes, redis and nginx, named alone, get data and a client of their
    own. Boots the microVM if need be.
    """
    with console.errors():
        try:
            wish = Wish(tuple(program), "plain" if plain else "umcg", policy, servers, seconds)
        except ValueError as error:
            console.fail(console.USAGE, str(error))
        target = output or Path(f"{Path(program[0]).name}.parquet")
        check_output(target, *files_in([*program, policy]))
        try:
            with console.waiting() as say:
                run = record_wish(wish, say)
        except ProgramsError as error:
            console.fail(console.FAILED, str(error))
        run.save(target)
        if as_json:
            console.print_json(
                {
                    "file": str(target),
                    "events": run.events.height,
                    "threads": run.tasks.height,
                    "counters": run.counters,
                    "samples": run.samples.to_dicts(),
                }
            )
            return
        console.note(
            f"wrote {target}: {counted(run.events.height, 'event')} of "
            f"{counted(run.tasks.height, 'thread')}, "
            f"{counted(int(run.counters['requests']), 'request')}"
            + ("" if wish.driver else f"; {', '.join(DRIVERS)} have clients of their own")
        )
