# SPDX-License-Identifier: MIT
"""Kernel tracepoints: text, pages made by hand, and the running kernel where it may be traced."""

from __future__ import annotations

import os
import struct
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from labkit.trace import kernel, ringbuffer, text
from labkit.trace.errors import TracingUnavailable
from labkit.trace.prefer_kernel import prefer_kernel_events
from labkit.trace.schema import events as make_events

TEXT = """\
# tracer: nop
#
# entries-in-buffer/entries-written: 6/10   #P:2
#
          <idle>-0       [001] d..2.  100.000001: sched_switch: prev_comm=swapper/1 prev_pid=0 \
prev_prio=120 prev_state=R ==> next_comm=my prog next_pid=41 next_prio=120
         my prog-41      [001] d..2.  100.000002: sched_switch: prev_comm=my prog prev_pid=41 \
prev_prio=120 prev_state=D|K ==> next_comm=swapper/1 next_pid=0 next_prio=120
 other-prog(x)-77 ( 70) [000] d..2.  100.000003: sched_waking: comm=my prog pid=41 prio=120 \
target_cpu=001
CPU:1 [LOST 3 EVENTS]
         my prog-41      [001] d..2.  100.000004500: umcg_block: tid=41 peer=40 \
old=running(preempted) new=blocked(preempted)
         my prog-41      [001] .....  100.000005: umcg:umcg_wake: tid=41 peer=0 \
old=blocked(0x20000) new=idle(0x20000)
         my prog-41      [001] .....  100.000006: sys_enter: NR 1 (1, 2, 3)
something else entirely
"""


def test_text_becomes_rows() -> None:
    trace = text.parse(TEXT)
    rows = trace.events.rows(named=True)
    assert [r["kind"] for r in rows] == [
        "sched_switch",
        "sched_switch",
        "sched_waking",
        "umcg_block",
        "umcg_wake",
    ]
    assert (rows[1]["tid"], rows[1]["peer"], rows[1]["arg"]) == (0, 41, 2)
    assert (rows[2]["tid"], rows[2]["peer"], rows[2]["cpu"]) == (41, 77, 1)
    assert rows[3]["t"] == 100_000_004_500
    assert (rows[3]["old"], rows[3]["new"], rows[3]["flags"]) == ("running", "blocked", 0x80)
    assert (rows[4]["new"], rows[4]["flags"]) == ("idle", 0x20000)
    assert trace.lost == 4 + 3
    assert trace.unknown == {"sys_enter": 1}
    assert (trace.bad, trace.first_bad) == (1, "line 12: something else entirely")
    assert trace.names == {41: "my prog", 0: "swapper/1", 77: "other-prog(x)"}


def test_text_keeps_the_tids_asked_for() -> None:
    assert text.parse(TEXT, tids=[77]).events["kind"].to_list() == ["sched_waking"]


def test_an_event_with_other_fields_is_counted_not_fatal() -> None:
    line = "  a-1 [000] d..1. 1.000001: sched_switch: nothing=known"
    trace = text.parse(line)
    assert trace.events.is_empty()
    assert (trace.bad, trace.first_bad) == (1, f"line 1: {line.strip()}")


FORMAT = """\
name: umcg_block
ID: 517
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:pid_t tid;\toffset:8;\tsize:4;\tsigned:1;
\tfield:pid_t peer;\toffset:12;\tsize:4;\tsigned:1;
\tfield:u32 old;\toffset:16;\tsize:4;\tsigned:0;
\tfield:u32 new;\toffset:20;\tsize:4;\tsigned:0;
\tfield:char comm[16];\toffset:24;\tsize:16;\tsigned:0;
\tfield:__data_loc char[] reason;\toffset:24;\tsize:4;\tsigned:0;

print fmt: "tid=%d", REC->tid
"""


