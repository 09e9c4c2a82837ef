# SPDX-License-Identifier: MIT
"""The steps of `make test`, `make test-fast`, `make test-all`, `make test-matrix`.

Every step is made even if one before it has failed, unless it needs that one. Steps run in lanes:
one after another in a lane, so that two never measure on one kernel at a time, and three lanes
beside each other: tests wait a lot, and two lanes fill hardly half of two cores. What a step says
is kept in `out/test/NAME.log`, and shown when it has ended. The exit code is 0 if all passed, 1 if
not, 130 after Ctrl-C. The last line counts all tests of all steps; a step whose program does not
count is one test.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from labkit import progress
from labkit.vm import this_python

PROJECT = Path(__file__).resolve().parents[1]
LOGS = PROJECT / "out" / "test"

#: Lines of a failed step that the end repeats.
TAIL = 15

#: Steps beside each other, and seconds after which it is said again how far they are.
LANES, SAY_AGAIN = 3, 60

#: Seconds that interrupted steps have to end by themselves.
GRACE = 30

#: A step that has said nothing for so many seconds hangs: it is asked where, and ended. A browser's
#: test of four minutes took more than fifteen on a slow machine, beside two other lanes.
#: A notebook's cell has less, so that it is named; so has a guest whose heart does not beat: two
#: minutes may go by on a machine that runs three of them without KVM.
SILENT, CELL, HEART = 1800, 900, 600

PYTEST = "pytest -q"
NOTEBOOKS = (
    "-q -p no:cacheprovider -p nbmake.pytest_plugin --timeout=3600 "
    f"--nbmake --nbmake-timeout={CELL}"
)


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: short, as its log is called.
        what: what it checks.
        seconds: how long it may take on two cores that do nothing else, without KVM, when
            everything that is built once is built.
        command: what is run, in the project's folder, with the tools of `.venv` first in the path.
        lane: `here` and `unit`, on this machine's own kernel; `guest`, `kernel` and `machines`, in
            virtual machines. Only what is in `guest` is judged by how long something takes.
        needs: a step without which this one cannot be.
    """

    name: str
    what: str
    seconds: int
    command: str
    lane: str = "here"
    needs: str = ""


def _guest(name: str, what: str, seconds: int, command: str, lane: str = "guest") -> Step:
    return Step(name, what, seconds, command, lane=lane, needs="image")


def _python_in_guest(arguments: str) -> str:
    python = shlex.quote(sys.executable)
    frozen = " ".join(f"--frozen {shlex.quote(str(folder))}" for folder in this_python())
    return f"labkit vm exec --hang-timeout {HEART} {frozen} -- {python} {arguments}"


def _pytest_in_guest(arguments: str) -> str:
    return _python_in_guest(f"-m {PYTEST} {arguments}")


def _after(first: str, then: str) -> str:
    return f"sh -c {shlex.quote(f'{first} && exec {then}')}"


# And libumcg: a guest and this machine must not build it beside each other, as the lock of a build
# does not hold between them. A build fills all CPUs, and tests wait half of the time: it has what
# they leave.
IMAGE = Step(
    "image",
    "the patched kernel and libumcg, built once",
    5,
    "nice -n 19 make -C kernel image libumcg",
    lane="kernel",
)

LINT = Step("lint", "ruff, mypy, shell syntax", 20, "make lint")

FAST = (
    LINT,
    Step(
        "unit-fast",
        "labkit on this machine's own kernel, but for the tests that take seconds",
        120,
        f"{PYTEST} -n 2 --dist worksteal -m 'not long and not slow' tests/unit",
        lane="unit",
    ),
)

TEST = (
    IMAGE,
    _guest(
        "guest",
        "labkit and suites of bench on the patched kernel",
        240,
        _pytest_in_guest("-m 'not matrix and not long' tests/guest tests/bench"),
    ),
    LINT,
    Step("unit", "labkit on this machine's own kernel", 220, f"{PYTEST} -m 'not long' tests/unit"),
    Step(
        "host",
        "libumcg on this machine's own kernel, its man pages, its installation",
        10,
        "make -C kernel check-host",
    ),
    _guest(
        "kernel",
        "conformance programs, libumcg, scheduler and umcg-run on the patched kernel, two CPUs",
        180,
        "make -C kernel check CPUS=2 SIZES=short",
        lane="kernel",
    ),
    _guest(
        "icount",
        "instructions of every hand-off against the baseline",
        20,
        "labkit bench --icount",
        lane="kernel",
    ),
    _guest("vm-quick", "the microVM, briefly", 15, f"{PYTEST} -m quick tests/vm", lane="kernel"),
)

