# SPDX-License-Identifier: MIT
"""MariaDB's point selects beside analytical scans, over umcg-run and with plain threads.

`python -m labkit.programs.database [REPETITIONS [POLICY ...]]` on the patched kernel, or, with
`--icount` before them, in a microVM of one CPU whose clock counts instructions. Options of umcg-run
may follow a policy in its word: "las --pass-on". A server with plain threads and one for each
policy are up all the time, their clients work in turn, and tables have medians, ratios with 95 %
intervals, and what they should be.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

import numpy as np

from labkit.programs import POLICY, counted
from labkit.programs.install import ProgramsError, find
from labkit.programs.mariadb import Mariadb
from labkit.programs.recording import umcg_run
from labkit.verdict import ratio_of

#: How often, how long (s), and the policies.
REPETITIONS, SECONDS, POLICIES = 7, 2.0, (POLICY, "las:long_percent=56")

#: What a ratio of umcg-run over plain threads should be: at most, at least.
GOALS = {
    "selects/p99": ("<=", 0.3),
    "selects": (">=", 1.2),
    "selects/max": ("<=", 1.5),
    "scans": (">=", 0.75),
}


#: Values by what was measured.
Values = dict[str, list[float]]


def measure(repetitions: int, policies: Sequence[str]) -> list[Values]:
    """Of plain threads, then of each policy."""
    wrappers = [
        [],
        *([umcg_run(), "--strict", *f"--policy={policy}".split()] for policy in policies),
    ]
    found: list[Values] = [{} for _ in wrappers]
    with contextlib.ExitStack() as running:
        databases = [running.enter_context(Mariadb(wrapper)) for wrapper in wrappers]
        for done in range(repetitions + 1):
            for values, database in zip(found, databases, strict=True):
                for name, value, _unit, _n in database.work(SECONDS):
                    # The first is to get warm.
                    if done:
                        values.setdefault(name, []).append(value)
    return found


def table(plain_values: Values, umcg_values: Values) -> list[str]:
    """A line for each goal."""
    lines = ["| | plain | umcg-run | ratio | goal | |", "|---|--:|--:|--:|--:|---|"]
    for name, (sign, goal) in GOALS.items():
        plain, umcg = (np.array(values[name]) for values in (plain_values, umcg_values))
        ratio, low, high = ratio_of(umcg, plain)
        holds = ratio <= goal if sign == "<=" else ratio >= goal
        scale, unit = (1e-6, " ms") if "/" in name else (1, "/s")
        medians = [f"{np.median(values) * scale:.1f}{unit}" for values in (plain, umcg)]
        lines.append(
            f"| {name} | {medians[0]} | {medians[1]} "
            f"| {ratio:.2f} ({low:.2f} to {high:.2f}) | {sign} {goal} | "
            f"{'holds' if holds else 'missed'} |"
        )
    return lines


def main() -> int:
    """See above."""
    parser = counted.parser(__doc__, REPETITIONS)
    parser.add_argument("policies", metavar="POLICY", nargs="*", default=POLICIES)
    asked = parser.parse_args()
    repetitions, policies = asked.repetitions, asked.policies
    try:
        # Said before a machine is booted for it.
        umcg_run(), find("mariadbd"), find("sysbench")
        if asked.icount:
            return counted.boot(__file__, [str(repetitions), *policies])
        counted.be_patient()
        plain, *umcg = measure(repetitions, policies)
    except ProgramsError as error:
        print(f"labkit: {error}", file=sys.stderr)
        return 1
    for policy, values in zip(policies, umcg, strict=True):
        print(
            f"umcg-run --policy={policy}, {os.cpu_count()} CPUs, {repetitions} times {SECONDS:g} s"
        )
        print("\n".join(table(plain, values)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
