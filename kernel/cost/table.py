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
from pathlib import Path

from guest import Guest, GuestError, accelerator, accelerator_arguments, make_initrd

HERE = Path(__file__).parent

ICOUNT = (
    "-accel tcg,thread=single -icount shift=0,sleep=off,align=off -smp 1"
    " -rtc base=2024-01-01,clock=vm"
)
FIXED = "quiet nokaslr norandmaps"
SECONDS = 600.0

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


def counts(image: Path, initrd: Path) -> dict[str, float]:
    """Instructions by row."""
    lines = run(image, initrd, ["-cpu", "qemu64", *ICOUNT.split()], f"{FIXED} umcg_run=cost")
    return {words[1]: float(words[2]) for words in lines if words[:1] == ["cost"]}


def kick(image: Path, initrd: Path, cache: Path) -> tuple[str, list[float]]:
    """The accelerator and the latencies in microseconds: median, 99th percentile, maximum."""
    name = accelerator(image, cache)
    qemu, clock = accelerator_arguments(name)
    lines = run(image, initrd, [*qemu, "-smp", "2"], f"quiet {clock} umcg_run=kick")
    (values,) = [words[1:] for words in lines if words[:1] == ["kick"]]
    return name, [int(value) / 1000 for value in values]


def table(
    patched: dict[str, float], base: dict[str, float], name: str, latency: list[float]
) -> str:
    """The README's tables."""
    rows = [
        "| round trip (two switches), one CPU | here | plain port | ratio | to | at most |",
        "|---|---|---|---|---|---|",
    ]
    for key, title, port, bound in HANDOFFS:
        ratio = (
            f"{patched[key] / patched[bound[0]]:.2f} | {bound[0]} | {bound[1]:.2f}"
            if bound
            else " | | "
        )
        rows.append(f"| {title} | {patched[key]:.0f} | {port or ''} | {ratio} |")
    rows += ["", "| threads that use no UMCG | unpatched | patched | |", "|---|---|---|---|"]
    for key, title in UNUSED:
        change = patched[key] / base[key] - 1
        rows.append(f"| {title} | {base[key]:.0f} | {patched[key]:.0f} | {change:+.1%} |")
    median, p99, most = latency
    rows += [
        "",
        "Preemption by kick, target spinning alone on its CPU, 1000 kicks, two CPUs "
        f"({name}, not instructions but real time on the host that made this table): "
        f"median {median:.0f} µs, 99th percentile {p99:.0f} µs, maximum {most:.0f} µs.",
    ]
    return "\n".join(rows)


def main() -> int:
    """Exit status: 0, or 130 after Ctrl-C."""
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
            patched = counts(args.image, initrd)
            base = counts(args.base, initrd)
            print(table(patched, base, *kick(args.image, initrd, args.cache)))
        except GuestError as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
