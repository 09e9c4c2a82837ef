# SPDX-License-Identifier: MIT
"""`python -m labkit.bench.guest FILE RIGOR PART PARTS [SUITE]...`: measure here, keep it in FILE.

The part of `labkit bench` that runs on the patched kernel. FILE is written after every round, so
whatever ends this process, what was measured stays.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from labkit import environment
from labkit.bench import suite
from labkit.bench.results import Results, SuiteResult, load
from labkit.bench.suite import RIGORS, Bench, Rigor, Suite
from labkit.native import engine

_WIDTH = 24


def build_id() -> str:
    """The running kernel's build id, shortened; changes with every change of its code."""
    try:
        return hashlib.sha256(Path("/sys/kernel/notes").read_bytes()).hexdigest()[:12]
    except OSError:
        return ""


#: Words of the kernel's command line that change how it schedules, or what a switch costs.
_SCHEDULING = ("preempt=", "isolcpus=", "nohz", "mitigations=", "threadirqs", "rcu_nocbs")


def boot_options() -> str:
    """Those of the running kernel, in order."""
    try:
        words = Path("/proc/cmdline").read_text().split()
    except OSError:
        return ""
    return " ".join(sorted(word for word in words if word.startswith(_SCHEDULING)))


class _Show:
    """Progress on stderr: a bar on a terminal, else one line a suite."""

    def __init__(self, name: str, position: str) -> None:
        self._name = f"{position} {name:8}"
        self._terminal = sys.stderr.isatty()

    def __call__(self, done: int, total: int, what: str) -> None:
        if self._terminal:
            bar = "#" * (_WIDTH * done // total)
            line = f"{self._name} [{bar:{_WIDTH}}] {done}/{total} {what}"
            print(f"\r\033[K{line[:100]}", end="", file=sys.stderr, flush=True)

    def end(self, seconds: float, said: str) -> None:
        start = "\r\033[K" if self._terminal else ""
        print(f"{start}{self._name} {seconds:.0f} s{said}", file=sys.stderr, flush=True)


def _rigor(name: str, parts: int) -> Rigor:
    rigor = RIGORS[name]
    return replace(rigor, repetitions=-(-rigor.repetitions // parts))


def _measure(one: Suite, results: Results, file: Path, part: int, position: str) -> None:
    before = results.suites.get(one.name, SuiteResult())
    if before.error:
        return  # in an earlier boot, and that stays said
    show = _Show(one.name, position)
    rigor = _rigor(results.rigor, results.environment["boots"])
    kept = results.suites[one.name] = SuiteResult()
    kept.spec = {**one.spec, "scale": rigor.scale}

    def save() -> None:
        kept.samples = before.samples + bench.samples
        kept.counters = before.counters | bench.counters
        kept.distributions = before.distributions | {
            name: before.distributions[name].merged(shape)
            if name in before.distributions
            else shape
            for name, shape in bench.distributions().items()
        }
        kept.notes = list(dict.fromkeys(before.notes + bench.notes))
        kept.seconds = round(before.seconds + time.monotonic() - begin, 1)
        results.save(file)

    begin = time.monotonic()
    bench = Bench(
        rigor,
        umcg=engine.enabled(),
        first=part * rigor.repetitions,
        progress=show,
        saved=save,
    )
    kept.stopped = True
    said = "  interrupted"
    try:
        one.measure(bench)
        kept.stopped, said = False, ""
    except (engine.EngineError, OSError) as error:
        kept.stopped, kept.error = False, str(error)
        said = f"  failed: {error}"
    finally:
        save()
        show.end(time.monotonic() - begin, said)


def measure(file: Path, rigor: str, names: Sequence[str], part: int = 0, parts: int = 1) -> Results:
    """Measure these suites (none: all) and keep them in `file`; one that fails ends only itself.

    Args:
        file: where to; from the second part on it has the parts before.
        rigor: a name of `RIGORS`.
        names: which suites.
        part: which part of the repetitions, from 0 on.
        parts: of so many; each is a boot of its own.

    Raises:
        KeyboardInterrupt: after what was measured has been kept.
    """
    suites = suite.load(names)
    if part:
        results = load(file)
    else:
        here = {"build": build_id(), "boot_options": boot_options(), "boots": parts}
        results = Results(rigor, environment.collect() | here)
    engine.turns_per_us()
    for number, one in enumerate(suites, 1):
        boot = f"boot {part + 1}/{parts} " if parts > 1 else ""
        _measure(one, results, file, part, f"{boot}{number:2}/{len(suites)}")
    return results


if __name__ == "__main__":
    file, rigor, part, parts, *names = sys.argv[1:]
    try:
        made = measure(Path(file), rigor, names, int(part), int(parts))
        sys.exit(1 if made.failures else 0)
    except KeyboardInterrupt:
        sys.exit(130)
