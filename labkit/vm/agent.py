# SPDX-License-Identifier: MIT
"""The end of `labkit vm exec` inside the guest: runs one command, relays its files and signals.

Runs as a script of its own (standard library only: a guest without KVM pays for every import) and
is imported by the host's end for the wire format: frames of one type byte, a little-endian u32
length and that many bytes, over one virtio serial port named `PORT`.

Host to guest:

- `S` start: JSON {argv, env, cwd, tty: [bool] * 3, rows, cols}; sent once
- `I` input for the command's stdin, `E` its end; never more than `HIGH_WATER` bytes of it that the
  guest has not acknowledged, so that what follows is never stuck behind what is not read
- `G` a signal number, decimal, for the command's process group
- `W` window size, JSON [rows, cols]

Guest to host:

- `H` hello, the kernel's release, sent when the network (if any) is up; `B` heartbeat, nothing
- `O` the command's stdout, `R` its stderr
- `A` acknowledges input, decimal: so many bytes of it are with the command, or thrown away
- `D` done, the exit code as a shell would see it (128 + n for signal n); the last frame
- `F` the command could not be started: JSON [errno, text]; followed by `D`
"""

import contextlib
import errno
import fcntl
import glob
import json
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Iterator
from typing import Any

PORT = "labkit"

#: Where QEMU's user network expects the guest.
ADDRESS = "10.0.2.15"
HEADER = struct.Struct("<cI")
HEARTBEAT_S = 2.0

#: So much may wait at most: output for the host, before more is read from the command, and input
#: for the command, before the host sends more.
HIGH_WATER = 1 << 18

#: What a pipe of the command may still hold when it has ended.
_LAST_WORDS = 1 << 20


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    """One frame of the wire format."""
    return HEADER.pack(kind, len(payload)) + payload


