# SPDX-License-Identifier: MIT
"""`labkit jupyter`: the kernel Python (UMCG) for JupyterLab."""

from __future__ import annotations

from types import ModuleType

from labkit.cli import console
from labkit.cli.console import Json

app = console.new_app(help="The kernel Python (UMCG) for JupyterLab.", no_args_is_help=True)


def _install() -> ModuleType:
    try:
        from labkit.jupyter import install
    except ModuleNotFoundError as error:
        console.fail(
            console.USAGE,
            f"{error.name} is not installed; in the project's folder: pip install -e '.[lab]'",
        )
    return install


@app.command("install")
def install_kernel(as_json: Json = False) -> None:
    """Install the kernel Python (UMCG). Into this Python environment; 125: it cannot start."""
    with console.errors():
        install = _install()
        where = install.install()
        problem = install.problem()
        if as_json:
            console.print_json({"kernel": str(where), "problem": problem or None})
        else:
            print(f"{install.DISPLAY_NAME} is in {where}")
        if problem:
            console.fail(console.VM, f"{install.DISPLAY_NAME} cannot start here: {problem}")


@app.command("uninstall")
def uninstall_kernel(as_json: Json = False) -> None:
    """Take away what `install` has put there.

    That is the kernel, and JupyterLab's settings for it.
    """
    with console.errors():
        install = _install()
        gone = install.uninstall()
        if as_json:
            console.print_json({"removed": [str(path) for path in gone]})
        elif gone:
            print(f"{install.DISPLAY_NAME} and its settings are gone from {install.prefix()}")
        else:
            print(f"{install.DISPLAY_NAME} was not installed in {install.prefix()}")
