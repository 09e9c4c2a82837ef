# SPDX-License-Identifier: MIT
"""How the command line talks: progress on a terminal, JSON on request, errors with exit codes."""

from __future__ import annotations

import errno
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from labkit.experiments import NoUmcgError, SpecError, Update
from labkit.native.engine import EngineError
from labkit.trace.errors import TraceError
from labkit.vm import VmError

FAILED, USAGE, UNAVAILABLE, FILE, VM, INTERRUPTED = 1, 2, 3, 4, 125, 130

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


def print_json(value: Any) -> None:
    """Print one JSON document on stdout."""
    json.dump(value, sys.stdout, indent=2)
    print(flush=True)


@contextmanager
def errors() -> Iterator[None]:
    """Turn the errors a user can do something about into one line and an exit code."""
    try:
        yield
    except NoUmcgError as error:
        fail(UNAVAILABLE, str(error))
    except SpecError as error:
        fail(USAGE, str(error))
    except EngineError as error:
        fail(FAILED, f"the measurement failed: {error}")
    except TraceError as error:
        fail(FILE, str(error))
    except VmError as error:
        for line in error.kernel_lines:
            print(f"  guest: {line}", file=sys.stderr)
        fail(VM, str(error))
    except FileNotFoundError as error:
        fail(FILE, f"{error.filename}: no such file")
    except OSError as error:
        # Nobody reads the output: no fault of anybody, and Typer ends quietly.
        if error.errno == errno.EPIPE:
            raise
        named = f"{error.filename}: " if error.filename else ""
        fail(FILE, f"{named}{error.strerror or error}")
    except KeyboardInterrupt:
        fail(INTERRUPTED, "interrupted; all threads were stopped, nothing was written")


@contextmanager
def progress(title: str) -> Iterator[Callable[[Update], None] | None]:
    """A progress callback that draws a bar on stderr, or None when that is no terminal."""
    if not err.is_terminal:
        yield None
        return
    bar = Progress(
        TextColumn("{task.description:8}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[what]}"),
        console=err,
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=None, what="")

        def show(update: Update) -> None:
            what = update.what
            if update.live:
                what += f"  {update.live.ops} operations, {update.live.blocked} blocked"
            bar.update(task, completed=update.done, total=update.total, what=what)

        yield show


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
