# SPDX-License-Identifier: MIT
"""redis with threads for its I/O, and its own benchmark."""

from __future__ import annotations

import csv

from labkit.programs.install import find
from labkit.programs.server import Sample, Server

#: Threads that read and write beside the main one, and wait for each other in loops: no more than
#: two CPUs have room for; connections; requests of each kind.
IO_THREADS, CONNECTIONS, REQUESTS = 1, 16, 800


class Redis(Server):
    """redis that keeps nothing on disk. See `Server`."""

    name = "redis"

    def command(self) -> list[str]:
        """See `Server`."""
        return [
            find("redis-server"),
            *("--port", "0", "--unixsocket", self.socket, "--dir", str(self.folder)),
            *("--save", "", "--appendonly", "no"),
            *("--io-threads", str(IO_THREADS + 1), "--io-threads-do-reads", "yes"),
        ]

    def work(self, seconds: float) -> list[Sample]:
        """`REQUESTS` of SET and of GET; the time is the work's own."""
        del seconds
        said = self.client(
            [
                "redis-benchmark",
                *("-s", self.socket, "-c", str(CONNECTIONS), "-n", str(REQUESTS)),
                *("-t", "set,get", "--csv"),
            ]
        )
        found: list[Sample] = []
        for row in csv.DictReader(said.splitlines()):
            name = row["test"].lower()
            found.append((name, float(row["rps"]), "op/s", REQUESTS))
            found.append((f"{name}/p99", float(row["p99_latency_ms"]) * 1e6, "ns", REQUESTS))
        return found
