# SPDX-License-Identifier: MIT
"""A real program as a run: its threads' timeline, occupancy, requests and latencies.

This is the part that runs on the patched kernel: `python -m labkit.programs.recording`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from labkit import environment, repository
from labkit.environment import NO_UMCG
from labkit.native import engine
from labkit.programs import POLICY, events
from labkit.programs.install import ProgramsError
from labkit.programs.mariadb import Mariadb, MariadbWrites
from labkit.programs.memcached import Memcached
from labkit.programs.nginx import Nginx
from labkit.programs.redis import Redis
from labkit.programs.server import Sample, Server
from labkit.records import SAMPLE_SCHEMA, TASK_SCHEMA, Record, empty
from labkit.trace import files, schema
from labkit.trace.errors import TraceError
from labkit.trace.kernel import KernelTracer
from labkit.trace.states import with_states

#: Programs that are started with data and clients of their own when they are named alone.
DRIVERS: dict[str, type[Server]] = {
    driver.name: driver for driver in (Mariadb, MariadbWrites, Memcached, Redis, Nginx)
}

#: Seconds between two looks at what a plain program's threads are called.
_LOOK_S = 0.02

#: Why umcg-run has not run a program, by its exit status.
_REFUSED = {
    2: "the policy or another option is wrong",
    3: "this kernel has no UMCG",
    4: "it cannot be wrapped",
    126: "it cannot be run",
    127: "there is no such program",
}

How = Literal["umcg", "plain"]


@dataclass(frozen=True)
class Wish:
    """What is to be recorded.

    Attributes:
        program: the command, or the name of a driver alone (`DRIVERS`).
        how: `umcg`, under umcg-run; `plain`, with the kernel's tracepoints.
        policy: as `umcg-run --policy` takes it.
        servers: as `umcg-run --servers`; 0: as many as there are CPUs.
        seconds: how long a driver's clients work; a program of one's own gets SIGTERM after so
            long. 0: a driver's default; until it ends.
    """

    program: tuple[str, ...]
    how: How = "umcg"
    policy: str = POLICY
    servers: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            ValueError: says which value is wrong and what is allowed.
        """
        if not self.program:
            raise ValueError(f"which program? For example: memcached (of {', '.join(DRIVERS)})")
        if self.how not in ("umcg", "plain"):
            raise ValueError(f"how is {self.how!r}; choose umcg or plain")
        if not 0 <= self.servers <= 256:
            raise ValueError(f"servers is {self.servers}; choose 0 to 256")
        if self.seconds < 0:
            raise ValueError(f"seconds is {self.seconds:g}; give 0 or more")

    @property
    def driver(self) -> type[Server] | None:
        """Who starts it and lets clients work, if anybody does."""
        return DRIVERS.get(self.program[0]) if len(self.program) == 1 else None


#: How long a driver's clients work where they can be told.
SECONDS = 2.0


def record(wish: Wish) -> Record:
    """Run the program here and record it.

    Raises:
        ProgramsError: this kernel has no UMCG, a program is missing or failed.
        TracingUnavailable: the kernel's tracing cannot be used.
    """
    if wish.how == "umcg" and not engine.enabled():
        raise ProgramsError(NO_UMCG)
    with tempfile.TemporaryDirectory(prefix="labkit-record-") as folder:
        return _under(wish, Path(folder)) if wish.how == "umcg" else _plain(wish)


def umcg_run() -> str:
    """Where umcg-run is: installed, or as `make -C kernel libumcg` has built it.

    Raises:
        ProgramsError: it is not there.
    """
    found = shutil.which("umcg-run") or os.environ.get("UMCG_RUN")
    if found:
        return found
    kernel = repository.FOLDER / "kernel"
    if (kernel / "Makefile").exists():
        said = subprocess.run(
            ["make", "-s", "-C", str(kernel), "where"], capture_output=True, text=True
        ).stdout
        for line in said.splitlines():
            name, _, value = line.partition("=")
            if name == "UMCG_RUN" and Path(value).exists():
                return value
    raise ProgramsError("umcg-run is not here: `make -C kernel libumcg` builds it")


