# SPDX-License-Identifier: MIT
"""memcached, and memcslap that puts values in and asks for them."""

from __future__ import annotations

import socket
import time

from labkit.programs.install import find
from labkit.programs.server import Sample, Server, free_port

#: Threads of the server, connections of the client, and how often each connection asks.
THREADS, CONNECTIONS, EACH = 4, 8, 300


class Memcached(Server):
    """memcached on a TCP port of the loopback that no other program has. See `Server`."""

    name = "memcached"
    port = 0

    def command(self) -> list[str]:
        """See `Server`."""
        self.port = free_port()
        return [
            find("memcached"),
            *("-u", "root", "-l", "127.0.0.1", "-p", str(self.port), "-U", "0"),
            *("-t", str(THREADS), "-m", "16"),
        ]

    def ready(self) -> bool:
        """It takes connections."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def work(self, seconds: float) -> list[Sample]:
        """`EACH` requests of every connection; the rate has the client's start in it."""
        del seconds
        began = time.monotonic()
        self.client(
            [
                "memcslap",
                f"--servers=127.0.0.1:{self.port}",
                f"--concurrency={CONNECTIONS}",
                f"--execute-number={EACH}",
                "--initial-load=200",
                "--test=get",
            ]
        )
        done = CONNECTIONS * EACH
        return [("get", done / (time.monotonic() - began), "op/s", done)]
