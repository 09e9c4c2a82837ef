# SPDX-License-Identifier: MIT
"""An experiment in a forked child of a process that has made one: an error, and no hang."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import multiprocessing, sys
import labkit

def experiment():
    return labkit.swap(methods=("futex", "pipe"), value_ms=1, repetitions=2)

def load():
    labkit.load(sys.argv[1])

def work():
    {child}()
    print("child done", flush=True)

if __name__ == "__main__":
    run = experiment() if {parent} else None
    if run:
        run.save(sys.argv[1])
    child = multiprocessing.get_context("{how}").Process(target=work)
    child.start()
    child.join()
    sys.exit(child.exitcode)
"""


def made(tmp_path, **names) -> subprocess.CompletedProcess[str]:
    program = tmp_path / "program.py"
    program.write_text(BEGIN.format(**names), encoding="utf-8")
    return subprocess.run(
        [sys.executable, program, tmp_path / "run.parquet"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("child", ["experiment", "load"])
def test_a_forked_child_says_that_it_cannot(tmp_path, child) -> None:
    done = made(tmp_path, parent=True, child=child, how="fork")
    assert done.returncode == 1
    assert "ForkedProcess: this process was forked" in done.stderr
    assert 'get_context("spawn")' in done.stderr


def test_a_spawned_child_can(tmp_path) -> None:
    done = made(tmp_path, parent=True, child="experiment", how="spawn")
    assert (done.returncode, done.stdout) == (0, "child done\n"), done.stderr


def test_a_forked_child_of_a_parent_that_did_nothing_can(tmp_path) -> None:
    done = made(tmp_path, parent=False, child="experiment", how="fork")
    assert (done.returncode, done.stdout) == (0, "child done\n"), done.stderr
