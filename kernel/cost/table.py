#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot the cost programs on the patched and the unpatched kernel and print a Markdown table.

Instruction counts come from QEMU's -icount with one CPU and repeat to the digit; the latency of a
kick needs two CPUs and real time, so it depends on the host. Run by `make -C kernel cost`, which
puts kernel/boot on Python's path.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from guest import Guest, GuestError, accelerator, accelerator_arguments, make_initrd

HERE = Path(__file__).parent

SECONDS = 600.0
MISSED = 3

# Row, what it is, instructions of the straightforward port of revision 0.8, bound as a factor of
# another row.
HANDOFFS = (
    ("getppid", "getppid (one call)", 200, None),
    ("yield", "sched_yield until the other has run", None, None),
    ("umcg-swap", "umcg basic swap", 6124, ("futex", 0.80)),
    ("umcg-wake-wait", "umcg wake + wait", 6545, None),
    ("umcg-run-yield", "server runs worker, worker yields", 6734, ("futex", 0.90)),
    ("futex", "futex", 6799, None),
    ("umcg-worker-swap", "worker to worker swap", 7851, ("futex", 0.95)),
    ("condvar", "mutex + condition variable", 8352, None),
    ("pipe", "pipe", 8795, None),
    ("eventfd", "eventfd", None, None),
    ("umcg-worker-pipe", "two workers over a pipe, one server", 26657, ("pipe", 2.0)),
)
UNUSED = (("getppid", "getppid"), ("pipe", "pipe ping-pong"), ("fault", "page fault"))
LIBRARY = (
    ("umcg-swap", "swap of basic tasks"),
    ("umcg-wake-wait", "wake + wait"),
    ("umcg-run-yield", "server runs worker, worker waits"),
    ("umcg-worker-swap", "worker to worker swap"),
)
IDLE = (
    ("get-empty", "an empty list"),
    ("get-full", "a worker of a list of 1000"),
)
# Title, row of the loop by hand, rows of the library.
SCHEDULER = (
    ("two workers over a pipe", "turn-hand", ("turn-fifo",)),
    ("four such pairs, list often full", "busy-hand", ("busy-fifo", "busy-rr")),
)
# Title, rows: threads, UMCG told of all, UMCG_TF_ADOPT; bound of the last as a factor of the first.
PASSING = (
    ("two workers over a pipe, round trip", "pipe", "umcg-worker-pipe", "pipe-pass", 1.20),
    ("8 that sleep, an operation", "sleep-threads", "sleep-umcg", "sleep-pass", 1.30),
    ("8 answered by a device over pipes", "device-threads", "device-umcg", "device-pass", 1.25),
    ("the same, 90 % busy", "busy-threads", "busy-umcg", "busy-pass", 1.45),
    ("8 that sleep, no CPU time left", "full-threads", "full-umcg", "full-pass", None),
    ("32 woken out of one futex, a worker", "storm-threads", "storm-umcg", "storm-pass", 1.25),
)  # fmt: skip
# The same, beside a thread that computes all the time, and ranks.
RANKS = (
    ("two talk over pipes, round trip: instructions of the CPU",
     "beside-threads", "beside-umcg", "beside-rank", 1.00),
    ("a timer wakes one: from the other's last instruction to its first",
     "urgent-threads", "urgent-umcg", "urgent-rank", 1.15),
    ("a timer wakes one that is busy 70 % of the time: how late, 99th percentile",
     "late-threads", "late-umcg", "late-rank", 0.01),
)  # fmt: skip
# Title, row of threads in "pass", rows of libumcg: told of all, UMCG_GROUP_PASS_ON; its bound.
LIBRARY_PASSING = (
    ("two workers over a pipe, round trip", "pipe", "worker-pipe", "worker-pipe-pass", 1.30),
    ("32 in umcg_wait(), woken one by one, a worker; threads: out of one futex",
     "storm-threads", "wait-storm", "wait-storm-pass", 0.80),
)  # fmt: skip
# Title, row of threads in "pass", rows of libumcg-sched: told of all, UMCG_SCHED_PASS_ON.
SCHEDULER_PASSING = (
    ("two workers over a pipe, round trip, fifo", "pipe", "turn-fifo"),
    ("the same, rr", "pipe", "turn-rr"),
    ("the same, las", "pipe", "turn-las"),
    ("8 that sleep, an operation, fifo", "sleep-threads", "sleep-fifo"),
    ("8 answered by a device over pipes, fifo", "device-threads", "device-fifo"),
    ("the same, 90 % busy, fifo", "busy-threads", "busy-device-fifo"),
    ("32 woken out of one futex, a worker, fifo", "storm-threads", "storm-fifo"),
)
LIBRARY_BOUND = 0.12
SCHEDULER_BOUND = 0.05
TRACE_OFF_BOUND = 0.01