ALL = (
    IMAGE,
    Step(
        "vagrant",
        "a real `vagrant up` from the Vagrantfile, a notebook in that machine, its end",
        700,
        "env LABTEST_BRIEF=1 python tests/vagrant/run.py",
        lane="machines",
    ),
    _guest(
        "guest-long",
        "labkit and suites of bench on the patched kernel: what takes longer",
        200,
        _pytest_in_guest("-m long --ignore tests/guest/test_umcg_ends.py tests/guest tests/bench"),
    ),
    _guest(
        "ends",
        "whatever ends a group early: the exception comes, the workers go, the process ends",
        300,
        # The engine with the address sanitizer is compiled here: a guest takes a minute for it.
        _after(
            "python tests/guest/sanitized.py",
            _pytest_in_guest("tests/guest/test_umcg_ends.py"),
        ),
        lane="kernel",
    ),
    _guest(
        "vm",
        "the microVM: Ctrl-C, panic, hang, out of memory",
        150,
        f"{PYTEST} -m 'not quick' tests/vm",
        lane="kernel",
    ),
    _guest(
        "jupyter-umcg",
        "the Jupyter kernel: start, interrupt, restart, panic, two at once, shutdown",
        150,
        f"{PYTEST} -m 'vm and not classroom' tests/jupyter",
        lane="kernel",
    ),
    _guest(
        "classroom",
        "nbgrader; JupyterHub with two users at once, each on a guest of its own",
        240,
        f"{PYTEST} -m classroom tests/jupyter",
        lane="kernel",
    ),
    _guest(
        "browser",
        "JupyterLab in Chromium: notebook 02 on the patched kernel",
        240,
        f"{PYTEST} tests/browser",
        lane="kernel",
    ),
    _guest(
        "notebooks-umcg",
        "every notebook, on the patched kernel",
        900,
        # What is written to a deleted file, as pytest keeps what is said, is lost on 9p.
        _python_in_guest(f"tests/notebooks/forked.py {NOTEBOOKS} --capture=sys notebooks"),
    ),
    Step(
        "jupyter",
        "the Jupyter kernel as far as it needs no guest",
        25,
        f"{PYTEST} -m 'not vm and not classroom' tests/jupyter",
    ),
    Step(
        "notebooks",
        "every notebook, on plain Python with recorded runs and the simulator",
        90,
        f"pytest {NOTEBOOKS} --nbmake-kernel=python3 notebooks",
    ),
    Step("unit-long", "the longest of labkit's tests", 150, f"{PYTEST} -m long tests/unit"),
)

MATRIX = (
    IMAGE,
    Step(
        "vagrant-life",
        "the whole life of Vagrant's machine: halt, up with other CPUs, provision again",
        1000,
        "python tests/vagrant/run.py",
        lane="machines",
    ),
    _guest(
        "guest-matrix",
        "labkit on the patched kernel: every combination, the slowest defaults and suites",
        600,
        _pytest_in_guest("-m matrix tests/guest tests/bench"),
    ),
    _guest(
        "programs",
        "Python's own programs under umcg-run (Java, Node and servers: `make test-programs`)",
        240,
        "make test-programs QUICK=1",
        lane="kernel",
    ),
    _guest(
        "kernel-full",
        "what `kernel` leaves out: the longest programs, libumcg's tests as long as they are",
        240,
        "make -C kernel check CPUS=2 SIZES=rest",
        lane="kernel",
    ),
)

PLANS = {"fast": FAST, "test": TEST, "all": ALL, "matrix": MATRIX}

#: Seconds that the kernel's build takes where it has not been built yet.
BUILD = 600


def _with_build(step: Step) -> Step:
    """The step, with the time of the kernel's build if that is still to be done."""
    if step is not IMAGE:
        return step
    said = subprocess.run(
        ["make", "-s", "-C", "kernel", "where"], cwd=PROJECT, capture_output=True, text=True
    )
    where = dict(line.partition("=")[::2] for line in said.stdout.splitlines())
    return step if Path(where.get("IMAGE", "")).is_file() else replace(step, seconds=BUILD)


