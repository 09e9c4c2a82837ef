# SPDX-License-Identifier: MIT
"""`labkit.perform`: a workload as data on this kernel's threads, the twin of `labkit.simulate`."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit import environment, forked
from labkit.experiments import NoUmcgError, ProgressCallback, SpecError, Update
from labkit.experiments import policy as policy_field
from labkit.experiments.alone import alone
from labkit.experiments.common import event_table
from labkit.experiments.losses import loss_rows
from labkit.experiments.own import Own
from labkit.experiments.pages import pages
from labkit.native import engine
from labkit.native import perform as native
from labkit.records import EVENT_SCHEMA, TASK_SCHEMA, empty
from labkit.run import Run
from labkit.sim.compiled import address, compile_workload, spec
from labkit.sim.tables import sample_table
from labkit.workload import Fault, Workload, WorkloadError, load, to_dict
from labkit.workload.phases import all_phases

#: Series of threads without servers, beside that of a policy.
PTHREAD = "pthread"


def _quantiles(of: npt.NDArray[np.int64]) -> dict[str, int]:
    """As the simulator's histogram gives them."""
    names = {"p50": 50, "p90": 90, "p99": 99, "p999": 99.9}
    if not len(of):
        return {"n": 0, "sum": 0, "max": 0, **dict.fromkeys(names, 0)}
    found = np.percentile(of, list(names.values()), method="inverted_cdf")
    return {"n": len(of), "sum": int(of.sum()), "max": int(of.max())} | dict(
        zip(names, map(int, found), strict=True)
    )


def _numbers(workload: Workload, found: native.Performance) -> dict[str, Any]:
    """The numbers of a performance in the form of the simulator's."""
    classes = []
    for number, each in enumerate(workload.classes):
        jobs = found.jobs[found.jobs["klass"] == number]
        done = jobs[jobs["dropped"] == 0]
        latency = done["ended"] - done["arrived"]
        classes.append(
            {
                "done": len(done),
                "dropped": len(jobs) - len(done),
                "late": int((latency > int(each.deadline)).sum()) if each.deadline else 0,
                "latency": _quantiles(latency),
                "response": _quantiles(jobs["began"] - jobs["arrived"]),
            }
        )
    return {"total": {"now_ns": found.outcome.values["elapsed_ns"]}, "classes": classes}


def _tasks(workload: Workload, found: native.Performance, series: str) -> pl.DataFrame:
    """Workers named CLASS NUMBER, as the simulator names them, and servers."""
    rows = []
    names = [
        f"{each.name} {i}"
        for each, count in zip(workload.classes, found.threads, strict=True)
        for i in range(count)
    ]
    for index, task in enumerate(found.outcome.tasks):
        if index < len(names):
            rows.append((task.tid, task.role, names[index], series))
        elif task.role == "server":
            rows.append((task.tid, "server", f"server {index - len(names) - 1}", series))
    return pl.DataFrame(rows, schema=TASK_SCHEMA, orient="row")


def _faults(workload: Workload) -> bool:
    return any(
        isinstance(phase, Fault) for each in workload.classes for phase in all_phases(each.phases)
    )


