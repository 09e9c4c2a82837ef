# SPDX-License-Identifier: MIT
"""Both ends of a session, host's and guest's, with a socket in the place of the machine."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labkit.vm import agent
from labkit.vm.errors import VmError
from labkit.vm.session import Session


class Machine:
    """What a session asks of its machine; the agent is a child of this process."""

    accelerator = "none"

    def __init__(self, *, agent_runs: bool = True) -> None:
        self.options: Any = SimpleNamespace(
            boot_timeout_s=60.0, hang_timeout_s=60.0, memory_mib=1000
        )
        self.connection, self.end = socket.socketpair()
        self.pid = 0
        if not agent_runs:
            return
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.connection.close()
                os.set_blocking(self.end.fileno(), False)
                agent.Agent(self.end.fileno()).run()
            finally:
                os._exit(0)
        self.end.close()

    def close(self) -> None:
        self.connection.close()
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        else:
            self.end.close()

    def forward(self) -> None:
        """It has no ports."""

    def settle(self) -> None:
        """It has nothing to wait for."""

    def trouble(self) -> list[str]:
        return []

    killed = last_lines = places = trouble


class Output:
    """A pipe for a session to write to, and what came out of it."""

    def __init__(self, read_from: Callable[[], bool] = lambda: True) -> None:
        self._read, self.write = os.pipe()
        self.data = b""
        self._thread = threading.Thread(target=self._collect, args=(read_from,), daemon=True)
        self._thread.start()

    def _collect(self, read_from: Callable[[], bool]) -> None:
        while not read_from():
            time.sleep(0.05)
        while data := os.read(self._read, 1 << 16):
            self.data += data
        os.close(self._read)

    def until(self, text: bytes) -> None:
        while text not in self.data:
            time.sleep(0.01)

    def end(self) -> bytes:
        os.close(self.write)
        self._thread.join()
        return self.data


@pytest.fixture
def machine() -> Iterator[Machine]:
    made = Machine()
    yield made
    made.close()


def session(
    machine: Machine, script: str, stdin: int, output: Output, *, patient: bool = True
) -> Session:
    return Session(
        machine,  # type: ignore[arg-type]
        ["sh", "-c", script],
        env=dict(os.environ),
        cwd="/",
        files=(stdin, output.write, output.write),
        patient=patient,
    )


def meanwhile(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def test_windows_and_signals_between_a_big_input_from_a_file(
    machine: Machine, tmp_path: Path
) -> None:
    """Frames of one writer are whole, however the stream is cut."""
    data = os.urandom(24_000_000)
    (tmp_path / "big").write_bytes(data)
    output = Output()
    over = threading.Event()

    def disturb() -> None:
        output.until(b"ready")
        while not over.wait(0.001):
            os.kill(os.getpid(), signal.SIGWINCH)
            os.kill(os.getpid(), signal.SIGUSR1)

    old = signal.signal(signal.SIGUSR1, lambda number, where: None)  # those that come too late
    disturber = meanwhile(disturb)
    stdin = os.open(tmp_path / "big", os.O_RDONLY)
    script = "trap : USR1; echo ready; (trap '' USR1; exec sha256sum)"
    try:
        assert session(machine, script, stdin, output).run() == 0
    finally:
        over.set()
        disturber.join()
        signal.signal(signal.SIGUSR1, old)
        os.close(stdin)
    assert output.end().split()[1].decode() == hashlib.sha256(data).hexdigest()


@pytest.mark.slow
def test_a_signal_that_comes_together_with_output(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes the output looks for signals, too, and takes it first."""
    output = Output()
    stdin, more = os.pipe()
    # It goes on until its output has arrived: its end must not come together with it.
    asked = session(machine, "trap '' USR1; echo said; cat", stdin, output)
    wait, came = asked._wait, []

    def end() -> None:
        output.until(b"said")
        os.close(more)

    def both() -> list[object]:
        if asked.started:
            select.select([machine.connection], [], [], 60)
            os.kill(os.getpid(), signal.SIGUSR1)
        ready = wait()
        came.append(machine.connection in ready and asked._woken in ready)
        return ready

    monkeypatch.setattr(asked, "_wait", both)
    ender = meanwhile(end)
    try:
        assert asked.run() == 0
    finally:
        ender.join()
        os.close(stdin)
    assert any(came)
    assert output.end() == b"said\n"


def sparse(path: Path) -> int:
    """A file of 8 GB, of which nothing is on the disk."""
    with open(path, "wb") as file:
        file.truncate(8 << 30)
    return os.open(path, os.O_RDONLY)


