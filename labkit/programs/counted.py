# SPDX-License-Identifier: MIT
"""A measurement of programs in a microVM of one CPU whose clock counts instructions."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from labkit import vm
from labkit.programs import server


def asked(words: Sequence[str]) -> tuple[bool, list[str]]:
    """Is `--icount` the first word? And the words after it."""
    icount = list(words[:1]) == ["--icount"]
    return icount, list(words[1:] if icount else words)


def boot(script: str, words: Sequence[str]) -> int:
    """Run a script with these words there; its exit code."""
    options = vm.VmOptions(cpus=1, accelerator="tcg", icount=True, hang_timeout_s=3600)
    return vm.execute([sys.executable, script, *words], options)


def be_patient() -> None:
    """There, nothing of a server has a time limit; elsewhere nothing changes."""
    if "icount" in os.environ.get("LABKIT_ACCELERATOR", ""):
        # While the host reads a file for the guest that one's clock runs far ahead.
        server.START_S = server.STOP_S = 1e6
