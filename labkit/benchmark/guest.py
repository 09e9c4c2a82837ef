# SPDX-License-Identifier: MIT
"""Measure here: `python -m labkit.benchmark.guest FILE RIGOR PART PARTS new|resume [SUITE]...`.

The part of `labkit bench` that runs on the patched kernel. FILE is written every few seconds, so
whatever ends this process, what was measured stays; not before something was. `resume` goes on
with what an earlier run has left in FILE, and measures anew what that has not ended.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from labkit import environment
from labkit.analysis.compare import NotComparable
from labkit.benchmark import compare, suite
from labkit.benchmark.results import Results, SuiteResult, load
from labkit.benchmark.suite import RIGORS, Bench, Rigor, Suite
from labkit.experiments.alone import Busy, Disturbed, alone
from labkit.native import engine
from labkit.progress import Line, duration

#: Seconds from one saving to the next: a file with everything takes a guest a second or two.
_SAVE_EVERY_S = 10.0


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
        words = Path("/proc/cmdline").read_text(encoding="utf-8").split()
    except OSError:
        return ""
    return " ".join(sorted(word for word in words if word.startswith(_SCHEDULING)))


def _rigor(name: str, parts: int) -> Rigor:
    rigor = RIGORS[name]
    return replace(rigor, repetitions=-(-rigor.repetitions // parts))


def _measure(one: Suite, results: Results, file: Path, part: int, position: str) -> None:
    before = results.suites.get(one.name, SuiteResult())
    if before.error or before.parts > part:
        return  # in an earlier boot, and that stays said; or measured before this run was resumed
    line = Line(f"{position} {one.name:8}")
    rigor = _rigor(results.rigor, results.environment["boots"])
    kept = results.suites[one.name] = SuiteResult()
    kept.spec = {**one.spec, "scale": rigor.scale}

    saved = time.monotonic() - _SAVE_EVERY_S

    def save_now() -> None:
        kept.samples = before.samples + bench.samples
        kept.counters = before.counters | bench.counters
        kept.distributions = before.distributions | {
            name: before.distributions[name].merged(shape)
            if name in before.distributions
            else shape
            for name, shape in bench.distributions().items()
        }
        kept.notes = list(dict.fromkeys(before.notes + bench.notes))
        kept.seconds = round(before.seconds + line.seconds, 1)
        # Earlier results stay in the file until there is one that replaces them.
        if any(one.samples or one.counters or one.distributions for one in results.suites.values()):
            results.save(file)

    def save() -> None:
        nonlocal saved
        if time.monotonic() - saved >= _SAVE_EVERY_S:
            save_now()
            saved = time.monotonic()

    bench = Bench(
        rigor,
        first=part * rigor.repetitions,
        progress=line.show,
        saved=save,
    )
    kept.stopped = True
    said = "  interrupted"
    try:
        one.measure(bench)
        kept.stopped, kept.parts, said = False, part + 1, ""
    except (engine.EngineError, Disturbed, OSError) as error:
        kept.stopped, kept.error = False, str(error)
        said = f"  failed: {error}"
    finally:
        save_now()
        line.end(f"{duration(line.seconds)}{said}")


def _resumed(file: Path, rigor: str, suites: Sequence[Suite], here: Results) -> Results:
    """What `file` has of such a run, without what is to be measured anew.

    Raises:
        NotComparable: it was made in another way, elsewhere, or on another kernel.
    """
    results = load(file)
    differs = compare.check(results, here)
    if results.rigor != rigor or any(
        results.environment.get(key) != here.environment[key] for key in ("build", "boots")
    ):
        raise NotComparable(
            f"{file} cannot be gone on with ({'; '.join(differs)}): without --resume it is replaced"
        )
    for one in suites:
        if not parts_done(results, one):
            results.suites.pop(one.name, None)
    return results


def parts_done(results: Results, one: Suite) -> int:
    """In how many boots a resumed run need not measure a suite: 0 if it has not been ended."""
    kept = results.suites.get(one.name)
    # As a file gives it back.
    spec = json.loads(json.dumps({**one.spec, "scale": RIGORS[results.rigor].scale}))
    if kept is None or kept.stopped or kept.error or kept.spec != spec:
        return 0
    return kept.parts


def measure(
    file: Path,
    rigor: str,
    names: Sequence[str],
    part: int = 0,
    parts: int = 1,
    resume: bool = False,
) -> Results:
    """Measure these suites (none: all) and keep them in `file`; one that fails ends only itself.

    Args:
        file: where to; from the second part on it has the parts before.
        rigor: a name of `RIGORS`.
        names: which suites.
        part: which part of the repetitions, from 0 on.
        parts: of so many; each is a boot of its own.
        resume: go on with the run in `file`: suites that it has to their end stay as they are,
            others are measured anew.

    Raises:
        Busy: an experiment runs on this machine.
        NotComparable: the run in `file` cannot be resumed here; says why.
        KeyboardInterrupt: after what was measured has been kept.
    """
    suites = suite.load(names)
    here = {"build": build_id(), "boot_options": boot_options(), "boots": parts}
    results = Results(rigor, environment.collect() | here)
    if resume:
        results = _resumed(file, rigor, suites, results)
    elif part:
        results = load(file)
    with alone("the benchmark"):
        engine.turns_per_us()
        for number, one in enumerate(suites, 1):
            boot = f"boot {part + 1}/{parts} " if parts > 1 else ""
            _measure(one, results, file, part, f"{boot}{number:2}/{len(suites)}")
    return results


if __name__ == "__main__":
    file, rigor, part, parts, way, *names = sys.argv[1:]
    try:
        made = measure(Path(file), rigor, names, int(part), int(parts), way == "resume")
        sys.exit(1 if made.failures else 0)
    except (Busy, NotComparable) as error:
        sys.exit(f"labkit: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
