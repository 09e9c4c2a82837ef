# SPDX-License-Identifier: MIT
"""MariaDB's point selects beside analytical scans, over umcg-run and with plain threads.

`python -m labkit.programs.database [REPETITIONS [POLICY]]` on the patched kernel, or, with
`--icount` before them, in a microVM of one CPU whose clock counts instructions. Both servers are
up all the time, their clients work alternately, and a table has medians, ratios with 95 %
intervals, and what they should be.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

from labkit import vm
from labkit.programs import server
from labkit.programs.install import ProgramsError
from labkit.programs.mariadb import Mariadb
from labkit.programs.recording import umcg_run
from labkit.verdict import ratio_of

#: How often, how long (s), and the policy.
REPETITIONS, SECONDS, POLICY = 7, 2.0, "las:long_percent=38"

#: What a ratio of umcg-run over plain threads should be: at most, at least.
GOALS = {
    "selects/p99": ("<=", 0.3),
    "selects": (">=", 1.2),
    "selects/max": ("<=", 1.5),
    "scans": (">=", 0.75),
}


def measure(repetitions: int, policy: str) -> dict[str, dict[str, list[float]]]:
    """Values by way (`plain`, `umcg`) and by what was measured."""
    wrapper = [umcg_run(), "--strict", f"--policy={policy}"]
    found: dict[str, dict[str, list[float]]] = {"plain": {}, "umcg": {}}
    with Mariadb() as plain, Mariadb(wrapper) as umcg:
        for done in range(repetitions + 1):
            for way, database in (("plain", plain), ("umcg", umcg)):
                for name, value, _unit, _n in database.work(SECONDS):
                    # The first is to get warm.
                    if done:
                        found[way].setdefault(name, []).append(value)
    return found


def table(found: dict[str, dict[str, list[float]]]) -> list[str]:
    """A line for each goal."""
    lines = ["| | plain | umcg-run | ratio | goal | |", "|---|--:|--:|--:|--:|---|"]
    for name, (sign, goal) in GOALS.items():
        plain, umcg = (np.array(found[way][name]) for way in ("plain", "umcg"))
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
    words = sys.argv[1:]
    if words[:1] == ["--icount"]:
        options = vm.VmOptions(cpus=1, accelerator="tcg", icount=True, hang_timeout_s=3600)
        return vm.execute([sys.executable, str(Path(__file__)), *words[1:]], options)
    if "icount" in os.environ.get("LABKIT_ACCELERATOR", ""):
        # While the host reads a file for the guest that one's clock runs far ahead.
        server.START_S = server.STOP_S = 1e6
    repetitions = int(words[0]) if words else REPETITIONS
    policy = words[1] if len(words) > 1 else POLICY
    try:
        found = measure(repetitions, policy)
    except ProgramsError as error:
        print(f"labkit: {error}", file=sys.stderr)
        return 1
    print(f"umcg-run --policy={policy}, {os.cpu_count()} CPUs, {repetitions} times {SECONDS:g} s")
    print("\n".join(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
