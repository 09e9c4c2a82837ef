# SPDX-License-Identifier: MIT
"""Words with a running QEMU, over its QMP socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from labkit.vm.errors import VmError

#: QEMU answers in milliseconds; one that has not in this time is lost.
TIMEOUT_S = 20.0


def command(path: Path, line: str) -> str:
    """Give the human monitor's command `line` to the QEMU whose QMP socket is `path`.

    Returns:
        What QEMU printed, most often nothing.

    Raises:
        VmError: QEMU is gone or refuses.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(path))
            with connection.makefile("rw") as stream:
                json.loads(stream.readline())  # the greeting
                _ask(stream, "qmp_capabilities")
                said = _ask(stream, "human-monitor-command", {"command-line": line})
    except (OSError, ValueError) as error:
        raise VmError(f"QEMU's monitor does not answer: {error}") from None
    return str(said).strip()


def _ask(stream: Any, name: str, arguments: dict[str, str] | None = None) -> Any:
    stream.write(json.dumps({"execute": name, "arguments": arguments or {}}) + "\n")
    stream.flush()
    while True:
        answer = json.loads(stream.readline())
        if "error" in answer:
            raise VmError(f"QEMU's monitor refuses {name}: {answer['error']['desc']}")
        if "return" in answer:  # everything else is an event
            return answer["return"]
