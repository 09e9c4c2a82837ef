# SPDX-License-Identifier: MIT
"""MariaDB, with what sysbench and the analytical scans find in it."""

from __future__ import annotations

import math
import re
from pathlib import Path

from labkit.programs.install import ProgramsError, find, folder
from labkit.programs.server import Sample, Server

#: Rows of the one table that point selects read and scans go through.
ROWS = 20_000

#: Connections that select points, connections that scan.
SELECTS, SCANS = 4, 4

#: What makes it small and independent of disks.
OPTIONS = (
    "--no-defaults",
    "--skip-grant-tables",
    "--skip-networking",
    "--skip-log-bin",
    "--performance-schema=0",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=8M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-use-native-aio=0",
    "--innodb-read-io-threads=2",
    "--innodb-write-io-threads=2",
    "--plugin-maturity=unknown",
)


def script(name: str) -> Path:
    """Where sysbench has its script `name`: unpacked, or this machine's own."""
    own = folder() / "usr" / "share" / "sysbench"
    return (own if own.exists() else Path("/usr/share/sysbench")) / name


class Mariadb(Server):
    """MariaDB with the table `sbtest1` of sysbench in memory. See `Server`."""

    name = "mariadb"

    def command(self) -> list[str]:
        """See `Server`."""
        data = self.folder / "data"
        data.mkdir(mode=0o700, exist_ok=True)
        own = folder() / "usr" / "share" / "mysql"
        messages = [f"--lc-messages-dir={own}", f"--character-sets-dir={own}/charsets"]
        return [
            find("mariadbd"),
            *OPTIONS,
            *(messages if own.exists() else []),
            "--user=root",
            f"--datadir={data}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder}/pid",
            f"--tmpdir={self.folder}",
        ]

    def sql(self, text: str) -> str:
        """What the server answers, a line a row, columns by tabs."""
        return self.client(
            [
                "mariadb",
                "--no-defaults",
                f"--socket={self.socket}",
                "-uroot",
                "-N",
                "-B",
                "-e",
                text,
            ]
        )

    def prepare(self) -> None:
        """The table, with the same rows each time."""
        self.sql(
            f"SET max_recursive_iterations = {ROWS}; CREATE DATABASE sbtest; USE sbtest;"
            "CREATE TABLE sbtest1 (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL,"
            " c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL, KEY k_1 (k)) ENGINE=InnoDB;"
            "INSERT INTO sbtest1 (k, c, pad)"
            f" SELECT seq * 7919 % {ROWS}, SHA2(seq, 256), MD5(seq)"
            f" FROM (WITH RECURSIVE s(seq) AS (SELECT 1 UNION ALL SELECT seq + 1 FROM s"
            f" WHERE seq < {ROWS}) SELECT seq FROM s) numbers;"
        )

    def sysbench(self, script: str, threads: int, seconds: float) -> list[str]:
        """The command of sysbench for one of its scripts; it knows whole seconds alone."""
        return [
            "sysbench",
            script,
            *("--db-driver=mysql", f"--mysql-socket={self.socket}", "--mysql-user=root"),
            *(
                f"--threads={threads}",
                f"--time={math.ceil(seconds)}",
                "--events=0",
                "--percentile=99",
            ),
            *(f"--table-size={ROWS}", "run"),
        ]

    def work(self, seconds: float) -> list[Sample]:
        """Point selects beside scans, both for so long."""
        scan = str(Path(__file__).with_name("scan.lua"))
        scans, selects = self.clients(
            self.sysbench(scan, SCANS, seconds),
            self.sysbench(str(script("oltp_point_select.lua")), SELECTS, seconds),
        )
        return [*samples("selects", selects), *samples("scans", scans)]


class MariadbWrites(Mariadb):
    """The same, with transactions that read and write. See `Server`."""

    name = "mariadb-writes"

    def work(self, seconds: float) -> list[Sample]:
        """sysbench's transactions, alone, for so long."""
        mixed = str(script("oltp_read_write.lua"))
        return samples("transactions", *self.clients(self.sysbench(mixed, SELECTS, seconds)))


def samples(name: str, said: str) -> list[Sample]:
    """Rate, 99th percentile and maximum out of what sysbench printed."""
    wanted = {
        "rate": r"transactions:\s+(\d+)\s+\(([\d.]+) per sec",
        "p99": r"99th percentile:\s+()([\d.]+)",
        "max": r"max:\s+()([\d.]+)",
    }
    found = {key: re.search(pattern, said) for key, pattern in wanted.items()}
    if not all(found.values()):
        raise ProgramsError(f"sysbench printed no summary: {said[-800:]}")
    values = {key: match for key, match in found.items() if match}
    n = int(values["rate"][1])
    return [
        (name, float(values["rate"][2]), "op/s", n),
        (f"{name}/p99", float(values["p99"][2]) * 1e6, "ns", n),
        (f"{name}/max", float(values["max"][2]) * 1e6, "ns", n),
    ]