def run(image: Path, initrd: Path, qemu: list[str], append: str) -> list[list[str]]:
    """The words of every line that the program of one boot prints, without the closing line."""
    lines: list[list[str]] = []
    with Guest(image, initrd, ["-m", "512M", *qemu], append) as guest:
        while True:
            try:
                line = guest.line(SECONDS)
            except TimeoutError:
                line = None
            if line is None:
                raise GuestError(
                    "the guest did not finish; its last lines:\n" + "\n".join(guest.lines[-30:])
                )
            words = line.split()
            if words[:1] == ["end"]:
                if words != ["end", "0"]:
                    raise GuestError("a row failed:\n" + "\n".join(guest.lines[-30:]))
                return lines
            lines.append(words)


def counts(image: Path, initrd: Path, *programs: str) -> dict[str, dict[str, float]]:
    """Instructions by program and row, all of one boot."""
    qemu, fixed = accelerator_arguments("icount")
    append = f"quiet {fixed} umcg_run={','.join(programs)}"
    found: dict[str, dict[str, float]] = {}
    rows: dict[str, float] = {}
    for words in run(image, initrd, [*qemu, "-smp", "1"], append):
        if words[:1] == ["program"]:
            rows = found[words[1]] = {}
        elif words[:1] == ["cost"]:
            rows[words[1]] = float(words[2])
    return found


def kick(image: Path, initrd: Path, cache: Path) -> str:
    """The sentence about a kick, in real time, beside a signal."""
    name = accelerator(image, cache)
    qemu, clock = accelerator_arguments(name)
    lines = run(image, initrd, [*qemu, "-smp", "2"], f"quiet {clock} umcg_run=kick")
    found = {
        words[0]: [int(ns) / 1000 for ns in words[1:]]
        for words in lines
        if words[:1] in (["kick"], ["signal"])
    }

    def said(way: str) -> str:
        median, p99, most = found[way]
        return f"median {median:.1f} µs, 99th percentile {p99:.0f} µs, maximum {most:.0f} µs"

    times = found["kick"][0] / found["signal"][0]
    return (
        "Preemption by kick, target spinning alone on its CPU, 1000 kicks, two CPUs "
        f"({name}, not instructions but real time on the host that made this table): "
        f"from the mark to the server {said('kick')}; a signal until its handler runs there "
        f"{said('signal')}. Of the medians, a kick's is {times:.2f} times a signal's."
    )


@dataclass
class Bounds:
    """What was promised, held against what was counted."""

    missed: list[str] = field(default_factory=list)

    def check(self, title: str, value: float, most: float) -> str:
        """MOST as it stands in the table; remembers TITLE if VALUE is more."""
        if value > most:
            self.missed.append(f"{title}: {value:.3f}, at most {most:.2f}")
        return f"{most:.2f}"


def handoff_table(here: dict[str, float], bounds: Bounds) -> list[str]:
    """UMCG by raw system calls beside the kernel's other primitives."""
    rows = [
        "| round trip (two switches), one CPU | here | plain port | ratio | to | at most |",
        "|---|---|---|---|---|---|",
    ]
    for key, title, port, bound in HANDOFFS:
        cells = " | | "
        if bound:
            ratio = here[key] / here[bound[0]]
            most = bounds.check(f"{title}, ratio to {bound[0]}", ratio, bound[1])
            cells = f"{ratio:.2f} | {bound[0]} | {most}"
        rows.append(f"| {title} | {here[key]:.0f} | {port or ''} | {cells} |")
    return rows