def test_a_format_file_reads_events() -> None:
    layout = ringbuffer.Format.parse(FORMAT)
    event = struct.pack("<HHiiiII16s", 517, 0, 9, 41, -1, 1, 0x80000083, b"a name\0rest")
    data = np.frombuffer(b"junk" + event + event, np.uint8)
    assert (layout.name, layout.number) == ("umcg_block", 517)
    fields = layout.table(data, np.array([4, 4 + len(event)]))
    assert fields["tid"].to_list() == [41, 41]
    assert fields["peer"].to_list() == [-1, -1]
    assert fields["new"].to_list() == [0x80000083] * 2
    assert fields["comm"].to_list() == ["a name"] * 2
    with pytest.raises(TracingUnavailable, match="format file"):
        ringbuffer.Format.parse("nonsense")


def test_a_page_of_the_ring_buffer() -> None:
    """Every kind of entry: short, long, time extend, absolute time, padding of both kinds."""
    body = b"".join(
        [
            struct.pack("<I8s", 2 | 5 << 5, b"AAAAAAAA"),
            struct.pack("<II", 30 | 3 << 5, 1),
            struct.pack("<II5s3x", 0 | 1 << 5, 4 + 5, b"BBBBB"),
            struct.pack("<II4x", 29 | 7 << 5, 8),
            struct.pack("<I4s", 1 | 1 << 5, b"CCCC"),
            struct.pack("<II", 31 | 9 << 5, 2),
            struct.pack("<I4s", 1 | 1 << 5, b"DDDD"),
            struct.pack("<I", 29),
            b"garbage!",
        ]
    )
    start = 1000
    page = struct.pack("<QQ", start, len(body) | 1 << 31) + body
    found = [(t, bytes(data)) for t, data in ringbuffer.page_events(memoryview(page), 16)]
    second = start + 5 + (1 << 27) + 3 + 1
    absolute = (2 << 27) + 9
    assert found == [
        (start + 5, b"AAAAAAAA"),
        (second, b"BBBBB"),
        (second + 7 + 1, b"CCCC"),
        (absolute + 1, b"DDDD"),
    ]


def test_folding_takes_the_kernels_word() -> None:
    def row(t: int, kind: str, old: str, new: str) -> dict[str, object]:
        return {"t": t, "tid": 41, "kind": kind, "old": old, "new": new, "peer": 40}

    table = make_events(
        [
            row(1, "run", "idle", "running"),
            row(5, "umcg_block", "running", "blocked"),
            row(8, "block", "running", "blocked"),
            row(9, "umcg_wake", "blocked", "idle"),
            row(10, "wake", "blocked", "idle"),
            row(11, "wake", "idle", "idle"),
            row(12, "run", "idle", "running"),
            row(13, "umcg_preempt", "running", "idle"),
            row(15, "preempt", "running", "idle"),
            row(16, "block", "running", "blocked") | {"tid": 77},
        ]
    )
    assert prefer_kernel_events(table).select("t", "kind").rows() == [
        (1, "run"),
        (5, "block"),
        (9, "wake"),
        (11, "wake"),
        (12, "run"),
        (13, "preempt"),
        (16, "block"),
    ]
    assert prefer_kernel_events(table.head(1)).equals(table.head(1))


def test_folding_shows_places_that_pass_on() -> None:
    def row(t: int, tid: int, kind: str, old: str, new: str) -> dict[str, object]:
        return {"t": t, "tid": tid, "kind": kind, "old": old, "new": new, "peer": 40}

    table = make_events(
        [
            row(1, 41, "run", "idle", "running"),
            row(2, 41, "umcg_run", "idle", "running"),
            row(5, 41, "umcg_block", "running", "blocked"),
            row(6, 40, "umcg_pass", "idle", "idle"),
            row(9, 40, "umcg_adopt", "idle", "idle"),
            row(9, 42, "umcg_run", "blocked", "running"),
        ]
    )
    assert prefer_kernel_events(table).select("t", "tid", "kind").rows() == [
        (1, 41, "run"),
        (2, 41, "umcg_run"),
        (5, 41, "block"),
        (6, 40, "umcg_pass"),
        (9, 40, "umcg_adopt"),
        (9, 42, "run"),
    ]