_PYTEST_END = re.compile(r"^=* ?(?:\d+ [a-z]+, )*\d+ [a-z]+ in [\d.]+s\b", re.M)
_KERNEL_END = re.compile(r"^\d+ passed, \d+ failed, \d+ skipped$", re.M)
_PASS = re.compile(r"^PASS ", re.M)
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|error)")


def counts(log: str) -> dict[str, int]:
    """What the closing lines in a log count: `passed`, `failed`, `skipped`."""
    found: dict[str, int] = {}
    for line in _PYTEST_END.findall(log) + _KERNEL_END.findall(log):
        for number, word in _COUNT.findall(line):
            word = "failed" if word == "error" else word
            found[word] = found.get(word, 0) + int(number)
    # libumcg's checks on this machine say PASS of each, and count nothing.
    passed = len(_PASS.findall(log))
    return found or ({"passed": passed} if passed else {})


@dataclass
class Run:
    """A step that has been started."""

    step: Step
    process: subprocess.Popen[bytes] | None = None
    clock: progress.Clock = field(default_factory=progress.Clock)
    code: int | None = None
    seconds: float = 0.0
    size: int = 0
    heard: float = 0.0

    @property
    def log(self) -> Path:
        """What it says."""
        return LOGS / f"{self.step.name}.log"

    def start(self) -> None:
        """Start its command."""
        bin_ = str(Path(sys.executable).parent)
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        # Another run of the tests on this machine need not wait for this one. And none is shared by
        # a guest and this machine: its lock holds on one kernel only, its text is read on both.
        environment["LABKIT_LOCK"] = str(LOGS / f"{self.step.name}.lock")
        environment["PATH"] = f"{bin_}{os.pathsep}{os.environ['PATH']}"
        # Make's own settings are for its own: a `make -n` or `-j` above is not meant for the steps.
        # And hundreds of processes load labkit: to compile it for each is a fifth of that.
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(name, None)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                shlex.split(self.step.command),
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ended(self) -> bool:
        """Has it ended?"""
        if self.code is None and self.process and self.process.poll() is not None:
            self.code, self.seconds = self.process.returncode, self.clock.seconds
        return self.code is not None

    def hangs(self) -> bool:
        """Has it said nothing for too long?"""
        size, now = self.log.stat().st_size, self.clock.seconds
        if size != self.size:
            self.size, self.heard = size, now
        return now - self.heard > SILENT

    def end(self, *first: signal.Signals) -> None:
        """End it with these signals, each after `GRACE` seconds, and with one that it must mind."""
        assert self.process
        for number in (*first, signal.SIGTERM, signal.SIGKILL):
            self.process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)
                return

    def said(self) -> str:
        """All that it has said so far."""
        return self.log.read_text(errors="replace", encoding="utf-8")

    def counted(self) -> dict[str, int]:
        """Its tests by their end."""
        found = counts(self.said())
        if self.code == 0:
            return found or {"passed": 1}
        return {**found, "failed": found.get("failed") or 1}


