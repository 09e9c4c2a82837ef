# SPDX-License-Identifier: MIT
"""The wire format between host and guest, and the agent itself over a local socket."""

import json
import os
import signal
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.vm import agent


@given(
    st.lists(st.tuples(st.binary(min_size=1, max_size=1), st.binary(max_size=60))),
    st.integers(1, 64),
)
def test_frames_survive_any_cutting(frames, size):
    stream = b"".join(agent.frame(kind, payload) for kind, payload in frames)
    cutter = agent.Frames()
    got = []
    for start in range(0, len(stream), size):
        got += cutter.feed(stream[start : start + size])
    assert got == frames


class Guest:
    """An agent in a child process of this one, at the other end of a socket."""

    def __init__(self, argv, tty=(False, False, False), env=None, cwd="/"):
        self.socket, end = socket.socketpair()
        self.socket.settimeout(300)
        self.pid = os.fork()
        if self.pid == 0:
            self.socket.close()
            os.set_blocking(end.fileno(), False)
            try:
                agent.Agent(end.fileno()).run()
            finally:
                os._exit(0)
        end.close()
        self.frames = agent.Frames()
        self.out = {b"O": b"", b"R": b"", b"F": b""}
        start = {
            "argv": argv,
            "env": env or dict(os.environ),
            "cwd": cwd,
            "tty": list(tty),
            "rows": 30,
            "cols": 100,
        }
        self.send(b"S", json.dumps(start).encode())

    def send(self, kind, payload=b""):
        self.socket.sendall(agent.frame(kind, payload))

    def until(self, ready):
        """Read until `ready()` or the command's end; the exit code or None."""
        while not ready():
            for kind, payload in self.frames.feed(self.socket.recv(1 << 16)):
                if kind in self.out:
                    self.out[kind] += payload
                if kind == b"D":
                    os.waitpid(self.pid, 0)
                    return int(payload)
        return None

    def end(self):
        return self.until(lambda: False)


def test_outputs_are_apart_and_the_code_arrives():
    guest = Guest(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert guest.end() == 7
    assert guest.out[b"O"] == b"out\n"
    assert guest.out[b"R"] == b"err\n"


def test_input_and_its_end():
    guest = Guest(["cat"])
    data = os.urandom(300_000)
    sender = threading.Thread(target=lambda: (guest.send(b"I", data), guest.send(b"E")))
    sender.start()
    assert guest.end() == 0
    sender.join()
    assert guest.out[b"O"] == data


#: No child that the shell could wait for: a signal may come before it has made one.
READY = "echo ready; exec sleep 100"


def test_a_signal_ends_the_command_as_a_shell_sees_it():
    guest = Guest(["sh", "-c", READY])
    guest.until(lambda: guest.out[b"O"])
    guest.send(b"G", str(int(signal.SIGTERM)).encode())
    assert guest.end() == 128 + signal.SIGTERM


def test_a_terminal_is_a_terminal():
    guest = Guest(["sh", "-c", "test -t 0 && test -t 1 && stty size"], tty=(True, True, True))
    assert guest.end() == 0
    assert guest.out[b"O"] == b"30 100\r\n"


def test_control_c_on_a_terminal_interrupts():
    guest = Guest(["sh", "-c", READY], tty=(True, True, True))
    guest.until(lambda: guest.out[b"O"])
    guest.send(b"I", b"\x03")
    assert guest.end() == 128 + signal.SIGINT


@pytest.mark.parametrize(("argv", "code"), [(["/no/such/command"], 127), (["/etc/passwd"], 126)])
def test_what_cannot_start_says_why(argv, code):
    guest = Guest(argv)
    assert guest.end() == code
    assert json.loads(guest.out[b"F"])[1]


def test_a_command_that_leaves_a_child_behind_ends_all_the_same():
    guest = Guest(["sh", "-c", "sleep 20 & echo done"])
    assert guest.end() == 0
    assert guest.out[b"O"] == b"done\n"
