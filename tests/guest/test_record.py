# SPDX-License-Identifier: MIT
"""Real programs recorded as runs, under umcg-run and plain."""

import sys

import pytest

from labkit import analysis
from labkit.programs import record
from labkit.run import load

#: A thread that answers five requests and sleeps, and one that computes, beside each other.
PROGRAM = """
import socket, threading, time
ours, theirs = socket.socketpair()
def serve():
    while ours.recv(1):
        time.sleep(0.002)
        ours.send(b"x")
def compute():
    for i in range(20):
        sum(range(5000))
threads = [threading.Thread(target=f) for f in (serve, compute)]
[t.start() for t in threads]
for i in range(5):
    theirs.send(b"x")
    theirs.recv(1)
theirs.shutdown(socket.SHUT_WR)
[t.join() for t in threads]
raise SystemExit(6)
"""


def test_under_umcg_run(tmp_path):
    run = record(sys.executable, "-I", "-c", PROGRAM, policy="rr", servers=1)
    assert run.counters["status"] == 6
    assert run.counters["requests"] == 5
    assert run.counters["lost"] == 0
    assert run.tasks["role"].to_list().count("worker") == 2
    places = analysis.df_occupancy(run).filter(role="worker")
    assert places.height == 2
    assert (places["running"] > 0).all()
    latency = analysis.df_latency(run).row(0, named=True)
    # Each has slept for 2 ms in its request.
    assert latency["n"] == 5 and latency["max_ns"] >= 2_000_000
    assert load(run.save(tmp_path / "run.parquet")).events.equals(run.events)


@pytest.mark.long
def test_plain():
    run = record(sys.executable, "-I", "-c", PROGRAM, how="plain")
    assert run.counters["status"] == 6
    assert run.tasks.height >= 1
    assert set(run.tasks["role"]) == {"thread"}
    places = analysis.df_occupancy(run)
    assert (places["running"] > 0).any() and (places["blocked"] > 0).any()