class Steps:
    """A plan that is being carried out."""

    def __init__(self, plan: list[Step]) -> None:
        self.plan = plan
        self.waiting = list(plan)
        self.running: list[Run] = []
        self.ended: list[Run] = []
        self.left_out: list[Step] = []
        self.clock = progress.Clock()
        self.line = progress.Line("", sys.stdout)
        self.said = 0.0

    def _by_lane(self) -> dict[str, float]:
        """Seconds that the steps of each lane may take that have not begun."""
        lanes: dict[str, float] = {}
        for step in self.waiting:
            lanes[step.lane] = lanes.get(step.lane, 0) + step.seconds
        return lanes

    def _left(self) -> float:
        """Seconds that the rest may take: the longest lane, or what all lanes share."""
        lanes = self._by_lane()
        for run in self.running:
            rest = max(0, run.step.seconds - run.clock.seconds)
            lanes[run.step.lane] = lanes.get(run.step.lane, 0) + rest
        return max([0, sum(lanes.values()) / LANES, *lanes.values()])

    def _words(self) -> str:
        done = len(self.ended) + len(self.left_out)
        return progress.words(done, len(self.plan), self.clock.seconds, self._left())

    def _say(self, text: str) -> None:
        self.said = self.clock.seconds
        self.line.clear()
        print(f"== {text}", flush=True)

    def _failed(self, name: str) -> bool:
        return name in {s.name for s in self.left_out} or any(
            run.step.name == name and run.code for run in self.ended
        )

    def _can(self, step: Step) -> bool:
        """Is its lane free, and has what it needs been done?"""
        busy = {run.step.lane for run in self.running}
        awaited = {s.name for s in self.waiting} | {run.step.name for run in self.running}
        return len(busy) < LANES and step.lane not in busy and step.needs not in awaited

    def _begin(self) -> None:
        """Start what can be started, of the lanes with most before them first."""
        lanes = self._by_lane()
        for step in sorted(self.waiting, key=lambda step: -lanes[step.lane]):
            if self._failed(step.needs):
                self.waiting.remove(step)
                self.left_out.append(step)
                self._say(f"{step.name}: left out, as it needs {step.needs}")
            elif self._can(step):
                takes = progress.duration(step.seconds)
                self._say(f"{self._words()}: {step.name}: {step.what} (about {takes})")
                self.waiting.remove(step)
                self.running.append(Run(step))
                self.running[-1].start()

    def _end(self) -> None:
        """Show what the steps said that have ended; end those that hang."""
        for run in self.running:
            if not run.ended() and run.hangs():
                silent = progress.duration(SILENT)
                self._say(f"{run.step.name} has said nothing for {silent} and is ended")
                run.end(signal.SIGQUIT)  # Python says where it is
        for run in [one for one in self.running if one.ended()]:
            self.running.remove(run)
            self.ended.append(run)
            how = "passed" if run.code == 0 else f"FAILED with exit code {run.code}"
            self._say(f"{run.step.name}: {how}, {progress.duration(run.seconds)}; it said:")
            print(run.said().rstrip("\n"), flush=True)

    def carry_out(self) -> None:
        """Run all steps."""
        while self.waiting or self.running:
            self._begin()
            time.sleep(0.2)
            self._end()
            names = ", ".join(run.step.name for run in self.running)
            done = len(self.ended) + len(self.left_out)
            self.line.show(done, len(self.plan), names, self._left())
            if not self.line.terminal and self.clock.seconds - self.said > SAY_AGAIN:
                self._say(f"{self._words()}: {names}")

    def stop(self, grace: float) -> None:
        """End what runs; what has had Ctrl-C, too, first gets `grace` seconds to tidy up."""
        # An interrupt may come when a step is about to start: then there is nothing to end.
        self.running = [run for run in self.running if run.process]
        end = time.monotonic() + grace
        while not all(run.ended() for run in self.running) and time.monotonic() < end:
            time.sleep(0.2)
        for run in self.running:
            if not run.ended() and run.process:
                run.end()
        self._end()

    def summary(self) -> bool:
        """Print what came out; did all pass?"""
        total: dict[str, int] = {}
        self._say("summary; the logs are in out/test")
        for step in self.plan:
            run = next((r for r in self.ended if r.step is step), None)
            if run is None:
                print(f"   not run          {step.name}")
                total["failed"] = total.get("failed", 0) + 1
                continue
            counted = run.counted()
            for word, number in counted.items():
                total[word] = total.get(word, 0) + number
            words = ", ".join(f"{n} {word}" for word, n in counted.items())
            how = "passed" if run.code == 0 else "FAILED"
            print(f"   {how} {progress.duration(run.seconds):>9}  {step.name:15} {words}")
        for run in self.ended:
            if run.code:
                self._say(f"{run.step.name} ended like this:")
                lines = run.said().splitlines()[-TAIL:]
                print("\n".join(f"   {line}" for line in lines))
        order = [word for word in ("failed", "passed", "skipped") if total.get(word)]
        words = ", ".join(f"{total[word]} {word}" for word in order)
        # As pytest closes, so that what reads its last line reads this one, too.
        print(f"{words} in {self.clock.seconds:.2f}s", flush=True)
        return not total.get("failed")


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main(names: list[str]) -> int:
    """Carry out the plans of these names, one after another; the exit code."""
    unknown = [name for name in names if name not in PLANS]
    if unknown or not names:
        print(f"usage: steps.py PLAN...; plans: {', '.join(PLANS)}", file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    LOGS.mkdir(parents=True, exist_ok=True)
    plan = [_with_build(step) for step in dict.fromkeys(s for name in names for s in PLANS[name])]
    steps = Steps(plan)
    code = 0
    try:
        steps.carry_out()
    except (KeyboardInterrupt, SystemExit) as error:
        code = int(error.code or 1) if isinstance(error, SystemExit) else 130
        steps.stop(GRACE if code == 130 else 0)
    passed = steps.summary()
    return code or (0 if passed else 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
