# SPDX-License-Identifier: MIT
"""What Jupyter starts and watches as "the kernel": a process that boots a microVM for it.

It ends when the kernel in the guest ends, and with its exit code; it passes signals on; it ends
with the Jupyter server, and the guest with it. The guest has no address of its own on this
machine: the kernel's five ports are on the loopback, as a local kernel's are.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from labkit import vm
from labkit.native import engine
from labkit.vm import VmError, VmOptions, agent, this_python

#: Names the descriptor to which `relay` writes `Status` lines.
STATUS_FD = "LABKIT_STATUS_FD"

PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")

# A folder of the guest's own: nothing of the connection's key stays on a disk.
_GUEST_FILE = "/run/jupyter-kernel.json"
_FROM_STDIN = 'umask 077; cat >"$0"; exec "$@"'


def kernel_command(connection_file: str, extra: list[str]) -> list[str]:
    """The command of the Python kernel itself."""
    return [sys.executable, "-m", "labkit.jupyter.without_debugger", "-f", connection_file, *extra]


def guest_connection(connection: dict[str, object]) -> dict[str, object]:
    """The connection file for the guest: same ports and key, the guest's address.

    Raises:
        VmError: not TCP on this machine's loopback.
    """
    if connection.get("transport") != "tcp" or connection.get("ip") != "127.0.0.1":
        raise VmError(
            "the kernel Python (UMCG) needs TCP on 127.0.0.1, Jupyter's default; here "
            f"transport is {connection.get('transport')} and ip {connection.get('ip')}"
        )
    return {**connection, "ip": agent.ADDRESS}


def _speaker() -> Callable[[str, str], None]:
    """What tells our starter how far we are; nothing where it does not listen."""
    number = os.environ.pop(STATUS_FD, "")
    if not number:
        return lambda state, text: None
    descriptor = int(number)
    os.set_inheritable(descriptor, False)

    def speak(state: str, text: str) -> None:
        line = json.dumps({"state": state, "text": text}) + "\n"
        try:
            os.write(descriptor, line.encode())
        except OSError:  # it does not listen any more
            return

    return speak


def _run(connection_file: Path, options: VmOptions, speak: Callable[[str, str], None]) -> int:
    connection = json.loads(connection_file.read_text(encoding="utf-8"))
    inside = guest_connection(connection)
    # The history file is an SQLite base, whose locks do not hold between host and guest.
    command = kernel_command(_GUEST_FILE, ["--HistoryManager.hist_file=:memory:"])
    read, write = os.pipe()
    os.write(write, json.dumps(inside).encode())  # some hundred bytes: a pipe takes them
    os.close(write)

    parent = os.environ.get("JPY_PARENT_PID")
    owner = os.pidfd_open(int(parent)) if parent else None
    # In the guest the number means another process; 1 stands for "no process to watch".
    environment = {**os.environ, "JPY_PARENT_PID": "1"}

    def say(text: str) -> None:
        speak("waiting" if text else "up", text)

    return vm.execute(
        ["sh", "-c", _FROM_STDIN, _GUEST_FILE, *command],
        options,
        env=environment,
        files=(read, 1, 2),
        say=say,
        patient=True,
        owner=owner,
    )


def main() -> None:
    """Entry point: `python -m labkit.jupyter.relay [OPTION]... CONNECTION_FILE`."""
    defaults = VmOptions()
    parser = argparse.ArgumentParser()
    parser.add_argument("--cpus", type=int, default=defaults.cpus)
    parser.add_argument("--memory", type=int, default=defaults.memory_mib)
    parser.add_argument("--timeout", type=float, default=defaults.boot_timeout_s)
    parser.add_argument("connection_file", type=Path)
    asked = parser.parse_args()
    speak = _speaker()
    if engine.enabled():
        speak("up", "")
        command = kernel_command(str(asked.connection_file), [])
        os.execv(command[0], command)
    try:
        connection = json.loads(asked.connection_file.read_text(encoding="utf-8"))
        ports = tuple(int(connection[name]) for name in PORTS)
        options = VmOptions(
            cpus=asked.cpus,
            memory_mib=asked.memory,
            boot_timeout_s=asked.timeout,
            ports=ports,
            # Most of what a kernel does until it answers is to load packages.
            frozen=this_python(),
        )
        code = _run(asked.connection_file, options, speak)
        if code:
            print(f"labkit: the kernel in the guest ended with code {code}", file=sys.stderr)
    except (VmError, ValueError) as error:
        for line in getattr(error, "kernel_lines", []):
            print(f"  guest: {line}", file=sys.stderr)
        print(f"labkit: {error}", file=sys.stderr)
        speak("failed", str(error))
        code = 125
    raise SystemExit(code)


if __name__ == "__main__":
    main()
