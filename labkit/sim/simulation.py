# SPDX-License-Identifier: MIT
"""`simulate`: a policy, a workload, and what happens in virtual time."""

from __future__ import annotations

import dataclasses
import math
import os
import platform
import threading
from pathlib import Path
from typing import Any

from labkit.records import EVENT_SCHEMA, Record, empty
from labkit.sim import policies, process, python_file, python_policy, python_run, tables
from labkit.sim.core import Settings
from labkit.sim.costs import TEXTBOOK, Costs
from labkit.sim.errors import SettingError
from labkit.workload import Workload, load, to_dict
from labkit.workload.times import WorkloadError, ns

#: Events that a simulation may make unless it is given another bound; 32 bytes of disk each.
EVENTS = 5_000_000
MOST_SERVERS = 10_000


def environment(servers: int) -> dict[str, Any]:
    """Where a simulated run was made, with the keys of `labkit.environment.collect`."""
    return {
        "backend": "simulator",
        "umcg_missing": "",
        "kernel": "simulator",
        "kernel_version": "",
        "config_digest": "",
        "accelerator": "virtual time",
        "cpu": "simulated",
        "cpus": list(range(servers)),
        "clock": "virtual",
        "commit": "",
        "python": platform.python_version(),
    }


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise SettingError(f"{name} is {value!r}; give a whole number from {low} to {high}")
    return value


def _settings(
    workload: Workload,
    servers: int,
    seed: int | None,
    costs: Costs,
    events: int,
    until: int | str | None,
    watchdog_s: float,
) -> Settings:
    if isinstance(watchdog_s, bool) or not isinstance(watchdog_s, int | float):
        raise SettingError(f"watchdog_s is {watchdog_s!r}; give seconds from 0.1 to 10000")
    if math.isnan(watchdog_s) or not 0.1 <= watchdog_s <= 10_000:
        raise SettingError(f"watchdog_s is {watchdog_s}; give seconds from 0.1 to 10000")
    if not isinstance(costs, Costs):
        raise SettingError(f"costs is {costs!r}; give a labkit.sim.Costs")
    try:
        end = None if until is None else ns(until, "until")
    except WorkloadError as error:
        raise SettingError(str(error)) from None
    return Settings(
        servers=_whole("servers", servers, 1, MOST_SERVERS),
        seed=workload.seed if seed is None else _whole("seed", seed, 0, 2**63 - 1),
        rows=_whole("events", events, 0, 10**10),
        until=end,
        watchdog_ns=int(watchdog_s * 1e9),
        **dataclasses.asdict(costs),
    )


def simulate(
    policy: Any,
    workload: Workload | str | os.PathLike[str],
    servers: int = 2,
    seed: int | None = None,
    *,
    costs: Costs = TEXTBOOK,
    events: int = EVENTS,
    until: int | str | None = None,
    watchdog_s: float = 5.0,
    progress: process.Tell | None = None,
    stop: threading.Event | None = None,
) -> Record:
    """Let a policy schedule a workload in virtual time.

    The same policy, workload, servers, costs and seed give the same events to the byte on every
    machine. Virtual time begins at 0.

    Args:
        policy: a name with options, `"las"`, `"las:levels=3,boost_ms=100"` (`labkit policy list`);
            the path of a shared object, `"./mine.so"`, or of a Python file, `"./mine.py"` (with
            `":CLASS"` if it has several); the name of a policy made by `%%policy`; or a Python
            class or object with `ready`, `next` and, if wanted, `slice`, `stopped`,
            `before`, `dump` (see `labkit.sim.PythonPolicy`). C runs in a process of its own, Python
            in this one.
        workload: what there is to do, or the .json or .toml file that says it.
        servers: places to run on, 1 to 10000.
        seed: of the random times, 0 to 2^63 - 1; None: the workload's.
        costs: of switching, in ns; without: none, as in textbooks. `Costs.counted()` has the
            kernel's instruction counts.
        events: the most events to keep, 32 bytes of disk each; 0: none, numbers alone.
        until: when to end, in ns or as "10ms"; None: when all jobs are done.
        watchdog_s: how long a call of the policy may last (seconds), and how long a ready thread
            may wait beside a sleeping server or be passed over (seconds of virtual time), 0.1 to
            10000.
        progress: called about ten times a second with the virtual time in ns and the events so far
            (C policies only).
        stop: an event that ends the run early; `counters["stopped"]` is then 1.

    Returns:
        A run with `events` (times are virtual ns from 0), `tasks` (servers, then a worker for each
        thread, named after its class; all in the series of the policy), `samples` (of each class as
        POLICY/CLASS: `ns` median latency from arrival to end, `op/s`; as POLICY/CLASS/p99, /p99.9;
        as /response median time from arrival to first run; quantiles are exact to 1 in 128) and
        `counters` (`virtual_ns`, `turns`, `preempted`, `expired`, `utilisation` 0 to 1, ...; of
        each class POLICY/CLASS:come, done, late, dropped, service_ns, ...).

    Raises:
        ChoiceError: there is no such policy, no such option, or its file cannot be used.
        SettingError: a number is not allowed.
        WorkloadError: the workload cannot be, or deadlocks.
        PolicyError: the policy loses a thread, runs one twice, returns rubbish, crashes or does not
            come back; the report names the thread, its last server, and has the policy's dump.
        TooManyEvents: more than `events`.
        SimulationError: no memory or no disk left.
    """
    if not isinstance(workload, Workload):
        workload = load(workload)
    settings = _settings(workload, servers, seed, costs, events, until, watchdog_s)
    with process.scratch() as folder:
        name = policy if isinstance(policy, str) else python_policy.name_of(policy)
        if isinstance(policy, str) and python_file.is_python(policy):
            policy = python_file.load(policy)
        if isinstance(policy, str):
            text = policies.resolve(policy)
            found = process.run(text, workload, settings, folder, watchdog_s, progress, stop)
        else:
            found = python_run.run(policy, workload, settings, folder, watchdog_s, stop)
        record = _record(name, workload, settings, found, folder / "events")
    return record


def _record(
    name: str, workload: Workload, settings: Settings, found: dict[str, Any], file: Path
) -> Record:
    costs = {field.name: getattr(settings, field.name) for field in dataclasses.fields(Costs)}
    events = tables.event_table(file) if settings.rows else empty(EVENT_SCHEMA)
    return Record(
        spec={
            "experiment": "simulate",
            "policy": name,
            "servers": settings.servers,
            "seed": settings.seed,
            "costs": costs,
            "until_ns": settings.until,
            "workload": to_dict(workload),
        },
        environment=environment(settings.servers),
        events=events,
        tasks=tables.task_table(events, workload, name),
        samples=tables.sample_table(found, workload, name),
        counters=tables.counters(found, workload, name),
    )
