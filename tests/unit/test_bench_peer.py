# SPDX-License-Identifier: MIT
"""What the field's own programs print is read right, and what they fail at is said."""

import stat
import sys

import pytest

from labkit.benchmark import judge, peer
from labkit.benchmark.results import Results

PIPE = """# Running 'sched/pipe' benchmark:
# Executed 200 pipe operations between two processes

     Total time: 0.004 [sec]

      22.840000 usecs/op
          43782 ops/sec
"""
MESSAGING = """# Running 'sched/messaging' benchmark:
# 20 sender and receiver processes per group
# 1 groups == 40 processes run

     Total time: 0.021 [sec]
"""
HACKBENCH = """Running in threaded mode with 1 groups using 40 file descriptors each (== 40 tasks)
Each sender will pass 10 messages of 100 bytes
Time: 0.043
"""
CYCLICTEST = """# /dev/cpu_dma_latency set to 0us
# Histogram
000000 000000
000011 000050
000012 000049
000090 {late}
# Min Latencies: 00011
# Histogram Overflows: {beyond}
"""


@pytest.mark.parametrize(
    ("name", "said", "values"),
    [
        ("perf bench sched pipe", PIPE, {"µs/round trip": 22.84}),
        ("perf bench sched messaging", MESSAGING, {"s": 0.021}),
        ("hackbench", HACKBENCH, {"s": 0.043}),
        (
            "cyclictest",
            CYCLICTEST.format(late="000001", beyond="00000"),
            {"µs p50": 11.0, "µs p99": 12.0},
        ),
        # What lies beyond the histogram is late, too.
        ("cyclictest", CYCLICTEST.format(late="000002", beyond="00003"), {"µs p50": 12.0}),
    ],
)
def test_what_a_program_prints_is_read(name, said, values):
    _, parse = peer.PROGRAMS[name](1.0)
    assert parse(said) == values


def test_a_program_that_fails_or_is_missing_is_named(tmp_path, monkeypatch):
    for name, body in (
        ("perf", f"print({PIPE!r})"),
        ("hackbench", "import sys; sys.exit('no memory')"),
    ):
        script = tmp_path / name
        script.write_text(f"#!{sys.executable}\n{body}\n", encoding="utf-8")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = peer.main(2, 0.1)
    assert found["values"] == {
        "perf bench sched pipe": {"µs/round trip": [22.84, 22.84]},
        "perf bench sched messaging": {"s": [0.004, 0.004]},
    }
    assert found["missing"] == ["cyclictest"]
    assert "exit code 1" in found["failed"]["hackbench"]
    assert "no memory" in found["failed"]["hackbench"]
    assert found["kernel"]


@pytest.mark.parametrize(
    ("slower", "verdict", "claim"),
    [(1.0, "no difference", "holds"), (1.04, "undecided", "holds"), (1.5, "worse", "refuted")],
)
def test_pairs_of_boots_are_judged(slower, verdict, claim):
    boots = [
        {
            kernel: {"hackbench": {"s": [drift * factor] * 3}}
            for kernel, factor in (("patched", slower), ("base", 1.0))
        }
        for drift in (1.0, 1.1, 1.3, 0.9, 1.2)
    ]
    made = Results("quick", {"accelerator": "kvm"}, peers={"boots": boots})
    (found,) = judge.judge_peers(made)
    assert (found.verdict, found.claim, found.n) == (verdict, claim, 5)


def test_a_failed_program_makes_the_run_fail():
    made = Results("quick", peers={"boots": [], "failed": {"hackbench": "exit code 1"}})
    assert made.failures == ["peers: hackbench failed: exit code 1"]
