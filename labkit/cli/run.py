# SPDX-License-Identifier: MIT
"""`labkit run`: one experiment, with an option for each field of its spec."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from labkit import analysis
from labkit.api import run as run_experiment
from labkit.cli import console, tables
from labkit.cli.console import Json
from labkit.environment import NO_UMCG
from labkit.experiments import SPECS, Interrupted, Spec
from labkit.experiments.spec import Param
from labkit.names import meant
from labkit.run import Run
from labkit.sim.policies import files_in
from labkit.trace.files import check_output


class _Experiments(TyperGroup):
    """`labkit run`: says which experiments there are when it is given none of them."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        if found is None:
            names = ", ".join(self.commands)
            console.fail(
                console.USAGE,
                f"there is no experiment {cmd_name!r}{meant(cmd_name, self.commands)}; choose "
                f"from {names}",
            )
        return found


app = console.new_app(
    cls=_Experiments,
    help="Run one experiment. --help of each lists its options and their units.",
    no_args_is_help=True,
)


def _show(run: Run, file: Path | None, as_json: bool) -> None:
    doubts = analysis.warnings(run)
    if as_json:
        document = {
            "spec": run.spec,
            "environment": run.environment,
            "samples": run.samples.to_dicts(),
            "counters": run.counters,
            "doubts": doubts,
            "file": str(file) if file else None,
        }
        console.print_json(document)
        return
    tables.show(run, doubts)
    if run.environment["umcg_missing"]:
        console.note(f"note: {NO_UMCG}")
    for name, why in run.environment.get("left_out", {}).items():
        console.note(f"note: {name} was left out: {why}")
    if file:
        console.note(f"saved {file}")


def _metavar(what: Param) -> str:
    """What stands for a value in the help: `NAME,...`, `N,...`, `N`, `SECONDS`."""
    if what.policy:
        return "'POLICY ...'" if what.several else "POLICY"
    if what.choices:
        return "NAME,..." if what.several else "NAME"
    if what.several:
        return "N,..."
    if what.unit:
        return {"s": "SECONDS", "ms": "MILLISECONDS", "µs": "MICROSECONDS"}[what.unit]
    return "N" if what.whole else "NUMBER"


def _run_command(name: str, spec: type[Spec]) -> Callable[..., None]:
    """The command of one experiment: an option for each field of its spec."""
    known = spec.params()
    parameters = []
    for field, what in known.items():
        between = " " if what.policy else ","
        default = between.join(map(str, what.default)) if what.several else what.default
        option = typer.Option(
            "--" + field.replace("_", "-"),
            help=what.said(),
            metavar=_metavar(what),
            # A long list breaks in the middle of a name.
            show_default="all" if what.default == what.choices else True,
        )
        parameters.append(
            inspect.Parameter(
                field,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Annotated[type(default), option],
            )
        )
    output = Annotated[
        Path | None,
        console.output("Save the run in this .parquet file."),
    ]
    parameters += [
        inspect.Parameter(
            "output", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=output
        ),
        inspect.Parameter(
            "as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json
        ),
    ]

    def command(*, output: Path | None, as_json: bool, **fields: Any) -> None:
        with console.errors():
            for key, value in fields.items():
                fields[key] = known[key].parse(value)
            wanted = spec(**fields)
            if output is not None:
                asked = (value for key, value in fields.items() if known[key].policy)
                words = (one if isinstance(one, tuple) else (one,) for one in asked)
                check_output(output, *files_in(chain.from_iterable(words)))
            interrupted = False
            try:
                with console.progress(name, wanted.seconds()) as show:
                    run = run_experiment(wanted, show)
            except Interrupted as error:
                run, interrupted = Run(**vars(error.run)), True
                if output is not None and output.exists():  # never part of a run for a whole one
                    output = output.with_stem(f"{output.stem}-interrupted")
            if output is not None:
                run.save(output)
            _show(run, output, as_json)
            if interrupted:
                console.fail(console.INTERRUPTED, "interrupted; this is what was measured before")

    command.__doc__ = spec.summary
    command.__name__ = name
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


for _name, _spec in SPECS.items():
    app.command(_name, short_help=_spec.question)(_run_command(_name, _spec))
