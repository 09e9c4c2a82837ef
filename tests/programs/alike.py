# SPDX-License-Identifier: MIT
"""A program plain and under umcg-run: what the tests here share."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

KERNEL = Path(__file__).parents[2] / "kernel"


@cache
def umcg_run() -> str:
    """Where it was built."""
    said = subprocess.run(
        ["make", "-s", "-C", KERNEL, "where"], check=True, capture_output=True, text=True
    ).stdout
    return next(line[9:] for line in said.splitlines() if line.startswith("UMCG_RUN="))


def run(*command: object) -> tuple[int, str, str]:
    """Exit code, output, errors."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=3000)
    return done.returncode, done.stdout, done.stderr


def scheduled(said: str) -> int:
    """Threads of all processes that `umcg-run --stats` tells of."""
    return sum(map(int, re.findall(r"^umcg-run: process .*, (\d+) threads;", said, re.MULTILINE)))


def kernel_log() -> list[str]:
    """What the kernel has to complain about."""
    said = subprocess.run(["dmesg"], check=True, capture_output=True, text=True).stdout
    return re.findall(r"^.*(?:BUG|WARNING|Oops|umcg|rcu.*stall|segfault).*$", said, re.MULTILINE)
