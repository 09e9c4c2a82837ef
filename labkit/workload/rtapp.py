# SPDX-License-Identifier: MIT
"""rt-app's JSON read as a workload: a subset; what is not in it is named in the error.

| rt-app                                   | here                                              |
|------------------------------------------|---------------------------------------------------|
| `run`, `runtime` (us)                    | `Compute`                                         |
| `sleep` (us)                             | `Sleep`                                           |
| `lock`, `unlock`                         | `Lock` around what stands between                 |
| `yield`                                  | `Yield`                                           |
| `timer`: `period` (us), as the last event | `Periodic` jobs of one thread                     |
| no `timer`                               | `Closed` threads, one job after the other         |
| `loop` (-1: without end)                 | `jobs`; of a phase: its events that many times    |
| `instance`                               | threads of a loop; with a timer so many classes   |
| `delay` (us)                             | `offset`, `start`                                 |
| `policy`, `priority`                     | real-time: `priority`; else nice: `weight`        |
| `dl-deadline`, else `dl-period`, else a timer's period (us) | `deadline`                     |
| `global`: `duration` (s, -1: no end)     | `duration`                                        |

Event keys may end in digits (`run0`), or stand there more than once. As in rt-app's own files there
may be comments, and commas before a closing bracket. `calibration`, `ftrace`, `gnuplot`, `logdir`,
`log_basename`, `log_size`, `lock_pages`, `frag`, `io_device`, `mem_buffer_size` and `pi_enabled` of
`global` and `cpus` of a task say how rt-app runs and are passed over, as is `dl-runtime`: no budget
is kept here.

Source: rt-app, doc/tutorial.txt, https://github.com/scheduler-tools/rt-app
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from labkit.workload.arrivals import Arrivals, Closed, Periodic
from labkit.workload.model import Class, Workload
from labkit.workload.phases import Compute, Lock, Phase, Sleep, Yield
from labkit.workload.times import WorkloadError

#: Weights of CFS by nice value from -20 (linux/kernel/sched/core.c, sched_prio_to_weight).
NICE_WEIGHTS = (
    *(88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916),
    *(9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277),
    *(1024, 820, 655, 526, 423, 335, 272, 215, 172, 137),
    *(110, 87, 70, 56, 45, 36, 29, 23, 18, 15),
)

_PASSED_OVER = {
    *("calibration", "ftrace", "gnuplot", "logdir", "log_basename", "log_size", "lock_pages"),
    *("frag", "io_device", "mem_buffer_size", "pi_enabled"),
}
_TASK_KEYS = {
    *("instance", "loop", "delay", "policy", "priority", "cpus", "phases"),
    *("dl-deadline", "dl-period", "dl-runtime"),
}
_EVENT = re.compile(r"(run|runtime|sleep|timer|lock|unlock|yield)\d*")
_REAL_TIME = ("SCHED_FIFO", "SCHED_RR")
_POLICIES = ("SCHED_OTHER", "SCHED_DEADLINE", *_REAL_TIME)


#: A string, which stays as it is, or what JSON does not have.
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|/\*.*?\*/|//[^\n]*', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')


def _blank(match: re.Match[str]) -> str:
    """The string, or as much space, so that errors name the right line."""
    return match[1] or re.sub(r"[^\n]", " ", match[0])


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose events may have one key; JSON would keep the last of them."""
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table and not _EVENT.fullmatch(key):
            raise WorkloadError(f"{key!r} stands there twice")
        name, number = key, 0
        while name in table:
            name, number = f"{key}{number}", number + 1
        table[name] = value
    return table


def parse(text: str) -> Any:
    """JSON as rt-app and its workgen take it.

    Raises:
        ValueError: it is none.
        WorkloadError: a key that is no event's stands there twice.
    """
    text = _LAST_COMMA.sub(_blank, _COMMENT.sub(_blank, text))
    return json.loads(text, object_pairs_hook=_table)


