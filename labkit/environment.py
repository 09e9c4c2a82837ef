# SPDX-License-Identifier: MIT
"""Where a run was made: everything a figure must carry to be worth showing."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import labkit
from labkit.native import engine

#: How to come by UMCG.
GET_UMCG = (
    "build the patched kernel with `make -C kernel image` (or `make demo`) and run under "
    "`labkit vm exec --`"
)

#: Said wherever UMCG series are missing.
NO_UMCG = f"this kernel has no UMCG, so only the baselines ran: {GET_UMCG}"


def cpus() -> tuple[int, ...]:
    """The CPUs this process may use, by number."""
    return tuple(sorted(os.sched_getaffinity(0)))


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def cpu_model() -> str:
    """The CPU's name as the kernel gives it."""
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def accelerator() -> str:
    """`bare metal`, `kvm`, `tcg` (QEMU interprets: absolute times mean nothing) or `vm`."""
    said = os.environ.get("LABKIT_ACCELERATOR")
    if said:
        return said
    if "TCG" in cpu_model():
        return "tcg"
    return "vm" if " hypervisor" in _read("/proc/cpuinfo") else "bare metal"


def _config_digest() -> str:
    try:
        return hashlib.sha256(Path("/proc/config.gz").read_bytes()).hexdigest()[:12]
    except OSError:
        return ""


def _commit() -> str:
    root = Path(__file__).resolve().parents[1]
    try:
        made = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return made.stdout.strip()


def collect() -> dict[str, Any]:
    """The environment as JSON types.

    Keys: `backend` (umcg or pthread), `umcg_missing` (why and what to do; empty with UMCG),
    `kernel` (release), `kernel_version`, `config_digest`, `accelerator`, `cpu`, `cpus` (allowed),
    `clock` (the kernel's clock source), `commit`, `labkit`, `python`, `time` (UTC, ISO 8601).
    """
    uname = os.uname()
    return {
        "backend": "umcg" if engine.enabled() else "pthread",
        "umcg_missing": "" if engine.enabled() else NO_UMCG,
        "kernel": uname.release,
        "kernel_version": uname.version,
        "config_digest": _config_digest(),
        "accelerator": accelerator(),
        "cpu": cpu_model(),
        "cpus": list(cpus()),
        "clock": _read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "commit": _commit(),
        "labkit": labkit.__version__,
        "python": platform.python_version(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
