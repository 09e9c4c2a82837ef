# SPDX-License-Identifier: MIT
"""What a sweep is made of: points, one simulation each, and how each is told from all others."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import labkit
from labkit.sim import Costs, SettingError, building, policies
from labkit.workload import Periodic, Poisson, Workload, from_dict, to_dict


def scaled(workload: Workload, load: float) -> Workload:
    """The workload with `load` times as many arrivals in its open loops.

    Raises:
        SettingError: it has no open loop (poisson, periodic), or `load` is not above 0.
    """
    if isinstance(load, bool) or not isinstance(load, int | float) or not 0 < load < 1e6:
        raise SettingError(f"load is {load!r}; give a number above 0, such as 0.5")
    if load == 1:
        return workload
    classes, changed = [], False
    for of in workload.classes:
        arrivals = of.arrivals
        if isinstance(arrivals, Poisson):
            arrivals = Poisson(arrivals.rate_per_s * load)
        elif isinstance(arrivals, Periodic):
            arrivals = Periodic(max(1, round(int(arrivals.period) / load)), arrivals.offset)
        changed |= arrivals is not of.arrivals
        classes.append(dataclasses.replace(of, arrivals=arrivals))
    if not changed:
        raise SettingError(
            f"load is {load:g}, and the workload {workload.name!r} has no open loop (poisson,"
            " periodic) that could be scaled"
        )
    return dataclasses.replace(workload, classes=tuple(classes))


@dataclass(frozen=True)
class Point:
    """One simulation of a sweep. `object` is the file of a policy that is not labkit's own."""

    policy: str
    workload: str
    load: float
    servers: int
    seed: int
    costs: Costs
    described: str
    object: bytes = b""

    @property
    def key(self) -> str:
        """A digest of everything that the numbers depend on."""
        fields = dataclasses.asdict(self) | {"object": hashlib.sha256(self.object).hexdigest()}
        text = json.dumps([labkit.__version__, fields], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def scaled(self) -> Workload:
        """What there is to do."""
        return scaled(from_dict(json.loads(self.described)), self.load)


def _several(name: str, values: Sequence[Any]) -> Sequence[Any]:
    if isinstance(values, str) or not values:
        raise SettingError(f"{name} is {values!r}; give one or more")
    for value in values:
        if list(values).count(value) > 1:
            raise SettingError(f"{name}: {value!r} stands there twice")
    return values


def _object(policy: str) -> bytes:
    """The shared object of a policy, b"" for one of labkit's; it is looked at first."""
    name, _ = policies.split(policies.resolve(policy))
    if not policies.is_file(name):
        return b""
    building.look(Path(name))
    return Path(name).read_bytes()


def grid(
    workloads: Sequence[Workload],
    policies: Sequence[str],
    servers: Sequence[int],
    seeds: Sequence[int],
    loads: Sequence[float],
    costs: Costs,
) -> list[Point]:
    """Every combination, the seeds varying fastest.

    Raises:
        ChoiceError: there is no such policy.
        SettingError: a list is empty or names something twice, or a load cannot be.
    """
    for policy in _several("policies", policies):
        if not isinstance(policy, str):
            raise SettingError(f"policies: {policy!r} is no name; a sweep takes policies by name")
    _several("workloads", [workload.name for workload in workloads])
    for workload, load in itertools.product(workloads, _several("loads", loads)):
        scaled(workload, load)
    objects = {policy: _object(policy) for policy in policies}
    described = {w.name: json.dumps(to_dict(w), sort_keys=True) for w in workloads}
    return [
        Point(policy, w.name, float(load), of, seed, costs, described[w.name], objects[policy])
        for w, policy, load, of, seed in itertools.product(
            workloads,
            policies,
            loads,
            _several("servers", servers),
            _several("seeds", seeds),
        )
    ]