def _whole(where: str, key: str, value: Any, low: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise WorkloadError(f"{where}: {key} is {value!r}; give a whole number from {low}")
    return value


def _events(where: str, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The events of a task in order, those of its phases as often as they loop."""
    for key, value in table.items():
        match = _EVENT.fullmatch(key)
        if match:
            yield match[1], value
        elif key == "phases":
            if not isinstance(value, Mapping):
                raise WorkloadError(f"{where}: phases is {value!r}; give phases by name")
            for name, phase in value.items():
                inside = f"{where}: phase {name!r}"
                if not isinstance(phase, Mapping):
                    raise WorkloadError(f"{inside} is {phase!r}; give its events")
                _known(inside, phase, {"loop"})
                body = {k: v for k, v in phase.items() if k != "loop"}
                for _ in range(_whole(inside, "loop", phase.get("loop", 1), 1)):
                    yield from _events(inside, body)


def _known(where: str, table: Mapping[str, Any], more: set[str]) -> None:
    for key in table:
        if key not in more and not _EVENT.fullmatch(key):
            raise WorkloadError(
                f"{where}: {key!r} is not in the part of rt-app that is read; there are "
                f"{', '.join(sorted(more))} and run, runtime, sleep, timer, lock, unlock, yield"
            )


def _phases(where: str, events: list[tuple[str, Any]]) -> tuple[Phase, ...]:
    """Phases of the events; what stands between lock and unlock goes inside the lock."""
    open_locks: list[tuple[str, list[Phase]]] = []
    made: list[Phase] = []
    for kind, value in events:
        if kind == "lock":
            open_locks.append((value, made))
            made = []
        elif kind == "unlock":
            if not open_locks or open_locks[-1][0] != value:
                raise WorkloadError(
                    f"{where}: unlocks {value!r}, which is not the lock it took last"
                )
            name, outer = open_locks.pop()
            made = [*outer, Lock(name, tuple(made) or (Compute(0),))]
        elif kind == "yield":
            made.append(Yield())
        else:
            time = _whole(where, kind, value) * 1000
            made.append(Sleep(time) if kind == "sleep" else Compute(time))
    if open_locks:
        raise WorkloadError(f"{where}: never unlocks {open_locks[-1][0]!r}")
    return tuple(made)


def _period(where: str, events: list[tuple[str, Any]]) -> int | None:
    """The period of the timer, in ns; it is taken out of the events."""
    timers = [i for i, (kind, _) in enumerate(events) if kind == "timer"]
    if not timers:
        return None
    if timers != [len(events) - 1]:
        raise WorkloadError(f"{where}: only one timer, as the last event, is read")
    value = events.pop()[1]
    if not isinstance(value, Mapping) or "period" not in value:
        raise WorkloadError(f"{where}: timer is {value!r}; give its ref and period")
    return _whole(where, "period", value["period"], 1) * 1000


def _rank(where: str, task: Mapping[str, Any], default: str) -> dict[str, Any]:
    policy = task.get("policy", default)
    if policy not in _POLICIES:
        raise WorkloadError(
            f"{where}: policy {policy!r} is not read; there are {', '.join(_POLICIES)}"
        )
    value = task.get("priority")
    if value is None or policy == "SCHED_DEADLINE":
        return {}
    low, high = (1, 99) if policy in _REAL_TIME else (-20, 19)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise WorkloadError(f"{where}: priority is {value!r}; {policy} has {low} to {high}")
    if policy in _REAL_TIME:
        return {"priority": value}
    return {"weight": NICE_WEIGHTS[value + 20]}


def _classes(name: str, task: Any, default: str) -> Iterator[Class]:
    where = f"task {name!r}"
    if not isinstance(task, Mapping):
        raise WorkloadError(f"{where} is {task!r}; give its events")
    _known(where, task, _TASK_KEYS)
    events = list(_events(where, task))
    period = _period(where, events)
    if not events:
        raise WorkloadError(f"{where} does nothing; give at least one event, such as run")
    instances = _whole(where, "instance", task.get("instance", 1), 1)
    loop = task.get("loop", -1)
    jobs = None if loop == -1 else _whole(where, "loop", loop, 1)
    delay = _whole(where, "delay", task.get("delay", 0)) * 1000
    deadline = period
    for key in ("dl-period", "dl-deadline"):
        if key in task:
            deadline = _whole(where, key, task[key], 1) * 1000
    phases, rank = _phases(where, events), _rank(where, task, default)
    if period is None:
        arrivals: Arrivals = Closed(instances, start=delay)
        jobs = jobs and jobs * instances
        yield Class(
            name=name, arrivals=arrivals, phases=phases, jobs=jobs, deadline=deadline, **rank
        )
        return
    for i in range(instances):
        yield Class(
            name=name if instances == 1 else f"{name}-{i}",
            arrivals=Periodic(period, delay),
            phases=phases,
            jobs=jobs,
            threads=1,
            deadline=deadline,
            **rank,
        )


def from_rtapp(data: Mapping[str, Any], name: str = "rt-app") -> Workload:
    """The workload that rt-app's configuration describes.

    Raises:
        WorkloadError: it holds what is not read, by name, or what cannot be.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("tasks"), Mapping):
        raise WorkloadError("this is no rt-app configuration; it has tasks by name")
    for key in data:
        if key not in ("tasks", "global", "resources"):
            raise WorkloadError(
                f"{key!r} is not in the part of rt-app that is read; there are tasks, global,"
                " resources"
            )
    settings = data.get("global", {})
    for key in settings:
        if key not in ("duration", "default_policy") and key not in _PASSED_OVER:
            raise WorkloadError(f"global: {key!r} is not in the part of rt-app that is read")
    seconds = settings.get("duration", -1)
    duration = None if seconds == -1 else _whole("global", "duration", seconds, 1) * 10**9
    default = settings.get("default_policy", "SCHED_OTHER")
    classes = [
        made for name, task in data["tasks"].items() for made in _classes(name, task, default)
    ]
    return Workload(classes=tuple(classes), duration=duration, name=name)
