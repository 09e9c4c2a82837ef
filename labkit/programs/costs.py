# SPDX-License-Identifier: MIT
"""What umcg-run costs: programs over it against the same with plain threads, alternating.

`labkit vm exec -- python -m labkit.programs.costs [REPETITIONS [POLICY [OPTION ...]]]` prints a
table: medians of plain threads, and ratios of umcg-run over plain with 95 % intervals, all in one
boot. Options are umcg-run's; without any, places pass on (`--pass-on`). With `--icount` before them
it boots a microVM of one CPU itself whose clock counts instructions.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labkit import progress
from labkit.programs import counted
from labkit.programs.install import ProgramsError, environment, find
from labkit.programs.memcached import Memcached
from labkit.programs.recording import umcg_run
from labkit.verdict import ratio_of

#: How often each is measured; seconds of a ping-pong.
REPETITIONS, SECONDS = 7, 1.0

#: Operations a second, and seconds of CPU time for one of them.
Cost = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """One program: its name, what one operation is, and how it is measured under a wrapper."""

    name: str
    unit: str
    measure: Callable[[list[str]], Cost]


def _run(argv: list[str]) -> tuple[str, float, float]:
    """What it printed, how long it took, and its CPU time (s)."""
    began = time.monotonic()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment())
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ProgramsError(f"{' '.join(argv)} ended with {process.returncode}: {said[-400:]}")
    return said, time.monotonic() - began, usage.ru_utime + usage.ru_stime


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if not found:
        raise ProgramsError(f"no {pattern} in what it printed: {text[-400:]}")
    return float(found[1])


def _sysbench(test: str, events: int, *options: str) -> Callable[[list[str]], Cost]:
    def measure(wrapper: list[str]) -> Cost:
        command = [find("sysbench"), test, "--threads=4", f"--events={events}", "--time=0"]
        said, _, cpu = _run([*wrapper, *command, *options, "run"])
        done = _number(r"total number of events: +(\d+)", said)
        return done / _number(r"total time: +([\d.]+)", said), cpu / done

    return measure


def _memcached(wrapper: list[str]) -> Cost:
    with Memcached(wrapper) as server:
        before = _cpu(server.pid)
        (_, rate, _, n), *_ = server.work(0)
        return rate, (_cpu(server.pid) - before) / n


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def rows() -> Iterator[list[Row]]:
    """All that is measured."""
    with tempfile.TemporaryDirectory(prefix="labkit-costs-") as folder:
        program = Path(folder) / "pingpong"
        source = Path(__file__).with_name("pingpong.c")
        subprocess.run(["cc", "-O2", "-pthread", "-o", program, source], check=True)

        def pingpong(computing: int, rings: int = 1, each: int = 2) -> Callable[[list[str]], Cost]:
            words = [str(word) for word in (program, computing, SECONDS, rings, each)]

            def measure(wrapper: list[str]) -> Cost:
                said, _, cpu = _run([*wrapper, *words])
                trips = _number(r"(\d+) round trips", said)
                return trips / SECONDS, cpu / max(1.0, trips)

            return measure

        yield [
            Row("sysbench threads", "event", _sysbench("threads", 400, "--thread-yields=100")),
            Row("sysbench mutex", "run", _sysbench("mutex", 0, "--mutex-num=64")),
            Row("memcached -t 4, memcslap", "request", _memcached),
            Row("pipe ping-pong", "round trip", pingpong(0)),
            Row("the same beside 2 computing threads", "round trip", pingpong(2)),
            Row("a ring of 32 threads over pipes", "round trip", pingpong(0, 1, 32)),
            Row("4 rings of 4", "round trip", pingpong(0, 4, 4)),
        ]


def table(repetitions: int, policy: str, options: Sequence[str] = ("--pass-on",)) -> Iterator[str]:
    """The lines of the table, as they come."""
    words = [f"--policy={policy}", *options]
    wrapper = [umcg_run(), *words]
    title = f"umcg-run {' '.join(words)}, {os.cpu_count()} CPUs"
    yield f"| {title} | plain | throughput | CPU time |"
    yield "|---|--:|--:|--:|"
    with rows() as every:
        for row in every:
            line = progress.Line(row.name)
            costs: dict[str, list[Cost]] = {"plain": [], "umcg": []}
            for done in range(repetitions + 1):
                line.show(done, repetitions + 1, "")
                for way, before in (("plain", []), ("umcg", wrapper)):
                    cost = row.measure(list(before))
                    # The first is to get warm.
                    if done:
                        costs[way].append(cost)
            line.end()
            plain, umcg = (np.array(costs[way]) for way in ("plain", "umcg"))
            speed, cpu = (ratio_of(umcg[:, i], plain[:, i]) for i in (0, 1))
            yield (
                f"| {row.name} | {np.median(plain[:, 0]):.0f} {row.unit}s/s "
                f"| {speed[0]:.2f} ({speed[1]:.2f} to {speed[2]:.2f}) "
                f"| {cpu[0]:.2f} ({cpu[1]:.2f} to {cpu[2]:.2f}) |"
            )


def main() -> int:
    """See above."""
    parser = counted.parser(__doc__, REPETITIONS)
    parser.add_argument("policy", metavar="POLICY", nargs="?", default="rr")
    parser.add_argument("options", metavar="OPTION", nargs=argparse.REMAINDER, help="umcg-run's")
    asked = parser.parse_args()
    repetitions, policy, options = asked.repetitions, asked.policy, asked.options or ["--pass-on"]
    try:
        if asked.icount:
            # Said before a machine is booted for it.
            umcg_run(), find("sysbench")
            return counted.boot(__file__, [str(repetitions), policy, *options])
        counted.be_patient()
        for text in table(repetitions, policy, options):
            print(text, flush=True)
    except ProgramsError as error:
        print(f"labkit: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
