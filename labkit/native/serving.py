# SPDX-License-Identifier: MIT
"""Open-loop requests before groups of threads, from Python; `requests.h` describes them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from labkit.native import checks, engine
from labkit.native.engine import ffi, lib

#: What became of a request that has no latency (`enum lab_no_answer`).
NEVER_CAME, REFUSED, DROPPED = -1, -2, -3

#: Rows of a request's thread: it waits, is woken, has answered. Rows beside those.
_REQUEST_ROWS, _MORE_ROWS = 3, 16
#: Turns that a request may begin and end on the servers beside its own: of what it interrupts.
_REQUEST_TURNS = 4
#: The shortest turn that a slice ends, µs; how much longer than planned the whole may take.
_SHORTEST_TURN_US, _LONGER = 100.0, 8
#: Rows of one thread, and of one server, at most.
_MOST_ROWS, _MOST_SERVER_ROWS = 300_000, 1_000_000


@dataclass(frozen=True, kw_only=True)
class Group:
    """Threads of one kind: they answer the group's requests, or compute all the time.

    Attributes:
        name: for tables and figures.
        threads: many for one a request, few for a pool.
        endless: they compute all the time.
        most_waiting: a request that finds so many waiting is refused; 0: none is.
        priority: UMCG: what a policy may decide by, as the next two.
        weight: 0: the usual one.
        tenant: see `priority`.
        nice: of the threads.
        fifo: their SCHED_FIFO priority; 0: none.
        cgroup: descriptor of the `cgroup.threads` that they enter; -1: none.
    """

    name: str = ""
    threads: int
    endless: bool = False
    most_waiting: int = 0
    priority: int = 0
    weight: int = 0
    tenant: int = 0
    nice: int = 0
    fifo: int = 0
    cgroup: int = -1


@dataclass(frozen=True, kw_only=True)
class Requests:
    """What is asked, in order of arrival.

    Attributes:
        arrival_ns: when each arrives, ascending.
        service_us: computing that each asks for.
        group: number of the group that answers each; None: the first.
        priority: UMCG: of each; None: its group's.
        deadline_ns: of each, after its arrival, 0: none; None: none has one.
    """

    arrival_ns: npt.NDArray[np.uint64]
    service_us: npt.NDArray[np.float64]
    group: npt.NDArray[np.uint8] | None = None
    priority: npt.NDArray[np.int32] | None = None
    deadline_ns: npt.NDArray[np.uint64] | None = None


@dataclass(frozen=True)
class Served:
    """What became of the requests.

    Attributes:
        latency_ns: of each, from its arrival to its answer; or `NEVER_CAME`, `REFUSED`, `DROPPED`.
        late_ns: of each: how late the client sent it.
        elapsed_ns: from the first possible arrival to the last answer.
        cpu_ns: CPU time of all groups and of the scheduler together.
        group_cpu_ns: of each group.
        group_ops: answers, or operations, of each group.
        preempts: preemptions asked for and accepted.
        outcome: the threads, and their events if there was room.
        names: of each of the outcome's tasks; "" for servers and the client.
    """

    latency_ns: npt.NDArray[np.int64]
    late_ns: npt.NDArray[np.uint64]
    elapsed_ns: int
    cpu_ns: int
    group_cpu_ns: list[int]
    group_ops: list[int]
    preempts: int
    outcome: engine.Outcome = field(repr=False)
    names: list[str] = field(repr=False)


def is_endless(policy: str | engine.Own) -> bool:
    """Does this policy, of ours or in Python, let a worker without a deadline run until it blocks?

    Of shared objects nobody knows.
    """
    if not isinstance(policy, str):
        return not policy.has_slice
    name, _, options = policy.partition(":")
    return name in ("fifo", "lifo") or (name == "priority" and "slice_us" not in options)


def room(groups: Sequence[Group], requests: int, span_ns: int, servers: int) -> engine.Room:
    """The room for events of so many requests within this time.

    A thread may answer all of them. The servers' ring has seven rows a turn
    (`engine.server_room`): of requests, of what they interrupt, and those that slices end.
    """
    threads = sum(group.threads for group in groups)
    slices = round(_LONGER * span_ns / 1e3 / _SHORTEST_TURN_US)
    turns = _REQUEST_TURNS * requests + slices + 2 * threads
    own = min(_REQUEST_ROWS * requests + _MORE_ROWS, _MOST_ROWS)
    return engine.Room(threads + 1, own, servers, min(7 * turns, _MOST_SERVER_ROWS))


def _check(groups: Sequence[Group], asked: Requests, policy: str | engine.Own | None) -> None:
    checks.whole(1, 255, groups=len(groups))
    for group in groups:
        checks.whole(1, checks.MOST_THREADS, threads=group.threads)
        checks.whole(0, 2**31 - 1, most_waiting=group.most_waiting, weight=group.weight)
        checks.whole(-(2**31), 2**31 - 1, priority=group.priority)
        checks.whole(0, 255, tenant=group.tenant)
        checks.whole(-20, 19, nice=group.nice)
        checks.whole(0, 99, fifo=group.fifo)
        checks.whole(-1, 2**31 - 1, cgroup=group.cgroup)
    if policy is not None and is_endless(policy) and any(group.endless for group in groups):
        name = policy if isinstance(policy, str) else policy.name
        raise ValueError(
            f"batch beside a UMCG crew never gives its server back under {name}: "
            "give a policy with slices, such as rr or priority:slice_us=2000"
        )
    arrival, service = asked.arrival_ns, asked.service_us
    if arrival.ndim != 1 or service.shape != arrival.shape or not arrival.size:
        raise ValueError(
            f"arrival_ns is {arrival.shape}, service_us {service.shape}; give one or more requests "
            "with a time of arrival and of service each"
        )
    if (arrival < 0).any() or (np.diff(arrival.astype(np.float64)) < 0).any():
        raise ValueError("arrival_ns is not ascending from 0 on")
    if not np.isfinite(service).all() or (service < 0).any():
        raise ValueError("service_us has values that are no times; give numbers from 0 on")
    for name in ("group", "priority", "deadline_ns"):
        values = getattr(asked, name)
        if values is not None and values.shape != arrival.shape:
            raise ValueError(f"{name} is {values.shape}; give one for each of {arrival.size}")
    which = np.zeros(1, np.uint8) if asked.group is None else np.unique(asked.group)
    if not all(0 <= one < len(groups) and not groups[one].endless for one in which):
        raise ValueError(f"group has {which.tolist()}; each has to be one that answers requests")


def _fill(field: object, group: Group) -> None:
    for name in ("threads", "endless", "most_waiting", "priority", "weight", "tenant", "nice"):
        setattr(field, name, getattr(group, name))
    field.fifo, field.cgroup = group.fifo, group.cgroup  # type: ignore[attr-defined]


def serve(
    groups: Sequence[Group],
    asked: Requests,
    *,
    policy: str | engine.Own | None,
    servers: int = 1,
    cpus: Sequence[int],
    client_cpu: int | None,
    endless_us: float = 100.0,
    drop_late: bool = False,
    events: bool = False,
    stop: threading.Event | None = None,
    watch: engine.Watcher | None = None,
) -> Served:
    """Lay requests before groups of threads at given times, whether earlier ones are answered.

    Args:
        groups: who answers, and who computes beside them.
        asked: the requests.
        policy: over servers: who runs next, as in `engine.load`; each group is a class of its own
            number. None: plain threads.
        servers: how many, with a policy.
        cpus: where groups and servers stay.
        client_cpu: where the client and who ends slices stay; None: wherever.
        endless_us: computing of one operation of an endless group.
        drop_late: a request whose deadline is over when its turn comes is dropped. What a policy
            drops is dropped anyhow.
        events: trace, with `room`.
        stop: ends the measurement when set.
        watch: called about twenty times a second with the progress.

    Raises:
        ValueError: an argument is not allowed; or a policy without slices beside an endless group:
            nothing would take that off its server.
        NoPolicy: there is no such policy or option.
        PolicyFault: the policy is wrong.
        EngineError: a system call failed.
        Stopped: `stop` was set.
    """
    _check(groups, asked, policy)
    servers = servers if policy is not None else 0
    checks.whole(int(policy is not None), checks.MOST_THREADS, servers=servers)
    checks.cpus(cpus, needed=policy is not None)
    checks.cpus(() if client_cpu is None else (client_cpu,))
    checks.times(1e-6, endless_us=endless_us)
    count = asked.arrival_ns.size
    turns = np.maximum(1, np.round(asked.service_us * engine.turns_per_us())).astype(np.uint64)
    latency, late = np.full(count, NEVER_CAME, np.int64), np.zeros(count, np.uint64)
    spec = ffi.new("struct lab_requests *")
    kinds = ffi.new("struct lab_group[]", len(groups))
    for index, group in enumerate(groups):
        _fill(kinds[index], group)
    spec.umcg, spec.servers = policy is not None, servers
    spec.groups, spec.nr_groups = kinds, len(groups)
    spec.nr_cpus = len(cpus)
    for index, cpu in enumerate(cpus):
        spec.cpus[index] = cpu
    spec.client_cpu = -1 if client_cpu is None else client_cpu
    spec.requests, spec.drop_late = count, drop_late
    kept = [kinds]
    for name, kind, values in (
        ("arrival_ns", "uint64", asked.arrival_ns),
        ("turns", "uint64", turns),
        ("group", "uint8", asked.group),
        ("priority", "int32", asked.priority),
        ("deadline_ns", "uint64", asked.deadline_ns),
        ("latency_ns", "int64", latency),
        ("late_ns", "uint64", late),
    ):
        if values is not None:
            kept.append(np.ascontiguousarray(values, kind))
            setattr(spec, name, ffi.cast(f"{kind}_t *", ffi.from_buffer(kept[-1])))
    spec.endless_turns = engine.turns(endless_us)
    of_events = room(groups, count, int(asked.arrival_ns[-1]), servers)
    given = of_events if events else engine.Room(of_events.threads + servers)
    with engine.choose(spec.policy, "fifo" if policy is None else policy) as host:
        outcome = engine.measure(given, lambda run: lib.lab_requests(run, spec), stop, watch, host)
    del kept
    names = [group.name for group in groups for _ in range(group.threads)]
    return Served(
        latency,
        late,
        int(spec.elapsed_ns),
        int(spec.cpu_ns),
        [int(kinds[index].cpu_ns) for index in range(len(groups))],
        [int(kinds[index].ops) for index in range(len(groups))],
        int(spec.preempts),
        outcome,
        names + [""] * (len(outcome.tasks) - len(names)),
    )