def perform(
    policy: Any,
    workload: Workload | str | os.PathLike[str],
    servers: int = 1,
    seed: int | None = None,
    *,
    events: int = 0,
    watchdog_s: float = 5.0,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """Carry a workload out on this kernel, with the jobs that `labkit.simulate` gives it.

    Each job has the same arrival and asks for the same times, drawn from the same seed. A thread
    computes in a loop, sleeps by a timer, waits for I/O in a `read()` that is answered in time, for
    a lock in the order of asking, and for pages that the disk has to bring (which takes what it
    takes).

    Args:
        policy: over servers, as in `labkit.simulate`: a name with options, a shared object, or a
            Python class or object; None: plain threads under the kernel's scheduler.
        workload: what there is to do, or the .json or .toml file that says it.
        servers: CPUs that the threads have, one for each server.
        seed: of the random times; None: the workload's.
        events: room for so many events a thread; 0: none are kept.
        watchdog_s: seconds after which a policy that is wrong is found out.
        progress: called with an `Update` now and then.
        stop: an event that ends it early; `counters["stopped"]` is then 1.

    Returns:
        A run like that of `labkit.simulate`, times in ns of this machine: samples of each class as
        POLICY/CLASS (`pthread/CLASS` without one), tasks named after their class, counters
        POLICY/CLASS:done, dropped, late; `elapsed_ns`, `preempts`, `lost` events.

    Raises:
        NoUmcgError: there is a policy, and this kernel has no UMCG.
        SpecError: there is no such policy or option, or a number is not allowed.
        WorkloadError: the workload cannot be.
        NothingFaults: it faults, and pages of files do not leave memory here.
        PolicyFault: the policy is wrong.
        Busy: another experiment runs on this machine.
    """
    forked.check()
    if not isinstance(workload, Workload):
        workload = load(workload)
    with alone("perform"):
        return measure(
            policy,
            workload,
            servers,
            seed,
            events=events,
            watchdog_s=watchdog_s,
            progress=progress,
            stop=stop,
        )


def measure(
    policy: Any,
    workload: Workload,
    servers: int = 1,
    seed: int | None = None,
    *,
    events: int = 0,
    watchdog_s: float = 5.0,
    progress: ProgressCallback | None = None,
    stop: threading.Event | None = None,
) -> Run:
    """`perform` for a caller that is alone on the machine."""
    cpus = environment.cpus()
    if isinstance(servers, bool) or not isinstance(servers, int) or not 1 <= servers <= len(cpus):
        raise SpecError(f"servers is {servers!r}; this machine gives 1 to {len(cpus)}")
    classes = tuple(each.name for each in workload.classes)
    series = PTHREAD if policy is None else policy_field.said(policy)
    chosen: str | Own = "fifo"
    if policy is not None:
        if not engine.enabled():
            raise NoUmcgError("a policy schedules workers over servers, and there is no UMCG here")
        chosen = policy_field.check("policy", policy, classes)
    used = workload.seed if seed is None else seed
    made = compile_workload(workload)
    description = spec(workload, made, seed=used)

    def watch(live: engine.Progress) -> None:
        if progress:
            progress(Update(0, 1, series, live))

    try:
        threads = sum(native.threads_of(address(description), len(classes)))
    except ValueError as error:
        raise WorkloadError(str(error)) from None
    room = engine.server_room(events, threads, 0, 0)
    found = None
    with contextlib.ExitStack() as around:
        file = around.enter_context(pages(threads)) if _faults(workload) else -1
        with contextlib.suppress(engine.Stopped):
            found = native.perform(
                address(description),
                len(classes),
                umcg=policy is not None,
                servers=servers,
                cpus=cpus[:servers],
                client_cpu=cpus[servers] if len(cpus) > servers else None,
                policy=chosen,
                watchdog_s=watchdog_s,
                seed=used,
                file=file,
                events=events,
                server_events=room,
                stop=stop,
                watch=watch,
            )
    del made
    asked = {
        "experiment": "perform",
        "policy": series,
        "servers": servers,
        "seed": used,
        "workload": to_dict(workload),
    }
    if found is None:
        return Run(spec=asked, environment=environment.collect(), counters={"stopped": 1})
    numbers = _numbers(workload, found)
    values = found.outcome.values
    counters: dict[str, int | float] = {
        **values,
        "lost": sum(task.lost for task in found.outcome.tasks),
        "lost_jobs": found.come - len(found.jobs),
    }
    for each, of in zip(workload.classes, numbers["classes"], strict=True):
        for name in ("done", "dropped", "late"):
            counters[f"{series}/{each.name}:{name}"] = of[name]
    table = pl.concat([event_table(found.outcome.events), loss_rows(found.outcome)])
    return Run(
        spec=asked,
        environment=environment.collect(),
        events=table.sort("t", maintain_order=True) if events else empty(EVENT_SCHEMA),
        tasks=_tasks(workload, found, series),
        samples=sample_table(numbers, workload, series),
        counters=counters,
    )
