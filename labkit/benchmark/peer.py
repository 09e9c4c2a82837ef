# SPDX-License-Identifier: MIT
"""Runs the field's own programs in a guest and prints what they say as JSON.

A script of its own, standard library only, as it runs on the unpatched kernel, too:
`peer.py REPETITIONS SCALE`.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any


def _pipe(scale: float) -> tuple[list[str], Callable[[str], dict[str, float]]]:
    loops = max(200, round(4000 * scale))
    command = ["perf", "bench", "sched", "pipe", "-l", str(loops)]
    return command, lambda out: {"µs/round trip": float(re.findall(r"([\d.]+) usecs/op", out)[0])}


def _messaging(scale: float) -> tuple[list[str], Callable[[str], dict[str, float]]]:
    loops = max(2, round(20 * scale))
    command = ["perf", "bench", "sched", "messaging", "-g", "1", "-l", str(loops)]
    return command, lambda out: {"s": float(re.findall(r"Total time: ([\d.]+)", out)[0])}


def _hackbench(scale: float) -> tuple[list[str], Callable[[str], dict[str, float]]]:
    loops = max(2, round(20 * scale))
    command = ["hackbench", "-g", "1", "-l", str(loops), "-T"]
    return command, lambda out: {"s": float(re.findall(r"Time: ([\d.]+)", out)[0])}


def _cyclictest(scale: float) -> tuple[list[str], Callable[[str], dict[str, float]]]:
    loops = max(50, round(500 * scale))
    command = ["cyclictest", "-q", "-m", "-p", "80", "-i", "1000", "-l", str(loops), "-h", "100000"]

    def parse(out: str) -> dict[str, float]:
        # One line for each microsecond: how many wake-ups were so late.
        late = [(int(us), int(n)) for us, n in re.findall(r"^(\d+)\s+(\d+)$", out, re.MULTILINE)]
        # Those beyond the histogram count, too: a quantile among them is not there.
        beyond = re.findall(r"Histogram Overflows: *(\d+)", out)
        total, seen, quantiles = sum(n for _, n in late) + sum(map(int, beyond)), 0, {}
        for us, n in late:
            seen += n
            for name, share in (("µs p50", 0.5), ("µs p99", 0.99)):
                if name not in quantiles and seen >= share * total:
                    quantiles[name] = float(us)
        return quantiles

    return command, parse


PROGRAMS = {
    "perf bench sched pipe": _pipe,
    "perf bench sched messaging": _messaging,
    "hackbench": _hackbench,
    "cyclictest": _cyclictest,
}


def main(repetitions: int, scale: float) -> dict[str, Any]:
    """Values by program and unit, `missing` programs, `failed` ones with why, the `kernel`."""
    found: dict[str, Any] = {"values": {}, "commands": {}, "missing": [], "failed": {}}
    found["kernel"] = f"{os.uname().release} {os.uname().version}"
    for repetition in range(-1, repetitions):  # the first one warms up
        for name, make in PROGRAMS.items():
            command, parse = make(scale)
            if not shutil.which(command[0]):
                if name not in found["missing"]:
                    found["missing"].append(name)
                continue
            if name in found["failed"]:
                continue
            print(f"{name} {repetition + 2}/{repetitions + 1}", file=sys.stderr, flush=True)
            begin = time.monotonic()
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            try:
                if done.returncode:
                    raise ValueError(f"exit code {done.returncode}")
                values = parse(done.stdout)
            except (ValueError, IndexError) as error:
                said = (done.stderr or done.stdout).strip()[-300:]
                found["failed"][name] = f"{error} after {time.monotonic() - begin:.0f} s: {said}"
                continue
            found["commands"][name] = " ".join(command)
            for unit, value in values.items():
                if repetition >= 0:
                    found["values"].setdefault(name, {}).setdefault(unit, []).append(value)
    return found


if __name__ == "__main__":
    json.dump(main(int(sys.argv[1]), float(sys.argv[2])), sys.stdout)