def test_no_tracefs_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "/proc/self/mounts": "proc /proc proc rw 0 0\n",
        "/proc/filesystems": "nodev\ttracefs\n",
    }
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: texts[str(self)])
    with pytest.raises(TracingUnavailable, match="mount -t tracefs"):
        kernel.tracefs()
    texts["/proc/filesystems"] = "ext4\n"
    with pytest.raises(TracingUnavailable, match=r"without tracing.*labkit vm exec"):
        kernel.tracefs()
    texts["/proc/self/mounts"] = "nodev /nowhere/tracing tracefs rw 0 0\n"
    with pytest.raises(TracingUnavailable, match="run as root"):
        kernel.tracefs()


def _may_trace() -> bool:
    try:
        kernel.tracefs()
    except TracingUnavailable:
        return False
    return True


@pytest.mark.skipif(not _may_trace(), reason="tracing the running kernel needs root and tracefs")
class TestRunningKernel:
    def test_the_switches_of_two_threads_are_recorded(self) -> None:
        reader, writer = os.pipe()
        tids: list[int] = []
        taken: list[int] = []

        def read() -> None:
            tids.append(threading.get_native_id())
            for _ in range(20):
                os.read(reader, 1)
                taken.append(1)

        def waits() -> bool:
            """Is the reader asleep in read(2), so that a byte wakes it?"""
            return (
                bool(tids)
                and Path(f"/proc/self/task/{tids[0]}/syscall").read_text(encoding="utf-8")[:2]
                == "0 "
            )

        begin = time.monotonic_ns()
        with kernel.KernelTracer() as tracer:
            thread = threading.Thread(target=read)
            thread.start()
            for count in range(20):
                while len(taken) < count or not waits():
                    time.sleep(0.001)
                os.write(writer, b"x")
            thread.join()
        end = time.monotonic_ns()
        os.close(reader)
        os.close(writer)
        events = tracer.trace.events
        assert tracer.trace.lost == 0
        assert events["t"].is_between(begin, end).all(), "not on CLOCK_MONOTONIC"
        came = events.filter((pl.col("kind") == "sched_switch") & (pl.col("tid") == tids[0]))
        woken = events.filter((pl.col("kind") == "sched_waking") & (pl.col("tid") == tids[0]))
        assert came.height >= 20
        assert threading.get_native_id() in woken["peer"].to_list()
        assert not list((kernel.tracefs() / "instances").glob(f"labkit-{os.getpid()}-*"))

    def test_what_does_not_fit_is_counted(self) -> None:
        with kernel.KernelTracer(buffer_kb=4) as tracer:
            for _ in range(3000):
                time.sleep(1e-6)
        assert tracer.trace.lost > 0
        events = tracer.trace.events
        lost = events.filter(pl.col("kind") == "lost")
        assert set(lost["tid"]) == {0}
        switches = events.filter(pl.col("kind") == "sched_switch")
        for cpu, t, until in lost.select("cpu", "t", "arg").iter_rows():
            mine = switches.filter(pl.col("cpu") == cpu)
            assert mine.height > 0
            assert mine["t"].max() <= t < until <= time.monotonic_ns()

    def test_an_exception_leaves_no_instance(self) -> None:
        with pytest.raises(KeyboardInterrupt), kernel.KernelTracer():
            raise KeyboardInterrupt
        assert not list((kernel.tracefs() / "instances").glob(f"labkit-{os.getpid()}-*"))

    def test_a_killed_tracers_instance_is_removed(self) -> None:
        stale = kernel.tracefs() / "instances" / "labkit-4194304-0"
        stale.mkdir()
        with kernel.KernelTracer():
            assert not stale.exists()
