# SPDX-License-Identifier: MIT
"""A server in a temporary folder: started, waited for, ended, and nothing of it left."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from labkit.programs.install import ProgramsError, environment, find

#: Where data are: in memory, so that no disk is measured and a microVM has sockets there.
FOLDER = "/dev/shm" if os.path.isdir("/dev/shm") else None

#: What a client measured: name, value, unit, operations that the value is made of.
Sample = tuple[str, float, str, int]

#: Seconds that a server has to be there, to end by itself, and between two looks.
START_S, STOP_S, LOOK_S = 120.0, 60.0, 0.05


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_client(client: subprocess.Popen[str]) -> None:
    if client.poll() is None:
        client.kill()
        client.wait()


class Server:
    """A server with data of its own, over a Unix socket. A context manager.

    On the way out, by success, by an error or by Ctrl-C, the server is asked to end, killed if it
    does not, and its folder is removed. If this process is killed, the kernel kills the server.

    Args:
        wrapper: words put before the server's own, such as `("umcg-run", "-plas")`.

    Attributes:
        folder: its data, its socket, and `log`, what it said.
        status: its exit status after the end; None before.
    """

    #: How it is called.
    name = "server"

    def __init__(self, wrapper: Sequence[str] = ()) -> None:
        self.wrapper = tuple(wrapper)
        self.folder = Path()
        self.status: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> str:
        """The path of its Unix socket."""
        return str(self.folder / "socket")

    @property
    def pid(self) -> int:
        """Of what was started: the wrapper's, if that stays."""
        assert self._process is not None
        return self._process.pid

    def command(self) -> list[str]:
        """What is started."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Does it answer?"""
        return Path(self.socket).exists()

    def prepare(self) -> None:
        """Once it answers: what clients expect to find."""

    def work(self, seconds: float) -> list[Sample]:
        """Let its clients work, for about so long where they can be told; what they measured."""
        raise NotImplementedError

    def said(self) -> str:
        """Its own messages."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix=f"labkit-{self.name}-", dir=FOLDER))
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._end()

    def client(self, argv: Sequence[str]) -> str:
        """Run a client against it; what it printed. See `clients`."""
        return self.clients(argv)[0]

    def clients(self, *argvs: Sequence[str]) -> list[str]:
        """Run clients beside each other until all have ended; what each printed.

        Raises:
            ProgramsError: one failed, with what it and the server said.
        """
        with contextlib.ExitStack() as running:
            started = []
            for argv in argvs:
                client = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", find(argv[0]), *argv[1:]],
                    env=environment(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                running.callback(_end_client, client)
                started.append(client)
            said = [client.communicate()[0] for client in started]
        for argv, client, text in zip(argvs, started, said, strict=True):
            if client.returncode:
                raise ProgramsError(
                    f"{argv[0]} ended with {client.returncode}: {text[-800:]}\n"
                    f"{self.name} said: {self.said()[-800:]}"
                )
        return said

    def _start(self) -> None:
        with open(self.folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.wrapper, *self.command()],
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                # Ctrl-C is ours to pass on, when clients have ended.
                start_new_session=True,
            )
        until = time.monotonic() + START_S
        while not self.ready():
            if self._process.poll() is not None:
                raise ProgramsError(f"{self.name} has ended at once: {self.said()[-1500:]}")
            if time.monotonic() > until:
                raise ProgramsError(f"{self.name} does not answer: {self.said()[-1500:]}")
            time.sleep(LOOK_S)
        self.prepare()

    def stop(self) -> int:
        """End it as its manual says; its exit status, negative if a signal was it."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self.status = self._process.wait()
        return self.status

    def kill(self) -> None:
        """End all of it that is left."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _end(self) -> None:
        try:
            self.stop()
        finally:
            if self._process is not None:
                self.kill()
                self._process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)
