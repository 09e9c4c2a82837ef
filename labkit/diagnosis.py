# SPDX-License-Identifier: MIT
"""What this machine can do for the lab, and what to do about each thing it cannot."""

from __future__ import annotations

import html
import os
import shutil
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from labkit import environment
from labkit.native import engine
from labkit.vm import VmError, accel, image
from labkit.vm.qemu import QEMU

Verdict = Literal["ok", "note", "lack"]


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: what.
        verdict: `ok`; `note` (works, figures suffer); `lack` (something does not work).
        found: what was found.
        remedy: what to do about it; empty when `ok`.
    """

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All checks; shows itself as a table in a terminal, a notebook and as text."""

    checks: tuple[Check, ...]

    @property
    def can_run_umcg(self) -> bool:
        """UMCG experiments run: on this kernel, or in a microVM."""
        by_name = {check.name: check.verdict != "lack" for check in self.checks}
        return engine.enabled() or all(
            by_name[name] for name in ("QEMU", "virtme-ng", "kernel image")
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "can_run_umcg": self.can_run_umcg,
            "checks": [asdict(check) for check in self.checks],
        }

    def __str__(self) -> str:
        width = max(len(check.name) for check in self.checks)
        lines = []
        for check in self.checks:
            lines.append(f"{check.verdict:4}  {check.name:{width}}  {check.found}")
            if check.remedy:
                lines.append(f"{'':4}  {'':{width}}  -> {check.remedy}")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>"
            + "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in cells)
            + "</tr>"
            for cells in ((c.verdict, c.name, c.found, c.remedy) for c in self.checks)
        )
        return f"<table>{rows}</table>"


def _kernel() -> Check:
    release = os.uname().release
    if engine.enabled():
        return Check("kernel", "ok", f"{release} with UMCG, ABI 1")
    return Check("kernel", "note", f"{release} without UMCG: baselines only", environment.GET_UMCG)


def _cpus() -> Check:
    count = len(environment.cpus())
    load = os.getloadavg()[0]
    found = f"{count} ({environment.cpu_model()}), load {load:.1f}"
    if count < 2:
        return Check("CPUs", "note", found, "with one CPU, unpinned is the same as pinned")
    if load > count / 2:
        return Check("CPUs", "note", found, "other work disturbs the figures: wait or end it")
    return Check("CPUs", "ok", found)


def _accelerator() -> Check:
    here = environment.accelerator()
    if engine.enabled() and here != "tcg":
        return Check("accelerator", "ok", here)
    if here == "tcg":
        return Check(
            "accelerator",
            "note",
            "TCG: QEMU interprets this machine",
            "trust ratios, not absolute times",
        )
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Check(
            "accelerator",
            "note",
            f"{here}; /dev/kvm cannot be used: microVMs run under TCG",
            "load the kvm module and join the group kvm, or live with TCG",
        )
    known = accel.cached()
    if known is None:
        return Check("accelerator", "ok", f"{here}; KVM is tried at the first `labkit vm exec`")
    chosen, reason = known
    if chosen == "tcg":
        return Check(
            "accelerator",
            "note",
            f"{here}; microVMs run under TCG, KVM failed ({reason})",
            f"if KVM works now, remove {accel.cache_file()}",
        )
    return Check("accelerator", "ok", f"{here}; microVMs run under KVM ({reason})")


def _clock() -> Check:
    source = environment.collect()["clock"]
    if source in ("tsc", "kvm-clock", "arch_sys_counter"):
        return Check("clock", "ok", source)
    return Check(
        "clock",
        "note",
        source or "unknown",
        "reading it is slow; boot with clocksource=tsc tsc=reliable if the TSC is sound",
    )


def _microvm() -> Check:
    return Check("microVM", "ok", "not needed: experiments and notebooks run on this kernel")


def _qemu() -> Check:
    path = shutil.which(QEMU)
    if path:
        return Check("QEMU", "ok", path)
    return Check("QEMU", "lack", "not installed", "make deps (Debian: qemu-system-x86)")


def _virtme() -> Check:
    if find_spec("virtme"):
        return Check("virtme-ng", "ok", "installed")
    return Check("virtme-ng", "lack", "not installed", "make deps, or pip install -e '.[vm]'")


def _image() -> Check:
    try:
        return Check("kernel image", "ok", str(image.find()))
    except VmError as error:
        return Check("kernel image", "lack", "none", str(error))


def _tracing() -> Check:
    folder = Path("/sys/kernel/tracing")
    # Not Path.is_dir, which raises where an ordinary user may not even look.
    if os.path.isdir(folder / "events" / "umcg"):
        return Check("tracepoints", "ok", "umcg:* and sched:*")
    if os.access(folder / "trace", os.R_OK):
        return Check("tracepoints", "note", "sched:* only", "umcg:* come with the patched kernel")
    return Check("tracepoints", "note", "not readable", "tracing needs root and a mounted tracefs")


def doctor() -> Diagnosis:
    """Look at this machine: kernel, ABI, CPUs, accelerator, clock, tools, image, tracing."""
    microvm = (_microvm,) if engine.enabled() else (_qemu, _virtme, _image)
    looks = (_kernel, _cpus, _accelerator, _clock, *microvm, _tracing)
    return Diagnosis(tuple(look() for look in looks))
