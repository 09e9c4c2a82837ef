# SPDX-License-Identifier: MIT
"""A QEMU guest whose console is read line by line and that never outlives this process."""

from __future__ import annotations

import hashlib
import os
import platform
import queue
import shutil
import subprocess
import threading
import time
from pathlib import Path

BOOT = Path(__file__).parent
# On a busy host the boot-time check of the timer interrupt fails, and the guest panics.
TCG_CLOCK = "clocksource=tsc tsc=reliable no_timer_check"
# One guest instruction is one nanosecond, and a run repeats to the digit. Only with one CPU.
ICOUNT = (
    "-cpu qemu64 -accel tcg,thread=single -icount shift=0,sleep=off,align=off"
    " -rtc base=2024-01-01,clock=vm"
)


class GuestError(Exception):
    """The guest cannot be started; the message says what to do."""


class Guest:
    """One boot of IMAGE with INITRD. Use as a context manager; leaving it kills QEMU."""

    def __init__(self, image: Path, initrd: Path, qemu: list[str], append: str) -> None:
        for tool, package in (("qemu-system-x86_64", "qemu-system-x86"), ("setpriv", "util-linux")):
            if shutil.which(tool) is None:
                raise GuestError(
                    f"missing {tool}: Debian package {package} (make deps installs it)"
                )
        if not image.is_file():
            raise GuestError(f"{image}: no kernel image; make -C kernel image builds one")
        command = ["setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64"]
        command += [
            "-display",
            "none",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
            "-serial",
            "stdio",
        ]
        command += ["-kernel", str(image), "-initrd", str(initrd)]
        command += [
            "-append",
            f"console=ttyS0 panic=-1 oops=panic printk.devkmsg=on {append}",
            *qemu,
        ]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.lines: list[str] = []
        self._queue: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._pump, daemon=True).start()

    def _pump(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            self._queue.put(raw.decode(errors="replace").rstrip("\r\n"))
        self._queue.put(None)

    def line(self, timeout: float) -> str | None:
        """The next console line, None when the guest has ended.

        TimeoutError if none comes within `timeout` seconds.
        """
        try:
            text = self._queue.get(timeout=max(timeout, 0))
        except queue.Empty:
            raise TimeoutError from None
        if text is not None:
            self.lines.append(text)
        return text

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.wait()


def accelerator_arguments(name: str) -> tuple[list[str], str]:
    """QEMU's and the kernel's arguments for "kvm", "tcg" or "icount"."""
    if name == "kvm":
        return ["-accel", "kvm", "-cpu", "host"], ""
    if name == "icount":
        return ICOUNT.split(), "nokaslr norandmaps"
    return ["-accel", "tcg,thread=multi"], TCG_CLOCK


def machine_key() -> str:
    """Names this machine: the verdict about KVM holds only here."""
    parts = [platform.release(), os.uname().machine]
    for path in ("/etc/machine-id", "/proc/cpuinfo"):
        text = Path(path).read_text(encoding="utf-8") if os.path.exists(path) else ""
        parts += [
            line for line in text.splitlines() if ":" not in line or line.startswith("model name")
        ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def accelerator(image: Path, cache: Path) -> str:
    """ "kvm" if a guest has once come up with it on this machine, else "tcg".

    A /dev/kvm that opens is no proof: guests may hang on it.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    known = cache / f"accel-{machine_key()}"
    if known.is_file():
        return known.read_text(encoding="utf-8").strip()
    initrd = cache / f"tmp.accel.{os.getpid()}"
    try:
        make_initrd(initrd, BOOT / "init-probe", [])
        verdict = "kvm" if _comes_up(image, initrd, 30) else "tcg"
    finally:
        initrd.unlink(missing_ok=True)
    known.write_text(verdict + "\n", encoding="utf-8")
    return verdict


def _comes_up(image: Path, initrd: Path, seconds: float) -> bool:
    qemu, append = accelerator_arguments("kvm")
    end = time.monotonic() + seconds
    with Guest(image, initrd, [*qemu, "-smp", "2", "-m", "256M"], append) as guest:
        try:
            while (line := guest.line(end - time.monotonic())) is not None:
                if "umcg-run: probe" in line:
                    return True
        except TimeoutError:
            pass
    return False


def make_initrd(out: Path, init: Path, files: list[Path]) -> None:
    """Pack INIT and FILES; GuestError when a tool is missing (it has said which)."""
    command = [str(BOOT / "initramfs.sh"), str(out), str(init), *map(str, files)]
    if subprocess.run(command, check=False).returncode:
        raise GuestError("no initramfs")
