# SPDX-License-Identifier: MIT
"""What trace-cmd records of a UMCG program can be opened: its own file, its text, ftrace's text."""

import subprocess
import sys

import polars as pl
import pytest

import labkit
from labkit.trace import kernel

PROGRAM = """
from labkit.native import engine
made = engine.load("sleep", umcg=True, workers=2, servers=1, max_ops=6, idle_us=2000, busy_us=50)
print(*(f"{task.tid}:{task.role}" for task in made.tasks))
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """The file of a recording, and the program's own word about its threads."""
    kernel.tracefs()  # says what is missing
    file = tmp_path_factory.mktemp("trace") / "trace.dat"
    record = ["trace-cmd", "record", "-q", "-C", "mono", "-o", str(file), "-e", "umcg"]
    for event in kernel.SCHED_EVENTS:
        record += ["-e", f"sched:{event}"]
    done = subprocess.run(
        [*record, sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    )
    threads = next(line for line in done.stdout.splitlines() if ":worker" in line)
    return file, {int(tid): role for tid, _, role in (w.partition(":") for w in threads.split())}


@pytest.mark.long
def test_its_file_and_its_text_are_one_run(recorded, tmp_path):
    file, threads = recorded
    run = labkit.import_trace(file)
    assert run.spec["form"] == "trace.dat" and run.counters["not understood"] == 0
    roles = dict(run.tasks.select("tid", "role").iter_rows())
    assert {tid: roles[tid] for tid in threads} == threads
    blocks = run.events.filter(pl.col("kind") == "umcg_block")
    assert set(blocks["tid"]) == {tid for tid, role in threads.items() if role == "worker"}
    assert run.events["kind"].eq("sched_wakeup_new").any()
    assert run.table().filter(pl.col("tid").is_in(list(threads))).height == len(threads)

    text = tmp_path / "report.txt"
    with text.open("w") as out:
        subprocess.run(["trace-cmd", "report", "-i", str(file)], stdout=out, check=True)
    again = labkit.import_trace(text)
    microseconds = [one.events.with_columns(pl.col("t") // 1000) for one in (run, again)]
    assert again.tasks.equals(run.tasks)
    # Rounded, equal times may change places: as many of each, then.
    counted = [one.group_by("kind", "tid").len().sort("kind", "tid") for one in microseconds]
    assert counted[0].equals(counted[1])
