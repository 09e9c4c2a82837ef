# SPDX-License-Identifier: MIT
"""Carrying an experiment out, alone on the machine: whatever ends it, what was measured stays."""

from __future__ import annotations

import threading

from labkit import forked
from labkit.experiments.alone import Disturbed, alone
from labkit.experiments.common import Collector, ProgressCallback
from labkit.experiments.spec import Spec
from labkit.native import engine
from labkit.records import Record


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a run.

    Attributes:
        run: what was measured before, with `counters["stopped"]` set.
    """

    def __init__(self, run: Record) -> None:
        super().__init__("what was measured before is in labkit.kept()")
        self.run = run


def run(
    spec: Spec,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
) -> Record:
    """Run the experiment that `spec` is of, or as much of it as there is time for before `stop`.

    Where the CPUs change under it, it ends with what was measured before, and says why.

    Raises:
        Busy: another experiment runs on this machine.
        EngineError: a system call failed.
        Interrupted: Ctrl-C; it has the run so far.
        ForkedProcess: this process cannot make a run.
    """
    forked.check()
    with alone(spec.experiment):
        collect = Collector(spec.to_dict(), spec.measurements(), progress, stop)
        try:
            spec.measure(collect)
        except engine.Stopped:
            return collect.run(stopped=True)
        except Disturbed as error:
            return collect.run(stopped=True, because=str(error))
        except KeyboardInterrupt as error:
            so_far = collect.run(stopped=True)
            if so_far.samples.is_empty():
                raise
            raise Interrupted(so_far) from error
        return collect.run(stopped=False)
