# SPDX-License-Identifier: MIT
"""One simulation in this process: its settings in, its numbers out; events go to a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

from labkit.sim._simulator import ffi, lib
from labkit.sim.compiled import NO_END, compile_workload, spec
from labkit.sim.errors import ChoiceError, PolicyError, SimulationError, TooManyEvents
from labkit.workload import Workload, WorkloadError

#: Times of one class, from its histogram: number, sum, maximum and quantiles, in ns.
TIMES = ("n", "sum", "max", "p50", "p90", "p99", "p999")
_TOTALS = (
    *("now_ns", "events", "rows", "threads", "turns", "blocked", "waited", "expired"),
    *("preempted", "yielded", "ended", "locks_waited", "left_ready", "left_blocked"),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `sim_spec` holds beside the workload; times in ns, `rows` the most events."""

    servers: int
    seed: int
    rows: int
    until: int | None
    watchdog_ns: int
    switch_ns: int
    block_ns: int
    preempt_ns: int
    wake_ns: int


def choose(text: str) -> tuple[Any, str]:
    """The policy (in a `struct umcg_choice`) and the options of a text such as `las:levels=3`.

    Raises:
        ChoiceError: there is none.
    """
    choice = ffi.new("struct umcg_choice *")
    why = ffi.new("char[]", lib.UMCG_SENTENCE)
    chars = ffi.new("char[]", text.encode())
    if lib.umcg_choose(chars, choice, why):
        raise ChoiceError(ffi.string(why).decode(errors="replace"))
    return choice, ffi.string(choice.options).decode()


def check_options(name: str, options: str) -> None:
    """Check the options of a policy that comes with labkit.

    Raises:
        ChoiceError: it does not know one, or a value is not allowed.
    """
    choice, _ = choose(name)
    why = ffi.new("char[]", lib.UMCG_SENTENCE)
    data = ffi.new("uint64_t[]", choice.policy.sched_size // 8 + 1)
    if lib.umcg_policy_options(choice.policy, options.encode(), data, why):
        raise ChoiceError(ffi.string(why).decode(errors="replace"))


def _fields(of: Any, names: tuple[str, ...]) -> dict[str, int]:
    return {name: getattr(of, name) for name in names}


def results(sim: Any, workload: Workload, servers: int) -> dict[str, Any]:
    """The numbers of a simulation that has ended, as JSON types."""
    total, of_class = ffi.new("struct sim_result *"), ffi.new("struct sim_class_result *")
    of_server = ffi.new("struct sim_server_result *")
    lib.sim_result(sim, total)
    classes, places = [], []
    for i in range(len(workload.classes)):
        lib.sim_class_result(sim, i, of_class)
        numbers: dict[str, Any] = _fields(
            of_class, ("come", "done", "late", "dropped", "service_ns")
        )
        numbers["latency"] = _fields(of_class.latency, TIMES)
        numbers["response"] = _fields(of_class.response, TIMES)
        classes.append(numbers)
    for i in range(servers):
        lib.sim_server_result(sim, i, of_server)
        places.append(_fields(of_server, ("busy_ns", "cost_ns", "turns")))
    return {"total": _fields(total, _TOTALS), "classes": classes, "servers": places}


def error(outcome: int, report: str, code: int, rows: int) -> Exception:
    """What an outcome other than done and stopped is raised as."""
    if outcome == lib.SIM_POLICY:
        return PolicyError(report.rstrip())
    if outcome == lib.SIM_OPTIONS:
        return ChoiceError(report)
    if outcome == lib.SIM_WORKLOAD:
        return WorkloadError(report)
    if outcome == lib.SIM_FULL:
        return TooManyEvents(
            f"there are more than {rows} events; give events=0 for the numbers alone, a larger"
            " bound, or a shorter workload"
        )
    if outcome == lib.SIM_FILE:
        return SimulationError(f"the events cannot be written: {os.strerror(code)}")
    return SimulationError(f"there is not enough memory for {report or 'the simulation'}")


def run(
    policy: Any,
    options: str,
    workload: Workload,
    settings: Settings,
    fd: int,
    around: Callable[[Any], AbstractContextManager[None]] = nullcontext,
) -> dict[str, Any]:
    """Simulate: `policy` is a `const struct umcg_policy *`, `fd` takes the events.

    `around` is given the `struct sim *`, which runs within it. Returns `results()` with `stopped`.

    Raises:
        SimulationError: by what went wrong; see errors.py.
        WorkloadError: the workload cannot go on.
    """
    made = compile_workload(workload)
    fields = asdict(settings) | {"until": NO_END if settings.until is None else settings.until}
    sim = lib.sim_new(spec(workload, made, **fields), policy, fd)
    if sim == ffi.NULL:
        raise SimulationError("there is not enough memory for the simulation")
    try:
        with around(sim):
            outcome = lib.sim_run(sim, options.encode())
            code = ffi.errno
        if outcome not in (lib.SIM_DONE, lib.SIM_STOPPED):
            report = ffi.string(lib.sim_report(sim)).decode(errors="replace")
            raise error(outcome, report, code, settings.rows)
        found = results(sim, workload, settings.servers)
        return found | {"stopped": outcome == lib.SIM_STOPPED}
    finally:
        lib.sim_free(sim)
