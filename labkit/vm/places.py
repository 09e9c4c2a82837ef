# SPDX-License-Identifier: MIT
"""Where the CPUs of a guest are that says nothing any more: in which function of its kernel."""

from __future__ import annotations

import bisect
import re
from pathlib import Path

from labkit.vm import monitor
from labkit.vm.errors import VmError

#: Of `info registers -a`: a CPU's number, its instruction, flags, level, and whether it is halted.
_CPU = re.compile(
    r"CPU#(?P<number>\d+).*?"
    r"RIP=(?P<rip>[0-9a-f]+) RFL=(?P<flags>[0-9a-f]+) .*?CPL=(?P<level>\d).*?HLT=(?P<halted>\d)",
    re.S,
)

#: The flag that lets interrupts in.
_INTERRUPTS = 1 << 9


def cpus(socket: Path, kernel: Path) -> list[str]:
    """A line for each CPU of the QEMU whose QMP socket is `socket`, or why there are none.

    Args:
        socket: where QEMU listens.
        kernel: the image that it has booted; with its System.map beside it functions have names.
    """
    try:
        said = monitor.command(socket, "info registers -a")
    except VmError as error:
        return [str(error)]
    symbols = _symbols(kernel.with_name("System.map"))
    return [_line(found, symbols) for found in _CPU.finditer(said)]


def _line(found: re.Match[str], symbols: list[tuple[int, str]]) -> str:
    where = int(found["rip"], 16)
    words = [f"CPU {found['number']} is"]
    if found["level"] != "0":
        words.append(f"in a program, at {where:#x}")
    else:
        words.append(f"in the kernel, at {_name(where, symbols)}")
        words.append(f"interrupts {'on' if int(found['flags'], 16) & _INTERRUPTS else 'off'}")
    if found["halted"] == "1":
        words.append("halted")
    return f"{words[0]} {', '.join(words[1:])}"


def _symbols(file: Path) -> list[tuple[int, str]]:
    """The addresses and names of the kernel's functions, in order; none without the file."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    parts = [line.split(maxsplit=2) for line in lines]
    return sorted((int(at, 16), name) for at, kind, name in parts if kind in "tT")


def _name(where: int, symbols: list[tuple[int, str]]) -> str:
    number = bisect.bisect(symbols, (where, "\x7f")) - 1
    if number < 0:
        return f"{where:#x}"
    at, name = symbols[number]
    return f"{name}+{where - at:#x}"
