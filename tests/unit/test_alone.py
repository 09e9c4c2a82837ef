# SPDX-License-Identifier: MIT
"""One experiment at a time, and only while its CPUs stay what they were."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

import labkit
from labkit import analysis
from labkit.benchmark import guest
from labkit.experiments import alone
from labkit.experiments.alone import Busy

QUICK = {"works": ("sleep",), "workers": 1, "duration_s": 0.01, "repetitions": 1, "events": 0}
HOLDER = """
import sys
from labkit.experiments.alone import alone
with alone("preempt"):
    print("measures", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """As without a file that somebody has chosen, and apart from other tests on this machine."""
    monkeypatch.delenv("LABKIT_LOCK", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_the_second_in_a_process_is_told_who_is_first():
    begun, refused = threading.Event(), []

    def second(_: object) -> None:
        if not begun.is_set():
            begun.set()
            thread = threading.Thread(target=try_another)
            thread.start()
            thread.join()

    def try_another() -> None:
        with pytest.raises(Busy) as error:
            labkit.swap(methods=("pipe",), repetitions=1, value_ms=1)
        refused.append(str(error.value))

    run = labkit.block(**QUICK, progress=second)
    assert run.samples.height
    assert refused == [
        f"another experiment is running on this machine: block (process {os.getpid()}); two at "
        "once would measure each other: wait for its end, or stop it"
    ]
    labkit.block(**QUICK)  # and now it is nobody's


@pytest.mark.slow
def test_the_second_process_is_told_and_a_killed_one_is_none(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "measures\n"
        with pytest.raises(Busy, match=rf"preempt \(process {holder.pid}\)"):
            labkit.block(**QUICK)
        with pytest.raises(Busy, match="preempt"):
            guest.measure(tmp_path / "bench.json", "smoke", ["spawn"])
        panel = labkit.panel("block", **QUICK)
        panel.start()
        panel.wait()
        assert panel.run is None
        said = panel._said.value
        assert "Another experiment is running on this machine: preempt" in said
        words = ["-m", "labkit.cli", "run", "block", "--works", "sleep", "--duration-s", "0.01"]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert done.stderr.startswith("labkit: another experiment is running")
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    labkit.block(**QUICK)


def test_parts_of_a_machine_have_locks_of_their_own(monkeypatch, tmp_path):
    with alone.alone("one"):
        monkeypatch.setenv("LABKIT_LOCK", str(tmp_path / "other"))
        with alone.alone("another"):
            pass


def test_an_error_gives_the_turn_back():
    with pytest.raises(ZeroDivisionError), alone.alone("one"):
        _ = 1 / 0
    with alone.alone("another"):
        pass


def test_the_hosts_folder_is_not_in_a_guest(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/none")
    monkeypatch.setattr(alone.tempfile, "gettempdir", lambda: str(tmp_path))
    labkit.block(**QUICK)
    assert alone.lock_file().parent == tmp_path


def test_a_folder_that_cannot_be_written_is_no_licence(monkeypatch):
    monkeypatch.setenv("LABKIT_LOCK", "/proc/none/lock")
    with pytest.raises(Busy, match="set LABKIT_LOCK to a file of your own"):
        labkit.block(**QUICK)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_other_cpus_end_a_run_which_keeps_what_it_has():
    mine = os.sched_getaffinity(0)
    fewer = {min(mine)}

    def change(update: labkit.experiments.Update) -> None:
        if update.done == 3:
            os.sched_setaffinity(0, fewer)

    try:
        run = labkit.swap(methods=("pipe",), repetitions=10, value_ms=2, progress=change)
    finally:
        os.sched_setaffinity(0, mine)
    assert run.counters["stopped"] == 1
    assert run.samples.height == 3
    because = run.environment["stopped_because"]
    assert because.startswith("the CPUs that may be used changed from ")
    assert f" to {min(mine)} while it ran" in because
    assert any(because in said for said in analysis.warnings(run))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two CPUs")
def test_a_long_value_does_not_go_on_for_its_whole_time():
    mine = os.sched_getaffinity(0)

    def change(update: labkit.experiments.Update) -> None:
        if update.live:
            os.sched_setaffinity(0, {min(mine)})

    try:
        run = labkit.block(**(QUICK | {"duration_s": 60.0}), progress=change)
    finally:
        os.sched_setaffinity(0, mine)
    assert run.samples.is_empty()
    assert "stopped_because" in run.environment
