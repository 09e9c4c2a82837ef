# SPDX-License-Identifier: MIT
"""The kernel's `umcg:*` tracepoints, recorded live, beside what the engine has recorded."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import labkit
from labkit.experiments.common import event_table
from labkit.model import invariants
from labkit.native import engine
from labkit.trace import schema
from labkit.trace.kernel import KernelTracer
from labkit.trace.prefer_kernel import prefer_kernel_events

SEEN = {"umcg_register", "umcg_block", "umcg_wake", "umcg_run", "umcg_unregister", "sched_switch"}


@pytest.fixture(scope="module")
def recorded():
    with KernelTracer() as tracer:
        outcome = engine.load(
            "sleep",
            umcg=True,
            workers=3,
            servers=1,
            max_ops=12,
            idle_us=2000,
            busy_us=50,
            events=20_000,
        )
    assert (tracer.trace.lost, tracer.trace.missing, tracer.trace.unknown) == (0, (), {})
    return outcome, tracer.trace.events


def times(events, kind, tid):
    return events.filter((pl.col("kind") == kind) & (pl.col("tid") == tid))["t"].to_list()


def test_both_sources_make_one_table_on_one_clock(recorded):
    outcome, kernel = recorded
    merged = schema.merge(event_table(outcome.events), kernel)
    kinds = set(merged["kind"].cast(pl.String))
    assert kinds >= SEEN | {"run", "block", "wake", "op", "wait"}
    assert merged["t"].is_sorted()


def test_each_block_is_seen_by_the_kernel_first_and_then_by_the_server(recorded):
    outcome, kernel = recorded
    engines = event_table(outcome.events)
    for task in outcome.tasks:
        if task.role != "worker":
            continue
        made, seen = times(kernel, "umcg_block", task.tid), times(engines, "block", task.tid)
        assert len(made) == len(seen) > 0
        assert all(a < b for a, b in zip(made, seen, strict=True))
        # Every turn of a worker begins with the kernel's `run` before the worker is back.
        assert len(times(kernel, "umcg_run", task.tid)) == len(times(engines, "run", task.tid))


def test_folded_into_one_history_the_protocol_holds(recorded):
    outcome, kernel = recorded
    tasks = schema.tasks(
        {"tid": task.tid, "role": task.role, "name": "", "series": ""} for task in outcome.tasks
    )
    ours = tasks["tid"].implode()
    merged = schema.merge(event_table(outcome.events), kernel.filter(pl.col("tid").is_in(ours)))
    verdict = invariants.check(prefer_kernel_events(merged), tasks)
    assert verdict.result == "PASSED", verdict.violations.rows()


@pytest.mark.long
def test_an_ordinary_user_traces_where_the_machine_was_provisioned_for_it():
    """`kernel/provision/open-tracing`, which Vagrant's machine runs at every boot."""
    program = Path(labkit.__file__).parents[1] / "kernel" / "provision" / "open-tracing"
    with subprocess.Popen(
        [sys.executable, "-c", NOBODY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as nobody:
        refused = nobody.stdout.readline()
        subprocess.run(["sh", str(program), "nobody"], check=True)
        allowed, _ = nobody.communicate("again\n")
    subprocess.run(["sh", str(program), "root"], check=True)
    assert refused == "TracingUnavailable\n"
    assert allowed == "traced\n"


# Imports come first: the virtual environment need not be readable for everybody.
NOBODY = """
import os, pwd, time
from labkit.trace.kernel import KernelTracer, TracingUnavailable
with KernelTracer():
    pass
nobody = pwd.getpwnam("nobody")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
try:
    with KernelTracer():
        print("allowed", flush=True)
except TracingUnavailable as error:
    print(type(error).__name__, flush=True)
input()
with KernelTracer() as tracer:
    time.sleep(0.01)
assert not tracer.trace.missing and tracer.trace.events.height
print("traced")
"""