def three_ways(
    title: str,
    threads: float,
    told: float,
    lent: float,
    bound: str | None = None,
    digits: tuple[str, str] = (".2f", ".2f"),
) -> str:
    """A row of what workers cost: as threads, told of all, in places that pass on or by rank."""
    first, second = told / threads, lent / threads
    last = "" if bound is None else f" {bound} |"
    return (
        f"| {title} | {threads:.0f} | {told:.0f} | {lent:.0f} "
        f"| {first:{digits[0]}} | {second:{digits[1]}} |{last}"
    )


def passing_table(found: dict[str, float], bounds: Bounds) -> list[str]:
    """What workers cost that block: as threads, told of all, and with places that pass on."""
    rows = [
        "| workers that block, one server, one CPU | threads | UMCG, told | UMCG_TF_ADOPT "
        "| told : threads | passes : threads | at most |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, threads, told, passes, most in PASSING:
        ratio = found[passes] / found[threads]
        bound = most and bounds.check(f"{title}, ratio to threads", ratio, most)
        rows.append(three_ways(title, found[threads], found[told], found[passes], bound or ""))
    return [*rows, "", "An operation without what it computes itself."]


def rank_table(found: dict[str, float], bounds: Bounds) -> list[str]:
    """What others get beside a thread that computes, as workers of better rank."""
    rows = [
        "| beside one that computes, one server, one CPU | threads | UMCG, told | UMCG_TF_RANK "
        "| told : threads | ranks : threads | at most |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, threads, told, ranks, most in RANKS:
        ratio = found[ranks] / found[threads]
        bound = bounds.check(f"{title}, ratio to threads", ratio, most)
        cells = (found[threads], found[told], found[ranks])
        rows.append(three_ways(title, *cells, bound, (".3g", ".2g")))
    return [*rows, "", "Told of all, the server prefers them and ends slices of 1 ms."]


def library_passing_table(
    raw: dict[str, float], lib: dict[str, float], bounds: Bounds
) -> list[str]:
    """The same through libumcg."""
    rows = [
        "| workers of libumcg that block or wait, one server, one CPU | threads | told "
        "| UMCG_GROUP_PASS_ON | told : threads | passes : threads | at most |",
        "|---|---|---|---|---|---|---|",
    ]
    for title, threads, told, passes, most in LIBRARY_PASSING:
        thread, ratio = raw[threads], lib[passes] / raw[threads]
        bound = bounds.check(f"libumcg, {title}, ratio to threads", ratio, most)
        rows.append(three_ways(title, thread, lib[told], lib[passes], bound))
    return rows


def scheduler_passing_table(raw: dict[str, float], sched: dict[str, float]) -> list[str]:
    """The same through libumcg-sched."""
    rows = [
        "| threads of libumcg-sched that block, one server, one CPU | threads | told "
        "| UMCG_SCHED_PASS_ON | told : threads | passes : threads |",
        "|---|---|---|---|---|---|",
    ]
    for title, threads, told in SCHEDULER_PASSING:
        rows.append(three_ways(title, raw[threads], sched[told], sched[f"{told}-pass"]))
    return rows


def unused_table(here: dict[str, float], base: dict[str, float]) -> list[str]:
    """What threads pay that have nothing to do with UMCG."""
    rows = ["| threads that use no UMCG | unpatched | patched | |", "|---|---|---|---|"]
    for key, title in UNUSED:
        change = here[key] / base[key] - 1
        rows.append(f"| {title} | {base[key]:.0f} | {here[key]:.0f} | {change:+.1%} |")
    return rows


def library_table(
    raw: dict[str, float], lib: dict[str, float], without: dict[str, float], bounds: Bounds
) -> list[str]:
    """What libumcg adds to the raw system calls, and its trace to libumcg."""
    rows = [
        "| libumcg: round trip (two switches), one CPU | raw calls | libumcg | more "
        "| of that the trace, off | trace on |",
        "|---|---|---|---|---|---|",
    ]
    for key, title in LIBRARY:
        more, off = lib[key] / raw[key] - 1, lib[key] / without[key] - 1
        on = lib[f"{key}-traced"] / lib[key] - 1
        bounds.check(f"libumcg, {title}, more than raw calls", more, LIBRARY_BOUND)
        bounds.check(f"libumcg, {title}, trace that is off", off, TRACE_OFF_BOUND)
        rows.append(
            f"| {title} | {raw[key]:.0f} | {lib[key]:.0f} | {more:+.1%} | {off:+.1%} | {on:+.1%} |"
        )
    return [
        *rows,
        "",
        f"At most {LIBRARY_BOUND:.0%} more than the raw calls, and {TRACE_OFF_BOUND:.0%} for a "
        "trace that is off (compared with a library built without it).",
        "",
        *idle_table(lib, without),
    ]


def idle_table(lib: dict[str, float], without: dict[str, float]) -> list[str]:
    """What taking a worker costs, which makes no system call."""
    rows = [
        "| `umcg_get_idle_worker(false)` | libumcg | of that the trace, off |",
        "|---|---|---|",
    ]
    for key, title in IDLE:
        rows.append(f"| {title} | {lib[key]:.0f} | {lib[key] - without[key]:+.1f} |")
    return rows


def scheduler_table(sched: dict[str, float], bounds: Bounds) -> list[str]:
    """What libumcg-sched adds to a server's loop that is written by hand."""
    rows = [
        "| libumcg-sched: round trips (two turns each), one server, one CPU "
        "| loop by hand | policy | libumcg-sched | more |",
        "|---|---|---|---|---|",
    ]
    for title, hand, keys in SCHEDULER:
        for key in keys:
            policy, more = key.rpartition("-")[2], sched[key] / sched[hand] - 1
            bounds.check(
                f"libumcg-sched, {policy}, {title}, more than by hand", more, SCHEDULER_BOUND
            )
            rows.append(
                f"| {title} | {sched[hand]:.0f} | {policy} | {sched[key]:.0f} | {more:+.1%} |"
            )
    return [*rows, "", f"At most {SCHEDULER_BOUND:.0%} more than the loop by hand."]


def main() -> int:
    """Exit status: 0, 3 if a bound is missed (the table is complete), or 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="+", type=Path)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--base", type=Path, required=True, help="the image without the patches")
    parser.add_argument("--cache", type=Path, required=True)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="umcg-") as directory:
        initrd = Path(directory) / "initrd"
        try:
            make_initrd(initrd, HERE / "init", args.programs)
            here = counts(args.image, initrd, "raw", "pass", "lib", "lib-untraced", "sched")
            base = counts(args.base, initrd, "raw")
            kicked = kick(args.image, initrd, args.cache)
        except GuestError as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            return 130
    bounds = Bounds()
    print(*handoff_table(here["raw"], bounds), "", sep="\n")
    print(*passing_table(here["pass"], bounds), "", sep="\n")
    print(*rank_table(here["pass"], bounds), "", sep="\n")
    print(*unused_table(here["raw"], base["raw"]), "", sep="\n")
    print(*library_table(here["raw"], here["lib"], here["lib-untraced"], bounds), "", sep="\n")
    print(*library_passing_table(here["pass"], here["lib"], bounds), "", sep="\n")
    print(*scheduler_table(here["sched"], bounds), "", sep="\n")
    print(*scheduler_passing_table(here["pass"], here["sched"]), "", sep="\n")
    print(kicked)
    for line in bounds.missed:
        print(f"above its bound: {line}", file=sys.stderr)
    return MISSED if bounds.missed else 0


if __name__ == "__main__":
    sys.exit(main())
