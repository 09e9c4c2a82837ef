# SPDX-License-Identifier: MIT
"""Real programs over a scheduler of one's own, recorded: `labkit.record("memcached")`."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from labkit import vm
from labkit.native import engine
from labkit.programs.install import ProgramsError

if TYPE_CHECKING:
    from labkit.programs.recording import How, Wish
    from labkit.run import Run

__all__ = ["POLICY", "ProgramsError", "record", "record_wish"]

#: What schedules a program unless it is said: short requests first, long ones get their part.
POLICY = "las:long_percent=38"


def record(
    program: str,
    *args: str,
    how: How = "umcg",
    policy: str = POLICY,
    servers: int = 0,
    seconds: float = 0.0,
) -> Run:
    """Run a program and record what its threads did; in a microVM if this kernel has no UMCG.

        run = labkit.record("memcached")            # with data and clients of its own
        labkit.record("mariadb", how="plain")       # the same with plain threads
        labkit.record("python3", "server.py", policy="./mine.so", servers=1)
        run.timeline(); run.table(); labkit.analysis.df_latency(run)

    `memcached`, `mariadb`, `mariadb-writes` (transactions), `redis` and `nginx` without arguments
    are started with data in memory, and a client works against them; nothing of them is left after
    success, an error or Ctrl-C. `make programs` fetches them.

    Args:
        program: the command, or one of these names.
        args: its arguments.
        how: `umcg`, under umcg-run; `plain`, with the kernel's tracepoints (`sched:*`).
        policy: as `umcg-run --policy` takes it.
        servers: as `umcg-run --servers`; 0: as many as there are CPUs.
        seconds: how long the client works, where it can be told; a program of one's own gets
            SIGTERM after so long. 0: two seconds; until it ends.

    Returns:
        A run: `events` and `tasks` of its threads (those of a server that schedules are
        `server N`), requests as `op` with their latency in ns (under umcg-run), `samples` that the
        client measured, `counters` `lost`, `requests`, `status` (the program's exit status).

    Raises:
        ValueError: an argument is not allowed.
        ProgramsError: a program is missing or failed; the message says what to do.
        VmError: the microVM failed.
    """
    from labkit.programs.recording import Wish

    return record_wish(Wish((program, *args), how, policy, servers, seconds))


def record_wish(wish: Wish, say: Callable[[str], None] = lambda text: None) -> Run:
    """See `record`; `say` is called with what is being waited for."""
    from labkit.programs import recording
    from labkit.run import Run, load

    if engine.enabled():
        return Run(**vars(recording.record(wish)))
    with tempfile.TemporaryDirectory(prefix="labkit-record-") as folder:
        file = Path(folder) / "run.parquet"
        module = [sys.executable, "-m", "labkit.programs.recording"]
        code = vm.execute([*module, json.dumps(asdict(wish)), str(file)], say=say)
        if code == 130:
            raise KeyboardInterrupt
        if code:
            raise ProgramsError(f"the recording in the guest ended with {code}; see above")
        return load(file)