class Frames:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield every (type, payload) that is complete after `data` arrived."""
        self._buffer += data
        while len(self._buffer) >= HEADER.size:
            kind, length = HEADER.unpack_from(self._buffer)
            end = HEADER.size + length
            if len(self._buffer) < end:
                return
            payload = bytes(self._buffer[HEADER.size : end])
            del self._buffer[:end]
            yield kind, payload


def _open_port() -> int:
    # Without udev there is no /dev/virtio-ports/NAME; sysfs knows which port has the name.
    for name in glob.glob("/sys/class/virtio-ports/*/name"):
        with open(name, encoding="utf-8") as file:
            if file.read().strip() == PORT:
                return os.open("/dev/" + name.split("/")[-2], os.O_RDWR | os.O_NONBLOCK)
    raise SystemExit(f"no virtio serial port is called {PORT}")


def _network() -> None:
    """Give the network device, if there is one, its address."""
    if not os.path.exists("/sys/class/net/eth0"):
        return
    import socket

    siocgifflags, siocsifflags, siocsifaddr, siocsifnetmask = 0x8913, 0x8914, 0x8916, 0x891C
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for request, address in ((siocsifaddr, ADDRESS), (siocsifnetmask, "255.255.255.0")):
            inet = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(handle, request, struct.pack("16s16s", b"eth0", inet))
        asked = struct.pack("16sH14x", b"eth0", 0)
        flags = struct.unpack("16xH14x", fcntl.ioctl(handle, siocgifflags, asked))[0]
        up = 1
        fcntl.ioctl(handle, siocsifflags, struct.pack("16sH14x", b"eth0", flags | up))


class Command:
    """The command and this end of its three files."""

    def __init__(self, start: dict[str, Any]) -> None:
        tty = start["tty"]
        master = slave = -1
        if any(tty):
            master, slave = pty.openpty()
            _set_size(master, start["rows"], start["cols"])
        # inner: what the command gets as 0, 1, 2; outer: what we keep of it.
        inner, outer = [], []
        for fd in range(3):
            if tty[fd]:
                inner.append(slave)
                outer.append(master)
                continue
            read, write = os.pipe()
            inner.append(read if fd == 0 else write)
            outer.append(write if fd == 0 else read)
        failed_read, failed_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _become(start, inner, slave, failed_write)
        for fd in {*inner, failed_write}:
            os.close(fd)
        with os.fdopen(failed_read, "rb") as failed:
            self.failure = failed.read()
        self.stdin = outer[0]
        self.master = master
        # A terminal's output is one stream, whichever of 1 and 2 it came from.
        self.outputs = {outer[2]: b"R"} | {outer[1]: b"O"}
        for fd in {self.stdin, *self.outputs}:
            os.set_blocking(fd, False)
        self.pidfd = os.pidfd_open(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the command and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def exit_code(self) -> int:
        """Wait for its end; the code as a shell sees it."""
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return code if code >= 0 else 128 - code


def _set_size(fd: int, rows: int, cols: int) -> None:
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def _become(start: dict[str, Any], inner: list[int], slave: int, failed: int) -> None:
    """In the child: put the files in place and run the command; never returns."""
    try:
        os.setsid()
        if slave >= 0:
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(inner[fd], fd)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores these
            signal.signal(number, signal.SIG_DFL)
        os.chdir(start["cwd"])
        os.execvpe(start["argv"][0], start["argv"], start["env"])
    except OSError as error:
        text = error.strerror or str(error)
        os.write(failed, json.dumps([error.errno, text]).encode())
    finally:
        os._exit(127)


class Agent:
    """Everything between the port and one command."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.frames = Frames()
        self.out = bytearray()
        self.input = bytearray()
        self.input_ended = False
        self.command: Command | None = None

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        """Queue a frame for the host."""
        self.out += frame(kind, payload)

    def receive(self) -> None:
        """Do what the host says."""
        try:
            data = os.read(self.port, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            raise SystemExit("the host closed the connection")
        for kind, payload in self.frames.feed(data):
            if kind == b"S":
                self.start(json.loads(payload))
            elif kind == b"I":
                self.take_input(payload)
            elif kind == b"E":
                self.input_ended = True
            elif kind == b"G" and self.command:
                self.command.signal(int(payload))
            elif kind == b"W" and self.command and self.command.master >= 0:
                _set_size(self.command.master, *json.loads(payload))

    def start(self, start: dict[str, Any]) -> None:
        """Start the command."""
        self.command = Command(start)
        if self.command.failure:
            self.send(b"F", self.command.failure)

    def take_input(self, data: bytes) -> None:
        """Keep input for the command; without a stdin to give it to it is thrown away."""
        if self.command and self.command.stdin >= 0:
            self.input += data
        else:
            self.send(b"A", str(len(data)).encode())

    def feed_input(self) -> None:
        """Give the command what it takes of its input."""
        command = self.command
        assert command
        held = len(self.input)
        try:
            while self.input:
                del self.input[: os.write(command.stdin, self.input)]
        except BlockingIOError:
            pass
        except OSError:  # the command closed its stdin: what comes is thrown away
            self.input.clear()
            self.input_ended = True
        if taken := held - len(self.input):
            self.send(b"A", str(taken).encode())
        if self.input:
            return
        if self.input_ended and command.stdin != command.master and command.stdin >= 0:
            os.close(command.stdin)
            command.stdin = -1

    def take_output(self, fd: int) -> bool:
        """Move what the command wrote to the host; is there more to come?"""
        command = self.command
        assert command
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:  # EIO: the last one to hold the terminal closed it
                raise
            data = b""
        if not data:
            del command.outputs[fd]
            return False
        self.send(command.outputs[fd], data)
        return True

    def flush(self) -> None:
        """Give the host what it takes of the queue."""
        try:
            while self.out:
                del self.out[: os.write(self.port, self.out[: 1 << 16])]
        except BlockingIOError:
            pass

    def finish(self) -> None:
        """The command ended: send what it wrote last, and how it ended."""
        command = self.command
        assert command
        # What it left running may go on writing: not for ever.
        for fd in list(command.outputs):
            enough = len(self.out) + _LAST_WORDS
            while len(self.out) < enough and self.take_output(fd):
                pass
        code = command.exit_code()
        if command.failure:
            code = 127 if json.loads(command.failure)[0] == errno.ENOENT else 126
        os.sync()  # the host ends the machine as soon as it reads the next frame
        self.send(b"D", str(code).encode())
        os.set_blocking(self.port, True)
        self.flush()

    def run(self) -> None:
        """Serve until the command has ended."""
        self.send(b"H", os.uname().release.encode())
        beat = 0.0
        while True:
            if time.monotonic() - beat >= HEARTBEAT_S:
                beat = time.monotonic()
                self.send(b"B")
            command = self.command
            watched = {self.port: select.POLLIN | (select.POLLOUT if self.out else 0)}
            if command:
                watched[command.pidfd] = select.POLLIN
                if len(self.out) < HIGH_WATER:
                    watched |= dict.fromkeys(command.outputs, select.POLLIN)
                # A terminal has no end of input to announce: only data matters there.
                pipe_ended = self.input_ended and command.stdin != command.master
                if command.stdin >= 0 and (self.input or pipe_ended):
                    watched[command.stdin] = watched.get(command.stdin, 0) | select.POLLOUT
            poll = select.poll()
            for fd, events in watched.items():
                poll.register(fd, events)
            ready = dict(poll.poll(HEARTBEAT_S * 1000))
            if command:
                if ready.get(command.stdin, 0) & ~select.POLLIN:
                    self.feed_input()
                for fd in list(command.outputs):
                    if ready.get(fd, 0) & (select.POLLIN | select.POLLHUP):
                        self.take_output(fd)
                if command.pidfd in ready:
                    self.finish()
                    return
            if ready.get(self.port, 0) & (select.POLLIN | select.POLLHUP):
                self.receive()
            self.flush()


def main() -> None:
    """Serve one command, then leave the machine idle for the host to end it."""
    with contextlib.suppress(OSError):
        os.nice(-10)  # heartbeats come through when the command takes every CPU
    _network()
    agent = Agent(_open_port())
    agent.run()
    time.sleep(10)


if __name__ == "__main__":
    main()
