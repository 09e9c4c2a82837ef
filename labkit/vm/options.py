# SPDX-License-Identifier: MIT
"""What a microVM is made of, and what is allowed."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Accelerator = Literal["kvm", "tcg"]


def _host_cpus() -> int:
    # Where there is no microVM, the command line is there all the same.
    has = hasattr(os, "sched_getaffinity")
    return len(os.sched_getaffinity(0)) if has else os.cpu_count() or 1


def _host_mib() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20


def this_python() -> tuple[Path, ...]:
    """The folders that the running Python loads most of: packages and its library, to be frozen."""
    return Path(sys.prefix), Path(os.__file__).parent


@dataclass(frozen=True, kw_only=True)
class VmOptions:
    """How to start the machine.

    Attributes:
        cpus: virtual CPUs, 1 to the host's number of CPUs.
        memory_mib: the guest's memory in MiB, at least 256 and less than the host has.
        accelerator: `kvm`, `tcg`, or None to use KVM where a boot has proved that it works.
        image: the kernel, a bzImage; None: see `labkit.vm.image.find`.
        kernel_args: words appended to the kernel's command line.
        frozen: folders that do not change while the guest runs: it sees them read-only and
            remembers what it has read, so that Python starts in half the time.
        ports: TCP ports of the guest that this machine's loopback reaches under the same numbers.
            The guest gets a network for them, with no way out of it.
        icount: the guest's clock counts its instructions, one a nanosecond, so that what the host
            does meanwhile is in no time measured there. One CPU, accelerator `tcg`; slow.
        boot_timeout_s: seconds until the guest must have answered.
        hang_timeout_s: seconds without a sign of life after which the guest counts as hung.
    """

    cpus: int = min(2, _host_cpus())
    memory_mib: int = max(256, min(2048, _host_mib() // 2))
    accelerator: Accelerator | None = None
    image: Path | None = None
    kernel_args: tuple[str, ...] = ()
    frozen: tuple[Path, ...] = ()
    ports: tuple[int, ...] = ()
    icount: bool = False
    boot_timeout_s: float = 600.0  # a machine may be busy
    hang_timeout_s: float = 120.0

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ValueError: says which value is wrong and what is allowed.
        """
        host_cpus = _host_cpus()
        if not 1 <= self.cpus <= host_cpus:
            raise ValueError(f"cpus is {self.cpus}; this machine allows 1 to {host_cpus}")
        host_mib = _host_mib()
        if not 256 <= self.memory_mib < host_mib:
            raise ValueError(
                f"memory_mib is {self.memory_mib}; this machine allows 256 to {host_mib - 1}"
            )
        if self.accelerator not in (None, "kvm", "tcg"):
            raise ValueError(f"accelerator is {self.accelerator!r}; choose kvm or tcg")
        if self.icount and (self.cpus, self.accelerator) != (1, "tcg"):
            raise ValueError("icount needs cpus 1 and accelerator tcg")
        for word in self.kernel_args:
            if not re.fullmatch(r"[^\s\"`]+", word):
                raise ValueError(
                    f"kernel argument {word!r}: no spaces, quotes or backticks are allowed"
                )
        for port in self.ports:
            if not 1 <= port <= 65535:
                raise ValueError(f"port {port}: give numbers from 1 to 65535")
        for name in ("boot_timeout_s", "hang_timeout_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; give seconds above 0")
