# SPDX-License-Identifier: MIT
"""`fault` faults, or says why it cannot."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import synthetic

import labkit
from labkit import analysis
from labkit.benchmark.suite import load
from labkit.experiments import pages
from labkit.native import engine
from labkit.records import Record
from labkit.trace.errors import WriteFailed


def test_every_operation_waits_for_a_page() -> None:
    with pages.pages(4) as file:
        for _ in range(2):  # and again, with what the first time left in memory
            outcome = engine.load("fault", umcg=False, workers=4, max_ops=600, file=file)
            operations = sum(task.ops for task in outcome.tasks)
            faults = [task.faults for task in outcome.tasks]
            assert sum(faults) >= 0.9 * operations
            assert all(faults)


def test_the_run_counts_them() -> None:
    run = labkit.block(works=("fault", "sleep"), workers=2, duration_s=0.05, repetitions=2)
    operations = run.samples.filter(series="pthread/fault", unit="op/s")["n"].sum()
    assert run.counters["pthread/fault:major_faults"] >= 0.9 * operations > 0
    assert "pthread/sleep:major_faults" not in run.counters
    assert not [text for text in analysis.warnings(run) if "faulted" in text]


def test_a_run_that_mostly_did_not_fault_is_doubted() -> None:
    samples = synthetic.samples({"pthread/fault": 100.0}, unit="op/s", n=5)
    record = Record(**synthetic.record(samples=samples).__dict__)
    record.counters = {"lost": 0, "pthread/fault:major_faults": 250_000}
    assert "only 50% of the operations of pthread/fault faulted" in analysis.warnings(record)


def test_a_file_system_in_memory_is_refused_with_the_remedy(monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", "/dev/shm")
    with pytest.raises(labkit.experiments.SpecError) as refused:
        labkit.block(works=("fault",), duration_s=0.05)
    said = str(refused.value)
    assert "/dev/shm (tmpfs)" in said
    assert "Set TMPDIR to a folder on a disk" in said and "leave `fault` out" in said
    # Nothing else needs such a file.
    run = labkit.block(works=("sleep",), duration_s=0.05, repetitions=1, events=0)
    assert run.samples.height


def test_a_disk_is_preferred_to_memory(monkeypatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(pages.tempfile, "gettempdir", lambda: "/dev/shm")
    assert pages.folders()[-1] == Path("/dev/shm") != pages.folders()[0]
    monkeypatch.setattr(pages, "folders", lambda: [Path("/dev/shm"), Path("/var/tmp")])
    with pages.pages(1) as file:
        assert engine.load("fault", umcg=False, workers=1, max_ops=9, file=file).tasks[0].faults


def test_no_room_is_told_as_such(monkeypatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pages.os, "fsync", full)
    with pytest.raises(WriteFailed, match=r"cannot write 2048 KiB.*free space or set TMPDIR"):
        labkit.block(works=("fault",))


def test_the_benchmark_works_on_the_same_pages() -> None:
    (suite,) = load(["block"])
    assert suite.measure.__globals__["pages"] is pages.pages
