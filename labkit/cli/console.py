# SPDX-License-Identifier: MIT
"""How the command line talks: progress on a terminal, JSON on request, errors with exit codes."""

from __future__ import annotations

import errno
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperArgument, TyperCommand

from labkit.progress import Line

if TYPE_CHECKING:
    from labkit.experiments import Update

FAILED, USAGE, UNAVAILABLE, FILE, VM, INTERRUPTED = 1, 2, 3, 4, 125, 130


#: What stands for a value in the help, by the name of its type.
_METAVARS = {"int": "N", "float": "NUMBER", "path": "FILE", "Path": "FILE", "str": "TEXT"}


class Command(TyperCommand):
    """A command whose help is as most tools have it: `FILE...`, `N`, and no types of Python."""

    def get_params(self, ctx: Any) -> Any:
        """Its parameters, each with what stands for its value."""
        params: Any = super().get_params(ctx)
        for param in params:
            # Older versions of Typer write INTEGER and the like by themselves.
            type_of = getattr(param, "display_type", lambda ctx: "")
            kind = re.search(r"(\w+)\W*$", type_of(ctx) or "")
            if param.metavar is None and kind and kind[1] in _METAVARS:
                param.metavar = _METAVARS[kind[1]]
        return params

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """The usage line."""
        arguments = (one for one in self.get_params(ctx) if isinstance(one, TyperArgument))
        return ["[OPTIONS]", *map(_usage, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The lists of arguments and options."""
        rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            if row := param.get_help_record(ctx):
                argument = isinstance(param, TyperArgument)
                name = _usage(param) if argument else row[0]
                rows["Arguments" if argument else "Options"].append((name, row[1]))
        for title, given in rows.items():
            if given:
                with formatter.section(title):
                    formatter.write_dl(given)


def _usage(param: Any) -> str:
    """An argument as usage has it: `FILE`, `[FILE]`, `FILE...`."""
    name = param.metavar or param.name.upper()
    if param.nargs != 1 and not name.endswith("..."):
        name += "..."
    return name if param.required else f"[{name}]"


class _App(typer.Typer):
    def command(self, name: str | None = None, **given: Any) -> Any:
        return super().command(name, **{"cls": Command, **given})


def new_app(**given: Any) -> typer.Typer:
    """A part of the command line, plain as all of it: no boxes, no markup, no tracebacks."""
    return _App(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **given
    )


def output(words: str) -> Any:
    """The option of the file to write, of every command that writes one."""
    return typer.Option("--output", "-o", metavar="FILE", help=words)


#: An option of most commands.
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]

#: The errors a user can do something about, and their exit codes. By name: who is not told of one
#: need not import what it is of, and tables are slow to import in a guest.
CODES = {
    "labkit.experiments.errors.NoUmcgError": UNAVAILABLE,
    "labkit.experiments.errors.SpecError": USAGE,
    "labkit.sim.errors.ChoiceError": USAGE,
    "labkit.sim.errors.SettingError": USAGE,
    "labkit.workload.times.WorkloadError": USAGE,
    "labkit.analysis.compare.NotComparable": USAGE,
    "labkit.analysis.requires.MissingSamples": USAGE,
    "labkit.analysis.requires.MissingEvents": USAGE,
    "labkit.benchmark.suite.SuiteError": USAGE,
    "labkit.grading.master.MasterError": USAGE,
    "labkit.sim.errors.SimulationError": FAILED,
    "labkit.experiments.alone.Busy": FAILED,
    "labkit.native.engine.EngineError": FAILED,
    "labkit.benchmark.icount.CountError": FAILED,
    "labkit.benchmark.peers.PeerError": FAILED,
    "labkit.trace.errors.TraceError": FILE,
    "labkit.vm.errors.VmError": VM,
}

#: Everything that is not a result goes to stderr.
err = Console(stderr=True, highlight=False)
out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def fail(code: int, message: str) -> NoReturn:
    """Print `labkit: message` on stderr and end with `code`."""
    print(f"labkit: {message}", file=sys.stderr)
    raise typer.Exit(code)


def note(message: str) -> None:
    """Print a remark on stderr, as it is: a path may have brackets, and must not be broken."""
    print(message, file=sys.stderr)


def _plain(value: Any) -> Any:
    """The value with null for every number that JSON has not: nan and the infinite."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    json.dump(_plain(value), sys.stdout, indent=2, allow_nan=False)
    print(flush=True)


def code_of(error: BaseException) -> int | None:
    """The exit code of an error a user can do something about; None: it is none of `CODES`."""
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    return next((CODES[name] for name in names if name in CODES), None)


@contextmanager
def errors() -> Iterator[None]:
    """Turn the errors a user can do something about into one line and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        fail(INTERRUPTED, "interrupted before there was anything to keep")
    except Exception as error:
        code = code_of(error)
        if code is not None:
            for line in getattr(error, "kernel_lines", ()):
                print(f"  guest: {line}", file=sys.stderr)
            fail(code, str(error))
        if not isinstance(error, OSError) or error.errno == errno.EPIPE:
            # The output is not read any more: no error, and Typer ends quietly.
            raise
        if isinstance(error, FileNotFoundError) and error.filename:
            fail(FILE, f"{error.filename}: no such file")
        named = f"{error.filename}: " if error.filename else ""
        fail(FILE, f"{named}{error.strerror or error}")


@contextmanager
def progress(
    title: str, expected: float | None = None
) -> Iterator[Callable[[Update], None] | None]:
    """A progress callback that draws a bar on stderr, or None when that is no terminal.

    Args:
        title: what the line begins with.
        expected: seconds that all of it may take, where that is known before.
    """
    line = Line(title, expected=expected)

    def show(update: Update) -> None:
        what = update.what
        if update.live:
            what += f"  {update.live.ops} operations, {update.live.blocked} blocked"
        line.show(update.done, update.total, what)

    try:
        yield show if line.terminal else None
    finally:
        line.clear()


@contextmanager
def waiting() -> Iterator[Callable[[str], None]]:
    """A `say` for `labkit.vm.execute`: a spinner with the text on a terminal, else nothing."""
    if not err.is_terminal:
        yield lambda text: None
        return
    status = err.status("")

    def say(text: str) -> None:
        if text:
            status.update(text)
            status.start()
        else:
            status.stop()

    try:
        yield say
    finally:
        status.stop()
