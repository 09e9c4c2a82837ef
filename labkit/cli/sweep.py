# SPDX-License-Identifier: MIT
"""`labkit sweep`: workloads, policies, loads, servers and seeds into one Parquet file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import polars as pl
import typer

from labkit.cli import console
from labkit.progress import Line
from labkit.sim import TEXTBOOK, Costs, SettingError
from labkit.sim.policies import files_in
from labkit.sweep.run import sweep
from labkit.trace.files import check_output
from labkit.workload import load

T = TypeVar("T", int, float)


def _numbers(name: str, text: str, kind: Callable[[str], T]) -> list[T]:
    try:
        return [kind(word) for word in text.split(",")]
    except ValueError:
        raise SettingError(f"{name} is {text!r}; give numbers with commas between them") from None


app = console.new_app()


@app.command()
def command(
    workloads: Annotated[
        list[Path], typer.Argument(metavar="WORKLOAD", help="Files (.json or .toml).")
    ],
    output: Annotated[
        Path,
        console.output("The .parquet file."),
    ],
    policy: Annotated[
        list[str],
        typer.Option("--policy", "-p", metavar="POLICY", help="With its options; again for more."),
    ],
    servers: Annotated[str, typer.Option(metavar="N,...", help="Numbers of servers.")] = "2",
    seeds: Annotated[int, typer.Option(help="How many seeds, from 1 on.")] = 1,
    loads: Annotated[
        str, typer.Option(metavar="NUMBER,...", help="Factors on the arrivals of open loops.")
    ] = "1",
    costs: Annotated[
        str,
        typer.Option(
            metavar="none|counted", help="Of switching; counted: from instruction counts."
        ),
    ] = "none",
    jobs: Annotated[
        int | None, typer.Option(help="Simulations at once; without: one for each CPU.")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Simulate on this Dask cluster: tcp://HOST:8786."),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the 99th percentile in this .html file, too.")
    ] = None,
    watchdog: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="Time that a call of a policy may last, 0.1 to 10000."
        ),
    ] = 5.0,
) -> None:
    """Simulate every combination. Interrupted, it goes on where it was when called again."""
    with console.errors():
        for path in (output, figure):
            if path is not None:
                also = () if path is output else (output,)
                check_output(path, *workloads, *files_in(policy), *also)
        if costs not in ("none", "counted"):
            raise SettingError(f"costs is {costs!r}; give none or counted")
        line = Line("sweep")
        try:
            table = sweep(
                output,
                [load(path) for path in workloads],
                policy,
                servers=_numbers("servers", servers, int),
                seeds=seeds,
                loads=_numbers("loads", loads, float),
                costs=TEXTBOOK if costs == "none" else Costs.counted(),
                jobs=jobs,
                dask=dask,
                watchdog_s=watchdog,
                progress=line.show,
            )
        except KeyboardInterrupt:
            line.end()
            console.fail(
                console.INTERRUPTED,
                f"interrupted; what is finished is kept beside {output}: the same command goes on",
            )
        line.end(f"{table['key'].n_unique()} simulations in {output}")
        if figure is not None:
            from labkit.plots import plot_sweep

            plot_sweep(table).write_html(figure, include_plotlyjs=True)
            console.note(f"wrote {figure}")
        wrong = table.filter(pl.col("error").is_not_null())
        if not wrong.is_empty():
            first = wrong.row(0, named=True)
            console.fail(
                console.FAILED,
                f"in {wrong['key'].n_unique()} simulations the policy went wrong; the first:"
                f" {first['error']} (workload {first['workload']}, {first['servers']} servers,"
                f" seed {first['seed']})",
            )
