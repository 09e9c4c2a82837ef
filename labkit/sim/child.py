# SPDX-License-Identifier: MIT
"""`python -m labkit.sim.child FOLDER TELL`: one simulation in a process of its own.

Reads what to do as JSON from its standard input; writes `events` and `result` (or `error`) into
the folder; a policy that crashes or does not come back leaves `report` there (guard.c). The file
descriptor TELL gets progress.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from labkit.sim import core
from labkit.sim._simulator import lib
from labkit.sim.errors import SimulationError
from labkit.workload import WorkloadError, from_dict


def main(folder: Path, tell: int) -> None:
    """Simulate what standard input describes."""
    wanted = json.load(sys.stdin)
    report = os.open(folder / "report", os.O_WRONLY | os.O_CREAT, 0o600)
    events = os.open(folder / "events", os.O_WRONLY | os.O_CREAT, 0o600)

    @contextmanager
    def guarded(sim: Any) -> Iterator[None]:
        if not lib.sim_guard(sim, wanted["watchdog_s"], report, tell, wanted["parent"]):
            raise SimulationError("the simulator's watchdog cannot be set up")
        yield

    try:
        choice, options = core.choose(wanted["policy"])
        settings = core.Settings(**wanted["settings"])
        workload = from_dict(wanted["workload"])
        found = core.run(choice.policy, options, workload, settings, events, guarded)
    except (SimulationError, WorkloadError) as error:
        text = json.dumps([type(error).__name__, str(error)])
        (folder / "error").write_text(text, encoding="utf-8")
        return
    (folder / "result").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
    # What the policy printed; nothing of the interpreter is worth tidying up.
    lib.sim_flush()
    os._exit(0)
