# SPDX-License-Identifier: MIT
"""A workload as the C structures that `simulator.h` describes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from labkit.sim._simulator import ffi, lib
from labkit.workload import (
    Bimodal,
    Class,
    Closed,
    Constant,
    Empirical,
    Exponential,
    Lock,
    Lognormal,
    Periodic,
    Phase,
    Poisson,
    Trace,
    Uniform,
    Workload,
    WorkloadError,
    Yield,
)

#: Locks that a thread may hold at once; MOST_HELD in internal.h.
MOST_HELD = 8
NO_END = 2**64 - 1


@dataclass
class Compiled:
    """The arrays of one workload; they have to live as long as the simulation."""

    classes: Any = None
    names: Any = None
    steps: list[tuple[int, int]] = field(default_factory=list)
    distributions: list[tuple[int, int, int, float]] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    locks: dict[str, int] = field(default_factory=dict)
    keep: list[Any] = field(default_factory=list)

    def array(self, kind: str, items: Any) -> Any:
        """A C array that stays alive with this object."""
        made = ffi.new(f"{kind}[]", items or 1)
        self.keep.append(made)
        return made

    def distribution(self, of: Any) -> int:
        """The number of a distribution, which is added."""
        made: Any
        match of:
            case Constant(value):
                made = (lib.SIM_CONSTANT, value, 0, 0.0)
            case Exponential(mean):
                made = (lib.SIM_EXPONENTIAL, mean, 0, 0.0)
            case Uniform(low, high):
                made = (lib.SIM_UNIFORM, low, high, 0.0)
            case Bimodal(short, long, share):
                made = (lib.SIM_BIMODAL, short, long, float(share))
            case Lognormal(median, sigma):
                made = (lib.SIM_LOGNORMAL, median, 0, float(sigma))
            case Empirical(values, in_order):
                kind = lib.SIM_IN_ORDER if in_order else lib.SIM_EMPIRICAL
                made = (kind, len(values), len(self.values), 0.0)
                self.values.extend(map(int, values))
            case _:
                raise TypeError(f"{of!r} is no distribution")
        self.distributions.append(made)
        return len(self.distributions) - 1

    def phases(self, phases: tuple[Phase, ...], held: int = 0) -> None:
        """Add the steps of these phases."""
        for phase in phases:
            if isinstance(phase, Yield):
                self.steps.append((lib.SIM_YIELD, 0))
            elif isinstance(phase, Lock):
                if held == MOST_HELD:
                    raise WorkloadError(f"more than {MOST_HELD} locks are held at once")
                number = self.locks.setdefault(phase.name, len(self.locks))
                self.steps.append((lib.SIM_LOCK, number))
                self.phases(phase.phases, held + 1)
                self.steps.append((lib.SIM_UNLOCK, number))
            else:
                kind = f"SIM_{type(phase).__name__.upper()}"
                self.steps.append((getattr(lib, kind), self.distribution(phase.time)))

    def fill(self, into: Any, of: Class) -> None:
        """Fill in the C structure of one class."""
        into.first_step = len(self.steps)
        self.phases(of.phases)
        into.steps = len(self.steps) - into.first_step
        into.threads = of.threads or 0
        into.jobs = NO_END if of.jobs is None else of.jobs
        into.repeat = of.repeat
        into.deadline = of.deadline or 0
        into.weight = of.weight
        into.priority = of.priority
        into.tenant = of.tenant
        into.size_known = of.size_known
        match of.arrivals:
            case Poisson(rate):
                into.arrivals = lib.SIM_POISSON
                into.mean = 1e9 / rate
            case Periodic(period, offset):
                into.arrivals = lib.SIM_PERIODIC
                into.period, into.offset = period, offset
            case Closed(threads, think, start):
                into.arrivals = lib.SIM_CLOSED
                into.threads, into.offset = threads, start
                into.think = self.distribution(think)
            case Trace(times):
                into.arrivals = lib.SIM_TRACE
                into.first_time, into.times = len(self.values), len(times)
                self.values.extend(map(int, times))


def compile_workload(workload: Workload) -> Compiled:
    """The arrays that describe `workload`.

    Raises:
        WorkloadError: a thread would hold more locks than `MOST_HELD`.
    """
    made = Compiled()
    made.classes = made.array("struct sim_class", len(workload.classes))
    for i, of in enumerate(workload.classes):
        made.fill(made.classes[i], of)
    # Text goes to a terminal or a notebook later: as UTF-8.
    texts = [made.array("char", of.name.encode()) for of in workload.classes]
    made.names = made.array("const char *", texts)
    return made


def spec(workload: Workload, made: Compiled, **settings: int) -> Any:
    """A `struct sim_spec`; `settings` are its fields that are not the workload's."""
    found = ffi.new("struct sim_spec *")
    found.classes = len(workload.classes)
    found.steps, found.distributions = len(made.steps), len(made.distributions)
    found.locks = len(made.locks)
    found.duration = NO_END if workload.duration is None else workload.duration
    found.name, found.klass = made.names, made.classes
    found.step = made.array("struct sim_step", made.steps)
    found.distribution = made.array("struct sim_distribution", made.distributions)
    found.values = made.array("uint64_t", made.values)
    for name, value in settings.items():
        setattr(found, name, value)
    return found


def address(of: Any) -> int:
    """Where a C structure lies, for another room's C."""
    return int(ffi.cast("uintptr_t", of))