def test_input_that_nobody_reads_stays_where_it_is_and_control_c_comes_through(
    machine: Machine, tmp_path: Path
) -> None:
    stdin, output = sparse(tmp_path / "big"), Output()
    read: list[int] = []

    def interrupt() -> None:
        output.until(b"ready")
        while (at := os.lseek(stdin, 0, os.SEEK_CUR)) < agent.HIGH_WATER:
            time.sleep(0.01)
        time.sleep(0.5)  # for more than may be
        read.extend([at, os.lseek(stdin, 0, os.SEEK_CUR)])
        os.kill(os.getpid(), signal.SIGINT)

    thread = meanwhile(interrupt)
    code = session(machine, "echo ready; exec sleep 1000", stdin, output).run()
    thread.join()
    os.close(stdin)
    output.end()
    assert code == 128 + signal.SIGINT
    # What the command's pipe holds is with the command.
    assert agent.HIGH_WATER <= read[-1] <= agent.HIGH_WATER + (1 << 16)


def test_a_command_that_closes_its_input_is_not_waited_for(
    machine: Machine, tmp_path: Path
) -> None:
    data = bytes(20_000_000)
    (tmp_path / "big").write_bytes(data)
    stdin, output = os.open(tmp_path / "big", os.O_RDONLY), Output()
    try:
        # It ends when all input has gone somewhere: at the file's end.
        script = f"exec <&-; while [ $(cat {tmp_path}/at) -lt {len(data)} ]; do sleep 0.05; done"
        (tmp_path / "at").write_text("0", encoding="ascii")
        over = threading.Event()

        def tell() -> None:
            while not over.wait(0.01):
                at = str(os.lseek(stdin, 0, os.SEEK_CUR))
                (tmp_path / "new").write_text(at, encoding="ascii")
                os.replace(tmp_path / "new", tmp_path / "at")

        thread = meanwhile(tell)
        assert session(machine, script, stdin, output).run() == 0
        over.set()
        thread.join()
    finally:
        os.close(stdin)
        output.end()


@pytest.mark.slow
def test_who_reads_the_output_slowly_has_no_hanging_guest(machine: Machine) -> None:
    machine.options.hang_timeout_s = 3.0
    begin = time.monotonic()
    output = Output(lambda: time.monotonic() - begin > 6.0)
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        assert session(machine, "head -c 3000000 /dev/zero", null, output).run() == 0
    finally:
        os.close(null)
    assert len(output.end()) == 3_000_000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_command_whose_output_nobody_reads(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It comes through to the command, and then nothing is waited for but for some seconds."""
    monkeypatch.setattr("labkit.vm.session.GRACE_S", 0.5)
    told = tmp_path / "told"
    output, over = Output(told.exists), threading.Event()

    def interrupt() -> None:
        poll = select.poll()
        poll.register(output.write, select.POLLOUT)
        while poll.poll(0):  # until the pipe is full
            time.sleep(0.01)
        os.kill(os.getpid(), number)
        assert over.wait(300)
        told.touch()  # now it is read

    thread = meanwhile(interrupt)
    null = os.open(os.devnull, os.O_RDONLY)
    heard = tmp_path / "heard"
    script = f"trap 'touch {heard}; exit' INT TERM; head -c 300000 /dev/zero; while :; do :; done"
    try:
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
            session(machine, script, null, output, patient=False).run()
    finally:
        over.set()
        os.close(null)
        thread.join()
        output.end()
    while not heard.exists():
        time.sleep(0.01)


def test_a_guest_that_takes_nothing_hangs(tmp_path: Path) -> None:
    """And does not hang its host, which has more to send than the socket holds."""
    machine = Machine(agent_runs=False)
    machine.options.hang_timeout_s = 1.0
    machine.end.sendall(agent.frame(b"H", b"6.1"))
    stdin, output = sparse(tmp_path / "big"), Output()
    try:
        with pytest.raises(VmError, match="hangs"):
            session(machine, "true", stdin, output).run()
    finally:
        machine.close()
        os.close(stdin)
        output.end()


def test_what_a_command_leaves_running_is_not_read_for_ever(machine: Machine) -> None:
    null, output = os.open(os.devnull, os.O_RDONLY), Output()
    try:
        script = "echo $$; exec 3>&1; setsid sh -c 'echo $$ >&3; exec yes' & sleep 0.5"
        assert session(machine, script, null, output).run() == 0
    finally:
        os.close(null)
        data = output.end()
        os.kill(int(data.split()[1]), signal.SIGKILL)
    assert b"y\ny\n" in data
