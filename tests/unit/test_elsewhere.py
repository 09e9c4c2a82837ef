# SPDX-License-Identifier: MIT
"""Where there is no Linux: the simulator, policies and sweeps work; what needs Linux says so.

This machine stands for macOS: in a process of its own without what only Linux has, neither of
Python's nor of /proc, and without the engine, which is not built there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: Takes away what only Linux has. A name that is not here is not there either.
WITHOUT = """
import builtins, io, os, pathlib, select, signal, socket, sys, sysconfig
sysconfig.get_config_vars()  # Python's own file of them is named after the platform
sys.platform = "darwin"
real = os.uname()
fields = ("Darwin", real.nodename, "23.0.0", "Darwin Kernel", real.machine)
os.uname = lambda: os.uname_result(fields)
for module, names in (
    (os, ("sched_getaffinity", "sched_setaffinity", "sched_getcpu", "sched_setscheduler",
          "sched_getscheduler", "sched_param", "memfd_create", "pidfd_open", "eventfd", "setns",
          "unshare", "splice", "copy_file_range", "posix_fadvise", "O_TMPFILE", "O_PATH",
          "prlimit", "getrandom")),
    (signal, ("pidfd_send_signal", "SIGRTMIN", "SIGRTMAX", "SIGPOLL", "SIGSTKFLT", "SIGPWR")),
    (select, ("epoll",)),
    (socket, ("AF_VSOCK", "AF_NETLINK", "AF_PACKET", "SO_PASSCRED", "SO_PEERCRED")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.modules["labkit.native._engine"] = None

def lacks(path):
    return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(("/proc/", "/sys/"))

def without(function):
    def call(path, *given, **named):
        if lacks(path):
            raise FileNotFoundError(2, "No such file or directory", os.fspath(path))
        return function(path, *given, **named)
    return call

builtins.open = io.open = without(open)
os.open, os.listdir, os.readlink = map(without, (os.open, os.listdir, os.readlink))
"""
CLI = "from labkit.cli.commands import app; app()"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    # Processes that it starts lack the same.
    (tmp_path / "sitecustomize.py").write_text(WITHOUT, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("LABKIT_POLICIES", str(tmp_path / "policies"))

    def python(code: str, *words: str, code_wanted: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            encoding="utf-8",
            cwd=tmp_path,
        )
        assert done.returncode == code_wanted, done.stderr
        return done.stdout + done.stderr

    return python


WORK = """
from labkit.workload import *
work = Workload(classes=(Class(name="a", arrivals=Closed(3), jobs=9, phases=(Compute("1ms"),)),))
"""


def test_it_is_elsewhere(elsewhere) -> None:  # type: ignore[no-untyped-def]
    assert "darwin False" in elsewhere(
        "import os, sys; print(sys.platform, hasattr(os, 'sched_getaffinity'))"
    )
    elsewhere("open('/proc/self/status')", code_wanted=1)


def test_simulations_in_c_and_in_python(elsewhere) -> None:  # type: ignore[no-untyped-def]
    code = f"""{WORK}
import labkit
class Mine:
    def __init__(self): self.queue = []
    def ready(self, thread, why): self.queue.append(thread)
    def next(self, server): return self.queue.pop(0) if self.queue else None
fifo, mine = labkit.simulate("fifo", work), labkit.simulate(Mine, work)
assert fifo.events.equals(mine.events) and fifo.events.height
print(fifo.table().height)
"""
    assert int(elsewhere(code)) > 0


@pytest.mark.long
def test_policies_on_the_command_line(elsewhere, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert "least attained service" in elsewhere(CLI, "policy", "list")
    assert "quantum_us" in elsewhere(CLI, "policy", "show", "las")
    source = Path(__file__).parents[2] / "kernel" / "sched" / "policies" / "fifo.c"
    mine = tmp_path / "mine.c"
    mine.write_text(source.read_text().replace("UMCG_POLICY(fifo", "UMCG_POLICY(mine"))
    assert "wrote" in elsewhere(CLI, "policy", "build", str(mine))
    assert "goes wrong" not in elsewhere(CLI, "policy", "show", str(tmp_path / "mine.so"))


def test_a_sweep(elsewhere, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code = f"""{WORK}
import json
from labkit.workload import to_dict
print(json.dumps(to_dict(work)))
"""
    (tmp_path / "work.json").write_text(elsewhere(code), encoding="utf-8")
    words = ("sweep", "work.json", "--policy", "fifo", "--seeds", "2", "--output", "out.parquet")
    elsewhere(CLI, *words)
    assert (tmp_path / "out.parquet").exists()


def test_what_needs_linux_says_so(elsewhere) -> None:  # type: ignore[no-untyped-def]
    said = elsewhere("import labkit; labkit.block(works=('sleep',))", code_wanted=1)
    assert "engine is not built" in said
