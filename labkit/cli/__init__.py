# SPDX-License-Identifier: MIT
"""The command line; `commands` has what `labkit` alone offers, the rest stands beside it."""


def main() -> None:
    """The program `labkit`."""
    from labkit.cli import commands

    commands.app()
