#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot a kernel image and run static test programs in it, one after the other.

A program passes with exit code 0 and skips with 77, provided that the kernel log stays clean
while it runs. A contract violation ("umcg: ... killing") is a complaint like any other unless the
program prints "umcg-expect: killing N" or its line in the file `limits` beside it (NAME SECONDS
[killing] [counted] [long]) allows it. A guest that panics or hangs is killed; the program fails,
the rest runs in a fresh boot. Programs marked "counted" run last, in a guest with one CPU whose
time is the count of its instructions, so that they measure the kernel alone and not a busy host.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from guest import Guest, GuestError, accelerator, accelerator_arguments, make_initrd
from verdict import findings

MARK = re.compile(r"umcg-run: (\w+) ?(.*?) at ([\d.]+)$")
EXPECT = re.compile(r"^umcg-expect: killing (\d+)$", re.M)
DEFAULT_SECONDS = 60.0
BOOT_SECONDS = 300.0
GRACE_SECONDS = 120.0
COUNTED_SLOWER = 10
TAIL = 40


@dataclass
class Test:
    """A program to run, its time limit in guest seconds, and what its line in `limits` says."""

    path: Path
    limit: float
    killing: bool = False
    counted: bool = False


@dataclass
class Count:
    """Results so far."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)


@dataclass
class Session:
    """One guest: which program runs, since when (guest seconds), what the kernel has said since."""

    running: int = 0
    since: float = 0.0
    log: list[str] = field(default_factory=list)
    late: bool = False
    problems: list[str] = field(default_factory=list)


def read_limits(programs: list[Path]) -> dict[str, tuple[float, set[str]]]:
    """The `limits` files beside the programs."""
    limits = {}
    for path in sorted({program.parent / "limits" for program in programs}):
        for number, line in enumerate(
            path.read_text(encoding="utf-8").splitlines() if path.is_file() else [], 1
        ):
            words = line.split("#")[0].split()
            if not words:
                continue
            marks = set(words[2:])
            if not words[1:2] or not words[1].isdigit() or marks - {"killing", "counted", "long"}:
                sys.exit(f"{path}:{number}: expected NAME SECONDS [killing] [counted] [long]")
            limits[words[0]] = (float(words[1]), marks)
    return limits


def output_of(path: Path, number: int) -> str:
    """What program NUMBER has printed: the part of the second serial port between its marks."""
    start, end = f"umcg-run: start {number}\n", f"umcg-run: end {number} "
    for _ in range(50):
        text = path.read_bytes().decode(errors="replace").replace("\r\n", "\n")
        text = text.rpartition(start)[2] if start in text else ""
        if end in text:
            break
        time.sleep(0.1)
    text = text.partition(end)[0]
    return "".join(line for line in text.splitlines(True) if not line.startswith("umcg-run:"))


def report(word: str, test: Test, text: str, details: list[str]) -> None:
    """Print one result, DETAILS indented below it."""
    print(f"{word} {test.path.name}{': ' if text else ''}{text}", flush=True)
    for line in details:
        print(f"    {line}", flush=True)


def judge(
    test: Test, session: Session, status: int, seconds: float, output: str, count: Count
) -> None:
    """Print and count the result of a program that has ended."""
    said = EXPECT.search(output)
    allowed = None if test.killing else int(said[1]) if said else 0
    problems = list(session.problems)
    if session.late:
        problems.append(f"killed after its time limit of {test.limit:g} s")
    elif status not in (0, 77):
        problems.append(
            f"exit code {status}" if status < 128 else f"killed by signal {status - 128}"
        )
    bad = findings(session.log, allowed)
    if bad:
        problems.append("kernel: " + bad[0])
    if problems:
        count.failed += 1
        report(
            "FAIL",
            test,
            "; ".join(problems),
            output.splitlines()[-TAIL:] + (session.log[-TAIL:] if bad else []),
        )
    elif status == 77:
        count.skipped += 1
        report("SKIP", test, (output.splitlines() or ["no reason given"])[-1], [])
    else:
        count.passed += 1
        count.seconds.setdefault(test.path.name, []).append(seconds)


def summary(test: Test, count: Count, repeat: int) -> None:
    """Print how often TEST has passed, after the last of its REPEAT runs."""
    seconds = count.seconds.get(test.path.name, [])
    if repeat == 1:
        if seconds:
            report("PASS", test, f"{seconds[0]:.1f} s", [])
        return
    mean = f", {sum(seconds) / len(seconds):.1f} s each" if seconds else ""
    word = "PASS" if len(seconds) == repeat else "DONE"
    report(word, test, f"{len(seconds)} of {repeat}{mean}", [])


def boot(
    tests: list[Test], first: int, args: argparse.Namespace, initrd: Path, port: Path, count: Count
) -> int:
    """Run the programs from number FIRST (counted from 1) on in one guest.

    Returns the number of the program to go on with in the next guest.
    """
    qemu, clock = accelerator_arguments(args.accel)
    qemu += ["-smp", str(args.cpus), "-m", args.memory, "-serial", f"file:{port}"]
    session = Session()
    deadline = time.monotonic() + BOOT_SECONDS * args.slow
    with Guest(args.image, initrd, qemu, f"{clock} umcg_first={first} {args.append}") as guest:
        while True:
            try:
                line = guest.line(deadline - time.monotonic())
            except TimeoutError:
                end = "the guest hangs"
                break
            if line is None:
                end = "the guest is gone (panic, or QEMU ended)"
                break
            mark = MARK.search(line)
            if not mark:
                session.log.append(line)
                continue
            word, rest, at = mark[1], mark[2], float(mark[3])
            if word == "ready":
                release, cpus, preempt = rest.split()
                print(f"# {release}, {args.accel}, {cpus} CPUs, preemption {preempt}", flush=True)
                bad = findings(session.log, 0)
                if bad:
                    count.failed += 1
                    report("FAIL", Test(Path("boot"), 0), "kernel: " + bad[0], session.log[-TAIL:])
            elif word == "start":
                session = Session(running=int(rest), since=at)
                limit = tests[session.running - 1].limit
                if args.accel == "icount":
                    limit *= COUNTED_SLOWER
                deadline = time.monotonic() + limit + GRACE_SECONDS * args.slow
            elif word == "late":
                session.late = True
            elif word == "unkillable":
                session.problems.append(f"not killed by SIGKILL: {rest}")
            elif word == "end":
                number, status = map(int, rest.split())
                judge(
                    tests[number - 1],
                    session,
                    status,
                    at - session.since,
                    output_of(port, number),
                    count,
                )
                if number % args.repeat == 0:
                    summary(tests[number - 1], count, args.repeat)
                session = Session()
                deadline = time.monotonic() + GRACE_SECONDS * args.slow
            elif word == "done":
                return len(tests) + 1
        if not session.running:
            print(
                f"{end} before a program ran; its last lines:", *guest.lines[-TAIL:], sep="\n    "
            )
            raise GuestError(
                "the guest does not come up"
                if not count.passed
                else "the guest failed between programs"
            )
        count.failed += 1
        test = tests[session.running - 1]
        details = output_of(port, session.running).splitlines()[-TAIL:] + session.log[-TAIL:]
        report("FAIL", test, end, details)
        if session.running % args.repeat == 0:
            summary(test, count, args.repeat)
        return session.running + 1


def run(tests: list[Test], args: argparse.Namespace, count: Count) -> None:
    """Run TESTS in as many guests as it takes. GuestError if none comes up."""
    if not tests:
        return
    with tempfile.TemporaryDirectory(prefix="umcg-") as directory:
        work = Path(directory)
        names = work / "list"
        names.write_text(
            "".join(f"{test.path.name} {test.limit:.0f} {args.args}\n" for test in tests),
            encoding="utf-8",
        )
        initrd = work / "initrd"
        make_initrd(
            initrd,
            Path(__file__).parent / "init",
            [names, *sorted({test.path for test in tests} | set(args.beside))],
        )
        if args.accel == "auto":
            args.accel = accelerator(args.image, args.cache)
        first = 1
        while first <= len(tests):
            first = boot(tests, first, args, initrd, work / "port", count)


def main() -> int:
    """Exit status: 0 if nothing failed, 1 otherwise, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("programs", nargs="+", type=Path, metavar="PROGRAM")
    parser.add_argument(
        "--image", type=Path, required=True, help="bzImage (make -C kernel where prints it)"
    )
    parser.add_argument(
        "--cache", type=Path, required=True, help="where the verdict about KVM is kept"
    )
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--memory", default="2G")
    parser.add_argument("--append", default="", help="more of the kernel's command line")
    parser.add_argument("--args", default="", help="arguments for every program")
    parser.add_argument(
        "--timeout", type=float, help="seconds for every program, whatever `limits` says"
    )
    parser.add_argument("--slow", type=float, default=1, help="factor on every time limit")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument(
        "--with",
        dest="beside",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a file that programs need, put beside them",
    )
    parser.add_argument("--filter", default="*", metavar="GLOBS", help="names, with blanks between")
    parser.add_argument(
        "--long",
        choices=("if-named", "never", "always"),
        default="if-named",
        help="programs that `limits` marks `long`: as --filter says, or whatever it says",
    )
    parser.add_argument("--accel", choices=("auto", "kvm", "tcg"), default="auto")
    args = parser.parse_args()

    limits = read_limits(args.programs)
    tests = []
    for path in args.programs:
        limit, marks = limits.get(path.name, (DEFAULT_SECONDS, set()))
        limit = (args.timeout or limit) * args.slow
        chosen = any(fnmatch.fnmatch(path.name, glob) for glob in args.filter.split())
        if "long" in marks and args.long != "if-named":
            chosen = args.long == "always"
        if chosen:
            tests.append(Test(path, limit, "killing" in marks, "counted" in marks))
    if not tests:
        sys.exit(f"no program matches {args.filter}")
    tests = [test for test in tests for _ in range(args.repeat)]

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    count = Count()
    counted = argparse.Namespace(
        **{**vars(args), "accel": "icount", "cpus": 1, "slow": args.slow * COUNTED_SLOWER}
    )
    try:
        run([test for test in tests if not test.counted], args, count)
        run([test for test in tests if test.counted], counted, count)
    except GuestError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    print(f"{count.passed} passed, {count.failed} failed, {count.skipped} skipped")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
