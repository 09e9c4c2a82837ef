# SPDX-License-Identifier: MIT
"""Programs in processes of their own, without the seconds that each would take to import labkit.

One process imports it and forks for every program; the child runs the program as its own main
module, so it ends as any Python ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sanitized import Python

#: A program that has not ended by then never will. Its threads' stacks are then in its output.
TIMEOUT_S = 300

_MAIN = """
import faulthandler, json, os, sys, threading, time
import labkit.api
from labkit import umcg
from labkit.native import engine
faulthandler.enable()
print("imported", flush=True)
for _line in sys.stdin:
    _asked = json.loads(_line)
    _pid = os.fork()
    if _pid == 0:
        break
    print(_pid, flush=True)
    print(os.waitpid(_pid, 0)[1], flush=True)
else:
    sys.exit()
for _fd, _name in enumerate(("/dev/null", _asked["out"], _asked["err"])):
    os.dup2(os.open(_name, os.O_RDWR | os.O_CREAT), _fd)
exec(compile(_asked["program"], "program", "exec"))
"""


@dataclass(frozen=True)
class Ended:
    """How a program ended: `code` as of `subprocess`, and what it printed."""

    code: int
    out: str
    err: str


class Zygote:
    """The process that forks."""

    def __init__(self, python: Python) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, "-c", python.start() + _MAIN],
            env={**python.env(), "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._say() == "imported"

    def _say(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()

    def run(self, program: str, *, interrupt: bool = False) -> Ended:
        """Run a program to its end; one Ctrl-C when it has printed "ready"."""
        out, err = (Path(self._folder.name) / name for name in ("out", "err"))
        for file in (out, err):
            file.write_text("", encoding="utf-8")
        assert self._process.stdin
        asked = {"program": program, "out": str(out), "err": str(err)}
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        pid = int(self._say())
        end = time.monotonic() + TIMEOUT_S
        while Path(f"/proc/{pid}").exists():
            if interrupt and "ready\n" in out.read_text(encoding="utf-8"):
                interrupt = False
                os.kill(pid, signal.SIGINT)
            if time.monotonic() > end:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGABRT)
                    time.sleep(5)  # for the stacks
                    os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.05)
        code = os.waitstatus_to_exitcode(int(self._say()))
        ended = Ended(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))
        assert code not in (-signal.SIGABRT, -signal.SIGKILL), f"it hangs\n{ended.err}"
        assert "AddressSanitizer" not in ended.err, ended.err
        return ended
