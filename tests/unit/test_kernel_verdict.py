# SPDX-License-Identifier: MIT
"""What the runner of the conformance programs takes for a complaint of the kernel."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "kernel" / "boot"))

from verdict import findings  # type: ignore[import-not-found]

RULE = "[   25.306915] " + "=" * 66


def race(*frames: str) -> list[str]:
    """A report of KCSAN as the kernel of this project prints it, with these stack frames."""
    return [
        RULE,
        "[   25.307245] BUG: KCSAN: data-race in do_nanosleep / hrtimer_wakeup",
        "[   25.307478] write to 0xffffc90005877e80 of 8 bytes by interrupt on cpu 1:",
        *(f"[   25.307632]  {frame}" for frame in frames),
        "[   25.310515] Reported by Kernel Concurrency Sanitizer on:",
        "[   25.310619] CPU: 1 PID: 9255 Comm: umcg_late_wake Not tainted 6.1.192-umcg-kcsan #1 ",
        RULE,
    ]


def test_a_race_of_the_kernel_itself_does_not_count() -> None:
    assert not findings(race("hrtimer_wakeup+0x1f/0x40", "do_nanosleep+0xff/0x250"), 0)


@pytest.mark.parametrize(
    "frame",
    ["__umcg_sleep+0x1f/0x40", "__x64_sys_umcg_wait+0x1/0x2", "handoff_task_fair+0x3/0x4"],
)
def test_a_race_with_umcg_in_a_stack_counts(frame: str) -> None:
    found = findings(race("do_nanosleep+0xff/0x250", frame), 0)
    assert "KCSAN" in found[0] and any(frame in line for line in found)


def test_what_follows_a_race_is_still_read() -> None:
    log = [*race("do_nanosleep+0xff/0x250"), "[   26.000000] WARNING: CPU: 0 PID: 1 at kernel/x.c"]
    assert findings(log, 0) == log[-1:]


def test_breaches_of_contract_count_beyond_those_allowed() -> None:
    line = "umcg: a[1]: run: impossible state, killing"
    assert findings([line], 0) == [line]
    assert not findings([line], 1)
    assert findings([line, line], 1) == [line]
    assert not findings([line] * 3, None)


@pytest.mark.parametrize(
    "line",
    [
        "BUG: sleeping function called from invalid context at mm/memory.c:1",
        "WARNING: possible circular locking dependency detected",
        "Oops: 0000 [#1] PREEMPT SMP",
        "BUG: KASAN: use-after-free in umcg_find+0x1/0x2",
        "rcu: INFO: rcu_sched detected stalls on CPUs/tasks",
    ],
)
def test_complaints(line: str) -> None:
    assert findings([f"[    1.000000] {line}"], None)
