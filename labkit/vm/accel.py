# SPDX-License-Identifier: MIT
"""KVM or TCG: KVM only where a boot has proved it, as /dev/kvm may open and guests still hang."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

from labkit.vm import image
from labkit.vm.errors import VmError
from labkit.vm.options import Accelerator, VmOptions
from labkit.vm.qemu import QEMU, machine, need_programs
from labkit.vm.session import Session

#: A guest under KVM boots in two seconds; one that has not in this time never will.
PROOF_TIMEOUT_S = 20.0


def cache_file() -> Path:
    """Where the verdict on this machine is kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "umcg-lab" / "accelerator.json"


def _machine_id() -> str:
    """Changes when the verdict might: host kernel, CPU, QEMU."""
    try:
        qemu = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False)
        version = qemu.stdout
    except OSError:
        version = ""
    cpu = [
        line
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if "model name" in line
    ]
    text = "\n".join([platform.node(), platform.release(), version, *cpu[:1]])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cached() -> tuple[Accelerator, str] | None:
    """The verdict of an earlier proof on this machine with its reason, or None."""
    try:
        kept = json.loads(cache_file().read_text(encoding="utf-8"))
        if kept["machine"] == _machine_id() and kept["accelerator"] in ("kvm", "tcg"):
            return kept["accelerator"], str(kept["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def choose(options: VmOptions, say: Callable[[str], None] = lambda text: None) -> Accelerator:
    """The accelerator to use: the one asked for, or the verdict on this machine.

    The first call on a machine with /dev/kvm boots a guest to find out (seconds when KVM works,
    `PROOF_TIMEOUT_S` when it does not) and keeps the verdict.

    Raises:
        VmError: no kernel image, no QEMU, no virtme-ng: a lack that says nothing about KVM.
    """
    if options.accelerator:
        return options.accelerator
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    known = cached()
    if known:
        return known[0]
    need_programs()
    image.find(str(options.image) if options.image else None)
    say(f"trying whether KVM works here (once, at most {PROOF_TIMEOUT_S:.0f} s)")
    verdict, reason = _prove(options)
    kept = {"machine": _machine_id(), "accelerator": verdict, "reason": reason}
    try:
        cache_file().parent.mkdir(parents=True, exist_ok=True)
        cache_file().write_text(json.dumps(kept), encoding="utf-8")
    except OSError as error:
        say(f"the verdict is not kept: {cache_file()}: {error.strerror}")
    return verdict


def _prove(options: VmOptions) -> tuple[Accelerator, str]:
    trial = VmOptions(
        cpus=options.cpus,
        memory_mib=512,
        image=options.image,
        boot_timeout_s=PROOF_TIMEOUT_S,
        hang_timeout_s=PROOF_TIMEOUT_S,
    )
    null = os.open(os.devnull, os.O_RDWR)
    try:
        with machine(trial, "kvm") as guest:
            files = (null, null, null)
            code = Session(guest, ["true"], env={"PATH": os.defpath}, cwd="/", files=files).run()
        if code == 0:
            return "kvm", "a guest booted and ran a command"
        return "tcg", f"under KVM `true` ended with {code}"
    except VmError as error:
        return "tcg", f"under KVM: {error}"
    finally:
        os.close(null)
