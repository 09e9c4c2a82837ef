# SPDX-License-Identifier: MIT
"""A simulation in a process of its own: whatever the policy does, this process goes on."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labkit.sim import errors
from labkit.sim.core import Settings
from labkit.workload import Workload, WorkloadError, to_dict

_PROGRESS = struct.Struct("=QQ")
#: The most that a policy may print and have shown, in characters.
_MOST_SAID = 20_000

#: Called with virtual time in ns and the number of events so far.
Tell = Callable[[int, int], None]


def _watch(
    child: subprocess.Popen[bytes], fd: int, tell: Tell | None, stop: threading.Event | None
) -> None:
    """Until the child closes its end, which it does by ending."""
    data = b""
    while True:
        ready, _, _ = select.select([fd], [], [], 0.1)
        if stop is not None and stop.is_set():
            child.send_signal(signal.SIGTERM)
            stop = None
        if not ready:
            continue
        more = os.read(fd, 4096)
        if not more:
            return
        data += more
        whole = len(data) // _PROGRESS.size * _PROGRESS.size
        if tell and whole:
            tell(*_PROGRESS.unpack(data[whole - _PROGRESS.size : whole]))
        data = data[whole:]


def _ended(child: subprocess.Popen[bytes], folder: Path) -> dict[str, Any]:
    """The result that the child has left, or an error that says how it ended."""
    report = folder / "report"
    if report.exists() and report.stat().st_size:
        raise errors.PolicyError(report.read_text(errors="replace", encoding="utf-8").rstrip())
    if (folder / "error").exists():
        name, text = json.loads((folder / "error").read_text(encoding="utf-8"))
        raise WorkloadError(text) if name == "WorkloadError" else getattr(errors, name)(text)
    if (folder / "result").exists():
        found: dict[str, Any] = json.loads((folder / "result").read_text(encoding="utf-8"))
        return found
    code = child.returncode
    if code < 0:
        name = signal.Signals(-code).name
        why = f"was ended by {name}" + (" (no memory left?)" if name == "SIGKILL" else "")
    else:
        last = (
            (folder / "output")
            .read_text(errors="replace", encoding="utf-8")
            .strip()
            .splitlines()[-1:]
        )
        why = f"ended with code {code}" + (f": {last[0]}" if last else "")
    raise errors.SimulationError(f"the simulator's process {why}")


def run(
    policy: str,
    workload: Workload,
    settings: Settings,
    folder: Path,
    watchdog_s: float,
    tell: Tell | None = None,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Simulate as `core.run` does; events go to `folder`/events. What a policy prints is printed.

    Raises:
        SimulationError, WorkloadError: as `core.run`.
        KeyboardInterrupt: the process is gone.
    """
    wanted = {
        "policy": policy,
        "workload": to_dict(workload),
        "settings": asdict(settings),
        "watchdog_s": watchdog_s,
        "parent": os.getpid(),
    }
    reads, writes = os.pipe()
    with open(folder / "output", "wb") as output, os.fdopen(reads, "rb", 0):
        try:
            child = subprocess.Popen(
                [sys.executable, "-m", "labkit.sim.child", str(folder), str(writes)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(writes,),
                # Ctrl-C in a terminal is for this process, which then ends the child.
                start_new_session=True,
            )
        finally:
            os.close(writes)
        try:
            assert child.stdin is not None
            with contextlib.suppress(BrokenPipeError), child.stdin as pipe:
                pipe.write(json.dumps(wanted).encode())
            _watch(child, reads, tell, stop)
            child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    said = (folder / "output").read_text(errors="replace", encoding="utf-8")
    try:
        return _ended(child, folder)
    finally:
        if said:
            print(said[:_MOST_SAID] + ("\n..." if len(said) > _MOST_SAID else ""), end="")


@contextlib.contextmanager
def scratch() -> Any:
    """A folder for one simulation, on the disk that TMPDIR names."""
    with tempfile.TemporaryDirectory(prefix="labkit-sim-") as folder:
        yield Path(folder)
