# SPDX-License-Identifier: MIT
"""`python -m labkit.bench.guest FILE RIGOR [SUITE]...`: measure the suites here, keep them in FILE.

The part of `labkit bench` that runs on the patched kernel. FILE is written after every round, so
whatever ends this process, what was measured stays.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from labkit import environment
from labkit.bench import suite
from labkit.bench.results import Results, SuiteResult
from labkit.bench.suite import RIGORS, Bench, Suite
from labkit.native import engine

_WIDTH = 24


def build_id() -> str:
    """The running kernel's build id, shortened; changes with every change of its code."""
    try:
        return hashlib.sha256(Path("/sys/kernel/notes").read_bytes()).hexdigest()[:12]
    except OSError:
        return ""


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


def _measure(one: Suite, results: Results, file: Path, position: str) -> None:
    show = _Show(one.name, position)
    kept = results.suites[one.name] = SuiteResult()
    kept.spec = {**one.spec, "scale": RIGORS[results.rigor].scale}

    def save() -> None:
        kept.samples, kept.counters = bench.samples, bench.counters
        kept.distributions, kept.notes = bench.distributions(), bench.notes
        kept.seconds = round(time.monotonic() - begin, 1)
        results.save(file)

    begin = time.monotonic()
    bench = Bench(RIGORS[results.rigor], umcg=engine.enabled(), progress=show, saved=save)
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
        show.end(kept.seconds, said)


def measure(file: Path, rigor: str, names: Sequence[str]) -> Results:
    """Measure these suites (none: all) and keep them in `file`; one that fails ends only itself.

    Raises:
        KeyboardInterrupt: after what was measured has been kept.
    """
    suites = suite.load(names)
    results = Results(rigor, environment.collect() | {"build": build_id()})
    engine.turns_per_us()
    for number, one in enumerate(suites, 1):
        _measure(one, results, file, f"{number:2}/{len(suites)}")
    return results


if __name__ == "__main__":
    try:
        sys.exit(1 if measure(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]).failures else 0)
    except KeyboardInterrupt:
        sys.exit(130)
