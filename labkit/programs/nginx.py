# SPDX-License-Identifier: MIT
"""nginx that reads its files in a pool of threads, and Apache's `ab` that asks for them."""

from __future__ import annotations

from labkit.programs.install import ProgramsError, find
from labkit.programs.server import Sample, Server, free_port

#: Threads of the pool; files, and bytes of each; connections of the client, and its requests.
THREADS, FILES, SIZE, CONNECTIONS, REQUESTS = 4, 4, 300_000, 8, 400


class Nginx(Server):
    """nginx with one worker process, on a Unix socket and a port of the loopback. See `Server`."""

    name = "nginx"
    port = 0

    def command(self) -> list[str]:
        """See `Server`."""
        self.port = free_port()
        (self.folder / "html").mkdir()
        for number in range(FILES):
            (self.folder / "html" / str(number)).write_bytes(bytes([number]) * SIZE)
        temporary = "".join(
            f"{kind}_temp_path temp-{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (self.folder / "conf").write_text(
            "daemon off; user root; pid pid; worker_processes 1; error_log log;\n"
            f"thread_pool default threads={THREADS};\n"
            "events { worker_connections 64; }\n"
            "http { access_log off; aio threads; sendfile off; directio off;\n"
            f"{temporary}"
            f"server {{ listen unix:{self.socket}; listen 127.0.0.1:{self.port};"
            f" root {self.folder}/html; }} }}\n",
            encoding="utf-8",
        )
        return [find("nginx"), "-p", str(self.folder), "-c", str(self.folder / "conf")]

    def work(self, seconds: float) -> list[Sample]:
        """`REQUESTS` for a file; the time is the work's own."""
        del seconds
        table = self.folder / "percentiles.csv"
        said = self.client(
            [
                "ab",
                *("-q", "-k", "-n", str(REQUESTS), "-c", str(CONNECTIONS), "-e", str(table)),
                f"http://127.0.0.1:{self.port}/0",
            ]
        )
        rate = [line.split()[3] for line in said.splitlines() if line.startswith("Requests per s")]
        failed = [line.split()[2] for line in said.splitlines() if line.startswith("Failed req")]
        if not rate or failed != ["0"]:
            raise ProgramsError(f"ab printed no rate, or requests failed: {said[-800:]}")
        rows = [line.split(",") for line in table.read_text(encoding="utf-8").splitlines()[1:]]
        p99 = next(float(ms) for percent, ms in rows if percent == "99")
        return [
            ("get", float(rate[0]), "op/s", REQUESTS),
            ("get/p99", p99 * 1e6, "ns", REQUESTS),
        ]
