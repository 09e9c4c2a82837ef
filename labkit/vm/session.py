# SPDX-License-Identifier: MIT
"""One command in a guest, with its files and signals as if it ran here."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import selectors
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType

from labkit.vm import agent
from labkit.vm.errors import VmError
from labkit.vm.qemu import Machine

_FORWARDED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)

#: After SIGTERM or SIGHUP the command has this long to end before its machine is ended; and after
#: SIGINT whoever should read its output, to read on.
GRACE_S = 10.0


class Session:
    """Relays between this process' files (0, 1, 2 unless others are given) and the guest.

    A third SIGINT, or one during the boot, ends the machine: somebody at a terminal is in a hurry.
    A `patient` session only hands them to the command. When `owner`, a descriptor of a process
    (`os.pidfd_open`), becomes readable, the session ends.
    """

    def __init__(
        self,
        guest: Machine,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str,
        files: tuple[int, int, int] = (0, 1, 2),
        say: Callable[[str], None] = lambda text: None,
        patient: bool = False,
        owner: int | None = None,
    ) -> None:
        self._guest = guest
        self._argv = list(argv)
        self._env = dict(env)
        self._cwd = cwd
        self._files = files
        self._say = say
        self._frames = agent.Frames()
        self._selector = selectors.DefaultSelector()
        self._patient = patient
        self._owner = owner
        self._interrupts = 0
        self._end_by: float | None = None
        self._failure: str | None = None
        self._woken: int | None = None
        # Nobody else writes to the guest: frames of two writers would mix.
        self._out = bytearray()
        self._may_send = agent.HIGH_WATER
        self._input_open = False
        self.started = False
        self.kernel = ""

    def _send(self, kind: bytes, payload: bytes = b"") -> None:
        self._out += agent.frame(kind, payload)

    def _flush(self) -> None:
        """Give the guest what it takes now."""
        with contextlib.suppress(BlockingIOError, ConnectionError):  # `_receive` says why
            while self._out:
                del self._out[: self._guest.connection.send(self._out)]

    def _wait(self) -> list[object]:
        """What can be read, after a second at the latest, or when the guest takes more."""
        connection, stdin = self._guest.connection, self._files[0]
        more = selectors.EVENT_WRITE if self._out else 0
        self._selector.modify(connection, selectors.EVENT_READ | more)
        watched = always_ready = False
        if self._input_open and self._may_send > 0:
            try:
                self._selector.register(stdin, selectors.EVENT_READ)
                watched = True
            except OSError:  # a regular file, for which epoll has no use, or no stdin at all
                always_ready = True
        events = self._selector.select(0 if always_ready else 1.0)
        if watched:
            self._selector.unregister(stdin)
        ready: list[object] = [key.fileobj for key, what in events if what & selectors.EVENT_READ]
        return [*ready, stdin] if always_ready else ready

    def run(self) -> int:
        """Run the command; its exit code as a shell sees it (128 + n when signal n ended it).

        Raises:
            VmError: the guest did not boot, hung, panicked or ran out of memory.
            OSError: one of our own files failed (EPIPE: nobody reads the output).
        """
        alive = time.monotonic()
        with _signals() as woken, _raw_mode(self._files[0]) as raw:
            self._raw, self._woken = raw, woken
            self._guest.connection.setblocking(False)
            self._selector.register(self._guest.connection, selectors.EVENT_READ)
            if woken is not None:
                self._selector.register(woken, selectors.EVENT_READ)
            if self._owner is not None:
                self._selector.register(self._owner, selectors.EVENT_READ)
            while True:
                for ready in self._wait():
                    if ready is self._guest.connection:
                        for kind, payload in self._frames.feed(self._receive()):
                            if kind == b"D":
                                return self._done(int(payload))
                            self._handle(kind, payload)
                        # Not before: a reader of our output may take hours.
                        alive = time.monotonic()
                    elif ready == woken:
                        for number in self._came():
                            self._signal(number)
                    elif ready == self._owner:
                        raise SystemExit(128 + signal.SIGHUP)
                    else:
                        self._input()
                self._flush()
                self._check(alive)

    def _came(self) -> bytes:
        """Numbers of the signals that came; none if `_write` has had them since they were seen."""
        assert self._woken is not None
        try:
            return os.read(self._woken, 64)
        except BlockingIOError:
            return b""

    def _receive(self) -> bytes:
        try:
            data = self._guest.connection.recv(1 << 16)
        except ConnectionError:
            data = b""
        if data:
            return data
        self._guest.settle()
        raise VmError(_why_it_ended(self._guest), self._guest.last_lines())

    def _handle(self, kind: bytes, payload: bytes) -> None:
        if kind == b"H" and not self.started:
            self.kernel = payload.decode()
            self._guest.forward()
            self._start()
        elif kind == b"O":
            self._write(self._files[1], payload)
        elif kind == b"R":
            self._write(self._files[2], payload)
        elif kind == b"A":
            self._may_send += int(payload)
        elif kind == b"F":
            number, text = json.loads(payload)
            what = "no such command" if number == errno.ENOENT else text
            self._failure = f"{self._argv[0]}: {what}"

    def _write(self, fd: int, data: bytes) -> None:
        """Give the output to its reader, who may take hours; signals come through meanwhile."""
        view = memoryview(data)
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        if self._woken is not None:
            poll.register(self._woken, select.POLLIN)
        end_by: float | None = None
        while view:
            ready = [number for number, _ in poll.poll(1000)]
            if self._woken in ready:
                for number in self._came():
                    self._signal(number)
                    if number == signal.SIGINT and not self._patient and end_by is None:
                        end_by = time.monotonic() + GRACE_S
                self._flush()
            if fd in ready:
                # No more than a pipe takes that says it takes some.
                view = view[os.write(fd, view[: select.PIPE_BUF]) :]
                end_by = end_by and time.monotonic() + GRACE_S
            elif end_by is not None and time.monotonic() > end_by:
                raise KeyboardInterrupt
            self._check_end()

    def _start(self) -> None:
        self.started = True
        self._say("")
        terminals = [os.isatty(fd) for fd in self._files]
        rows, cols = _size(self._files)
        start = {
            "argv": self._argv,
            "env": self._env,
            "cwd": self._cwd,
            "tty": terminals,
            "rows": rows,
            "cols": cols,
        }
        self._send(b"S", json.dumps(start).encode())
        if terminals[0] and terminals[1]:
            self._raw()
        self._input_open = True

    def _input(self) -> None:
        try:
            data = os.read(self._files[0], min(self._may_send, 1 << 14))
        except OSError:
            data = b""
        if data:
            self._may_send -= len(data)
            self._send(b"I", data)
        else:
            self._input_open = False
            self._send(b"E")

    def _signal(self, number: int) -> None:
        if number == signal.SIGWINCH:
            if self.started:
                self._send(b"W", json.dumps(_size(self._files)).encode())
            return
        if number not in _FORWARDED:
            return
        if number == signal.SIGINT and not self._patient:
            self._interrupts += 1
        elif number == signal.SIGINT and not self.started:
            return
        if not self.started or self._interrupts >= 3:
            raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)
        if number in (signal.SIGTERM, signal.SIGHUP) and self._end_by is None:
            self._end_by = time.monotonic() + GRACE_S
        self._send(b"G", str(int(number)).encode())

    def _check(self, alive: float) -> None:
        silent = time.monotonic() - alive
        options = self._guest.options
        if not self.started and silent > options.boot_timeout_s:
            raise VmError(
                f"the guest did not boot in {options.boot_timeout_s:.0f} s "
                f"({self._guest.accelerator})",
                self._guest.last_lines(),
            )
        if self.started and silent > options.hang_timeout_s:
            raise VmError(
                f"the guest hangs: no sign of life for {silent:.0f} s",
                [*self._guest.last_lines(), *self._guest.places()],
            )
        self._check_end()

    def _check_end(self) -> None:
        if self._end_by is not None and time.monotonic() > self._end_by:
            raise SystemExit(128 + signal.SIGTERM)

    def _done(self, code: int) -> int:
        if self._failure:
            self._write(self._files[2], f"labkit vm: {self._failure}\n".encode())
        if code == 128 + signal.SIGKILL:
            for line in self._guest.killed()[-1:]:
                self._write(self._files[2], f"labkit vm: the kernel says: {line}\n".encode())
        trouble = self._guest.trouble()
        if code == 128 + signal.SIGKILL and any("Out of memory" in line for line in trouble):
            raise VmError(
                f"the guest ran out of memory ({self._guest.options.memory_mib} MiB) and its "
                "kernel killed the command; give it more with --memory",
                trouble[-15:],
            )
        return code


def _why_it_ended(guest: Machine) -> str:
    if any("Kernel panic" in line for line in guest.trouble()):
        return "the guest's kernel panicked"
    return "the guest ended before the command did"


def _size(files: tuple[int, int, int]) -> tuple[int, int]:
    for fd in files:
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(fd)
            return size.lines, size.columns
    return 24, 80


@contextlib.contextmanager
def _signals() -> Iterator[int | None]:
    """A descriptor from which signal numbers are read; None outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    old_fd = signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def nothing(number: int, where: FrameType | None) -> None:
        """The number arrives through the descriptor."""

    old = {number: signal.signal(number, nothing) for number in (*_FORWARDED, signal.SIGWINCH)}
    try:
        yield read
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(old_fd)
        os.close(read)
        os.close(write)


@contextlib.contextmanager
def _raw_mode(fd: int) -> Iterator[Callable[[], None]]:
    """Yield what switches terminal `fd` to raw mode; it is put back on the way out."""
    saved: list[list[object]] = []

    def raw() -> None:
        saved.append(termios.tcgetattr(fd))
        tty.setraw(fd)

    try:
        yield raw
    finally:
        if saved:
            sys.stdout.flush()
            termios.tcsetattr(fd, termios.TCSADRAIN, saved[0])  # type: ignore[arg-type]