def _under(wish: Wish, folder: Path) -> Record:
    trace = folder / "trace"
    wrapper = [umcg_run(), f"--trace={trace}", f"--policy={wish.policy}", "--strict"]
    wrapper += [f"--servers={wish.servers}"] if wish.servers else []
    found, status = _let_work(wish, wrapper)
    if not trace.exists():
        why = _REFUSED.get(status, f"umcg-run ended with {status}")
        raise ProgramsError(f"{wish.program[0]} was not run: {why}; umcg-run's own words are above")
    seen = events.read(trace)
    return _made(wish, seen.events, seen.tasks, found, {"lost": seen.lost, "status": status})


def _let_work(wish: Wish, wrapper: list[str]) -> tuple[list[Sample], int]:
    """What clients measured, and the program's exit status."""
    if wish.driver is None:
        process = subprocess.Popen([*wrapper, *wish.program])
        with _ended(process):
            return [], _wait(process, wish.seconds)
    with wish.driver(wrapper) as server:
        found = server.work(wish.seconds or SECONDS)
    return found, server.status or 0


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int:
    try:
        return process.wait(seconds or None)
    except subprocess.TimeoutExpired:
        process.terminate()
        return process.wait()


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _plain(wish: Wish) -> Record:
    if wish.driver is not None:
        with (
            wish.driver() as server,
            _Names(server.pid) as names,
            KernelTracer(_threads(server.pid)) as tracer,
        ):
            found = server.work(wish.seconds or SECONDS)
        status = server.status or 0
    else:
        # It stops before it is the program, so that nothing of that is missing.
        process = subprocess.Popen(["sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *wish.program])
        with _ended(process):
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            with _Names(process.pid) as names, KernelTracer([process.pid]) as tracer:
                process.send_signal(signal.SIGCONT)
                found, status = [], _wait(process, wish.seconds)
    trace = tracer.trace
    table = with_states(trace.events)
    ours = names.seen
    table = table.filter(pl.col("tid").is_in(list(ours)) | (pl.col("tid") == 0))
    tasks = schema.tasks(
        {"tid": tid, "role": "thread", "name": name, "series": wish.program[0]}
        for tid, name in sorted(ours.items())
        if tid in set(table["tid"])
    )
    return _made(wish, table, tasks, found, {"lost": trace.lost, "status": status})


def _threads(pid: int) -> list[int]:
    try:
        return [int(name) for name in os.listdir(f"/proc/{pid}/task")]
    except FileNotFoundError:
        return []


class _Names:
    """What a process' threads are called, looked at again and again while it is entered."""

    def __init__(self, pid: int) -> None:
        self.seen: dict[int, str] = {}
        self._pid = pid
        self._over = threading.Event()
        self._looker = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Names:
        self._looker.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._looker.join()

    def _look(self) -> None:
        while True:
            over = self._over.wait(_LOOK_S)
            for tid in _threads(self._pid):
                with contextlib.suppress(OSError):
                    comm = Path(f"/proc/{self._pid}/task/{tid}/comm")
                    self.seen[tid] = comm.read_text(encoding="utf-8", errors="replace").strip()
            if over:
                return


def _made(
    wish: Wish,
    table: pl.DataFrame,
    tasks: pl.DataFrame,
    found: list[Sample],
    counters: dict[str, int | float],
) -> Record:
    series = Path(wish.program[0]).name
    rows = [(f"{series}/{name}", 0, value, unit, n) for name, value, unit, n in found]
    spec = {"experiment": "record", **asdict(wish), "program": list(wish.program)}
    if wish.how == "plain":
        del spec["policy"], spec["servers"]
    return Record(
        spec=spec,
        environment=environment.collect(),
        events=table,
        tasks=tasks if tasks.height else empty(TASK_SCHEMA),
        samples=pl.DataFrame(rows, schema=SAMPLE_SCHEMA, orient="row"),
        counters={"requests": int((table["kind"] == "op").sum()), **counters},
    )


def main() -> int:
    """`python -m labkit.programs.recording WISH FILE`: record here, save there."""
    wanted = json.loads(sys.argv[1])
    wish = Wish(**{**wanted, "program": tuple(wanted["program"])})
    began = time.monotonic()
    try:
        made = record(wish)
    except (ProgramsError, TraceError, engine.EngineError, OSError) as error:
        print(f"labkit: {error}", file=sys.stderr)
        return 1
    files.save(made, sys.argv[2])
    print(f"recorded in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
