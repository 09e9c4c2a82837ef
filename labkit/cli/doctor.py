# SPDX-License-Identifier: MIT
"""`labkit doctor`: what works here."""

from __future__ import annotations

import typer

from labkit.cli import console
from labkit.cli.console import Json
from labkit.diagnosis import doctor as diagnose

app = console.new_app()


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine can do for the lab. Code 3: it cannot run UMCG at all."""
    with console.errors():
        diagnosis = diagnose()
        if as_json:
            console.print_json(diagnosis.to_dict())
        else:
            print(diagnosis, flush=True)
        if not diagnosis.can_run_umcg:
            raise typer.Exit(console.UNAVAILABLE)
