# SPDX-License-Identifier: MIT
"""`labkit policy`: list, show, build and check schedulers of your own."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from labkit.cli import console
from labkit.cli.console import Json
from labkit.progress import Line
from labkit.sim import building, policies, python_file
from labkit.sim.errors import ChoiceError
from labkit.sim.trials import TRIALS, trials
from labkit.trace.files import check_output
from labkit.workload import load

app = console.new_app(
    no_args_is_help=True,
    help="Schedulers: those that come with labkit, and your own in C."
    " A policy is a name, or the path of a shared object or Python file: ./mine.so, ./mine.py.",
)


def _look(text: str) -> policies.Policy:
    """What a policy says of itself, by its name or file."""
    if python_file.is_python(text):
        return python_file.describe(text)
    name, options = policies.split(policies.resolve(text))
    if options:
        raise ChoiceError(f"{text!r} has options; give the policy alone")
    if policies.is_file(name):
        return building.look(Path(name))
    return policies.of_labkit(name)


def _plain(policy: policies.Policy) -> dict[str, Any]:
    return dataclasses.asdict(policy) | {"path": str(policy.path) if policy.path else None}


@app.command("list")
def list_policies(as_json: Json = False) -> None:
    """Say which policies there are, and what each is good for."""
    with console.errors():
        rows: list[dict[str, Any]] = [_plain(policies.of_labkit(n)) for n in policies.shipped()]
        for name in policies.built():
            path = policies.folder() / f"{name}.so"
            try:
                rows.append(_plain(building.look(path)))
            except ChoiceError as error:
                # A file of an older version must not hide the others.
                rows.append(
                    {"name": name, "summary": f"cannot be used: {error}", "path": str(path)}
                )
        if as_json:
            console.print_json(rows)
            return
        table = Table(box=None, show_header=False, pad_edge=False)
        for row in rows:
            own = f" ({row['path']})" if row["path"] else ""
            table.add_row(row["name"], f"{row['summary']}{own}")
        console.out.print(table)


@app.command()
def show(
    policy: Annotated[
        str, typer.Argument(help="A name, or the path of a shared object or Python file.")
    ],
    as_json: Json = False,
) -> None:
    """Show a policy's summary and options."""
    with console.errors():
        found = _look(policy)
        if as_json:
            console.print_json(_plain(found))
            return
        console.out.print(f"{found.name}: {found.summary}", markup=False)
        if found.path:
            console.out.print(f"file: {found.path}", markup=False)
        if found.may_starve:
            console.out.print("It may pass over ready threads without a bound.")
        if found.may_idle:
            console.out.print("It may let a server idle beside ready threads.")
        if not found.options:
            console.out.print("It takes no options.")
            return
        table = Table("option", "default", "allowed", "what it is", box=None, pad_edge=False)
        for option in found.options:
            name = (
                f"{option.name}N (N from 0 to {option.count - 1})" if option.count else option.name
            )
            table.add_row(name, option.default, option.allowed, option.help)
        console.out.print(table)
        console.out.print(f"{found.name}:{found.options[0].name}={found.options[0].default}")


@app.command()
def build(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="The policy's C file.")],
    output: Annotated[
        Path | None,
        console.output("The shared object; without: beside the C file."),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep it under its name instead, for use anywhere.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compile a policy into a shared object.

    Every host takes it: the scheduler, the simulator, `umcg-run -p ./mine.so`.
    """
    with console.errors():
        if keep and output:
            raise ChoiceError("--keep and --output exclude each other")
        if keep:
            found, said = building.build(
                source.read_text(encoding="utf-8"), source.stem, file=str(source)
            )
        else:
            target = output or source.with_suffix(".so")
            check_output(target, source)
            if not source.is_file():
                raise FileNotFoundError(2, "No such file or directory", str(source))
            with tempfile.TemporaryDirectory(prefix=".build-", dir=target.absolute().parent) as at:
                made = Path(at) / "policy.so"
                said = building.compile_file(source, made)
                found = dataclasses.replace(building.look(made), path=target)
                os.replace(made, target)
        if said:
            console.note(said)
        if as_json:
            console.print_json(_plain(found))
        else:
            console.note(f"wrote {found.path}: {found.name}, {found.summary}")


@contextmanager
def _object(text: str) -> Iterator[str]:
    """A policy to be used, compiled first if it is a C file."""
    if not text.endswith(".c"):
        yield text
        return
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / Path(text).with_suffix(".so").name
        if not Path(text).is_file():
            raise FileNotFoundError(2, "No such file or directory", text)
        building.compile_file(Path(text), made)
        yield str(made)


@app.command()
def predict(
    workload: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="WORKLOAD", help="Files (.json, .toml); without: five of labkit's own."
        ),
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option("--policy", "-p", metavar="POLICY", help="May be given again."),
    ] = None,
    output: Annotated[Path | None, console.output("Save the run in this .parquet file.")] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw it in this .html file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare the simulator with this kernel.

    Medians and 99th percentiles, predicted and measured. On a machine without UMCG:
    `labkit vm exec -- labkit policy predict`.
    """
    from labkit.plots.prediction import plot_prediction, table
    from labkit.predicted import POLICIES, prediction

    with console.errors():
        inputs = [*(workload or ()), *policies.files_in(policy or ())]
        for target in filter(None, (output, figure)):
            check_output(target, *inputs)
            inputs.append(target)
        given = [load(path) for path in workload] if workload else None
        with console.progress("predict") as tell:
            run = prediction(given, policy or POLICIES, progress=tell)
        if output:
            run.save(output)
        if figure:
            plot_prediction(run).write_html(figure, include_plotlyjs=True)
        rows = table(run)
        if as_json:
            console.print_json({"spec": run.spec, "rows": rows.to_dicts()})
            return
        shown = Table("workload", "class", "policy", "", "simulated", "measured", "ratio", box=None)
        for row in rows.iter_rows(named=True):
            times = [f"{row[name] / 1e3:,.0f} us" for name in ("simulated", "measured")]
            off = "  off by more than 20 %" if row["off"] else ""
            names = [row[name] for name in ("workload", "class", "policy", "quantile")]
            shown.add_row(*names, *times, f"{row['ratio']:.2f}{off}")
        console.out.print(shown)


@app.command()
def check(
    policy: Annotated[
        str,
        typer.Argument(
            metavar="POLICY", help="A name with options, a shared object, or a file in C or Python."
        ),
    ],
    watchdog: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Time that a call may last, or a ready thread wait, 0.1 to 10000.",
        ),
    ] = 5.0,
    as_json: Json = False,
) -> None:
    """Try a policy in the simulator: many workloads, servers and seeds. Code 1: it is wrong."""
    with console.errors(), _object(policy) as text:
        line, wrong, done = Line("check"), [], []
        for trial in trials(text, watchdog):
            done.append(trial)
            line.show(len(done), TRIALS, trial.workload)
            if trial.wrong:
                wrong.append(trial)
                break
        turns = sum(trial.turns for trial in done)
        if as_json:
            line.end()
            console.print_json([dataclasses.asdict(trial) for trial in done])
        elif wrong:
            line.end(f"{policy}: WRONG")
            print(wrong[0].wrong)
            print(
                f"in the workload {wrong[0].workload!r} on {wrong[0].servers} servers, seed"
                f" {wrong[0].seed}, costs {wrong[0].costs}"
            )
        else:
            line.end(f"{policy}: {len(done)} simulations, {turns} turns, nothing wrong")
        if wrong:
            raise typer.Exit(console.FAILED)
