# SPDX-License-Identifier: MIT
"""Run cells in a process that is ended in time, with everything that it has started.

The limit does not depend on how busy or how fast the machine is: the caller makes it of what the
master's own solution needs here, and time in which the process waited for a CPU is not counted.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37

#: Seconds between two looks at a process.
_LOOK_S = 0.05


@dataclass
class Ran:
    """What became of the cells.

    Attributes:
        cells: name to `ok`, `error`, `undecided`, or `begin` for the one it ended in.
        why: name to the last line of its exception.
        end: how the process ended: `end`, `limit`, or a sentence about its death.
        seconds: its time, without what it waited for a CPU.
        said: the last of what it printed.
    """

    cells: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    end: str = ""
    seconds: float = 0.0
    said: str = ""


def run(cells: Sequence[tuple[str, str]], limit_s: float) -> Ran:
    """Run the cells one after the other in a process of their own, in a folder of its own.

    Args:
        cells: names and code.
        limit_s: the process is ended when its time reaches this.
    """
    ran = Ran()
    with (
        _adopting_orphans(),
        tempfile.TemporaryDirectory(prefix="labkit-grade-") as folder,
    ):
        out = Path(folder) / "said"
        work = Path(folder) / "work"
        work.mkdir()
        hear, tell = os.pipe()
        before = _children()
        with out.open("wb") as said:
            child = subprocess.Popen(
                [sys.executable, "-m", "labkit.grading.child", str(tell)],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                cwd=work,
                env=_environment(folder),
                pass_fds=(tell,),
                start_new_session=True,
            )
        os.close(tell)
        try:
            _feed(child, cells)
            _watch(child, hear, limit_s, ran)
        finally:
            os.close(hear)
            _end(child, before)
        ran.said = out.read_bytes()[-4000:].decode(errors="replace")
    if not ran.end:
        ran.end = _death(child.returncode)
    return ran


def _environment(folder: str) -> dict[str, str]:
    """Nothing of an earlier submission, nor of the teacher's own files, is found by this one."""
    own = dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "IPYTHONDIR"), folder)
    return {**os.environ, **own, "TMPDIR": folder, "MPLBACKEND": "Agg", "PYTHONSAFEPATH": "1"}


def _feed(child: subprocess.Popen[bytes], cells: Sequence[tuple[str, str]]) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(list(cells)).encode())
        child.stdin.close()
    except BrokenPipeError:  # it has ended already; `_watch` sees that
        pass


def _watch(child: subprocess.Popen[bytes], hear: int, limit_s: float, ran: Ran) -> None:
    """Take what it tells until it has ended or its time is over."""
    began, data, delay = time.monotonic(), b"", 0.0
    while True:
        ready, _, _ = select.select([hear], [], [], _LOOK_S)
        more = os.read(hear, 65536) if ready else b""
        data += more
        *lines, data = data.split(b"\n")
        for line in lines:
            _take(line, ran)
        delay = _waited(child.pid, delay)
        ran.seconds = time.monotonic() - began - delay
        if ran.end:
            return
        if ready and not more:  # its end of the pipe is closed
            child.wait()
            return
        if child.poll() is not None and not ready:
            return
        if ran.seconds > limit_s:
            ran.end = "limit"
            return


def _take(line: bytes, ran: Ran) -> None:
    try:
        said = json.loads(line)
        name, word, why = str(said["cell"]), str(said["is"]), str(said.get("why", ""))
    except (ValueError, KeyError, TypeError):  # a submission that writes here tells nothing
        return
    if word == "end":
        ran.end = "end"
        return
    ran.cells[name] = word
    if why:
        ran.why[name] = why


def _waited(pid: int, before: float) -> float:
    """Seconds that its main thread was ready and had no CPU."""
    try:
        text = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii")
        return int(text.split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return before


def _death(code: int | None) -> str:
    if code is not None and code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended itself with code {code}"


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    """In here a process that loses its parent becomes our child, so that none is left.

    Not longer: what others of this process start would come to us, and would not be waited for.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    before = ctypes.c_int()
    prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


def _children() -> set[int]:
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            found |= {int(pid) for pid in path.read_text(encoding="ascii").split()}
        except OSError:  # the thread has ended
            continue
    return found


def _end(child: subprocess.Popen[bytes], before: set[int]) -> None:
    """End the process and all that it has started, also those that have left its group."""
    _kill(child.pid, group=True)
    child.wait()
    # Each that ends may leave children, which become ours.
    while left := _children() - before - {child.pid}:
        for pid in left:
            _kill(pid)
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                continue


def _kill(pid: int, *, group: bool = False) -> None:
    try:
        (os.killpg if group else os.kill)(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
