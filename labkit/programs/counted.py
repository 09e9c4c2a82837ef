# SPDX-License-Identifier: MIT
"""A measurement of programs in a microVM of one CPU whose clock counts instructions."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from labkit import vm
from labkit.programs import server


def parser(doc: str, repetitions: int) -> argparse.ArgumentParser:
    """What such a measurement may be asked: `--icount`, and how often to repeat it.

    Args:
        doc: the module's text; its first line is the help.
        repetitions: if nothing else is asked.
    """
    asked = argparse.ArgumentParser(description=doc.partition("\n")[0])
    asked.add_argument(
        "--icount",
        action="store_true",
        help="boot a microVM of one CPU whose clock counts instructions, and measure there",
    )
    asked.add_argument(
        "repetitions",
        metavar="REPETITIONS",
        nargs="?",
        type=_positive,
        default=repetitions,
        help="values of each (default: %(default)s)",
    )
    return asked


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of repetitions: give 1 or more")
    return int(text)


def boot(script: str, words: Sequence[str]) -> int:
    """Run a script with these words there; its exit code."""
    options = vm.VmOptions(cpus=1, accelerator="tcg", icount=True, hang_timeout_s=3600)
    return vm.execute([sys.executable, script, *words], options)


def be_patient() -> None:
    """There, nothing of a server has a time limit; elsewhere nothing changes."""
    if "icount" in os.environ.get("LABKIT_ACCELERATOR", ""):
        # While the host reads a file for the guest that one's clock runs far ahead.
        server.START_S = server.STOP_S = 1e6
