# SPDX-License-Identifier: MIT
"""Where a run was made: everything a figure must carry to be worth showing."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
from pathlib import Path
from typing import Any

import labkit
from labkit import checkout
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
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
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


def _governor() -> str:
    """How the CPUs' clock is chosen, `a, b` where they differ; empty: not by the kernel."""
    places = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    return ", ".join(sorted({_read(str(place)) for place in places}))


def _turbo() -> bool | None:
    """May CPUs run faster than their nominal clock? None: the kernel does not say."""
    if off := _read("/sys/devices/system/cpu/intel_pstate/no_turbo"):
        return off == "0"
    boost = _read("/sys/devices/system/cpu/cpufreq/boost")
    return boost == "1" if boost else None


def _smt() -> bool | None:
    """Do CPUs share cores? None: the kernel does not say."""
    active = _read("/sys/devices/system/cpu/smt/active")
    return active == "1" if active else None


def collect() -> dict[str, Any]:
    """The environment as JSON types.

    Keys: `backend` (umcg or pthread), `umcg_missing` (why and what to do; empty with UMCG),
    `kernel` (release), `kernel_version`, `config_digest`, `accelerator`, `cpu`, `cpus` (allowed),
    `clock` (the kernel's clock source), `governor` (of the CPUs' frequency, empty: none), `turbo`
    and `smt` (are they on, None: not known), `aslr` (0 off, 1, 2 full), `load` (runnable tasks over
    the last minute), `boot_id` (of this boot of the kernel), `commit`, `labkit`, `python`, `time`
    (UTC, ISO 8601).
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
        "governor": _governor(),
        "turbo": _turbo(),
        "smt": _smt(),
        "aslr": _read("/proc/sys/kernel/randomize_va_space"),
        "load": round(os.getloadavg()[0], 2),
        "boot_id": _read("/proc/sys/kernel/random/boot_id"),
        "commit": checkout.commit(),
        "labkit": labkit.__version__,
        "python": platform.python_version(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
