# SPDX-License-Identifier: MIT
"""The command line: JSON is JSON, errors are one line with their exit code."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from labkit.cli import app
from labkit.native import engine

SMALL = ["run", "swap", "--methods", "futex", "--value-ms", "1", "--repetitions", "3"]


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_json_is_all_there_is_on_stdout(tmp_path):
    file = tmp_path / "run.parquet"
    done = call(*SMALL, "--json", "-o", file)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["spec"]["experiment"] == "swap"
    assert {row["series"] for row in document["samples"]} == {"futex/pinned", "futex/unpinned"}
    assert document["file"] == str(file) and file.exists()


def test_report_and_export(tmp_path):
    file = tmp_path / "run.parquet"
    assert call(*SMALL, "-o", file).exit_code == 0
    page, trace = tmp_path / "page.html", tmp_path / "run.pftrace"
    assert call("report", file, "-o", page, "--json").exit_code == 0
    assert "futex/pinned" in page.read_text()
    assert call("trace", "export", file, "-o", trace).exit_code == 0
    assert trace.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["run", "nothing"], 2, "no experiment 'nothing'; choose from swap, wake"),
        (["run", "swap", "--methods", "teleport"], 2, "unknown 'teleport'"),
        (["run", "block", "--servers", "0"], 2, "servers is 0"),
        (["run", "block", "--servers", "64"], 2, "CPUs"),
        (["run", "wake", "--servers", "one"], 2, "whole numbers"),
        (["run", "swap", "-o", "/no/such/folder/x.parquet"], 4, "no such folder"),
        (["report", "/no/such/file.parquet", "-o", "x.html"], 4, "no such file"),
        (["report", "/etc/passwd", "-o", "x.html"], 4, "not a Parquet file"),
        (["trace", "export", "/etc", "-o", "x"], 4, "folder"),
        (["vm", "exec", "--cpus", "0", "--", "true"], 2, "cpus is 0"),
        (["vm", "exec", "--image", "/no/such", "--", "true"], 125, "no such kernel image"),
    ],
)
def test_errors_are_one_line_and_a_code(words, code, says):
    done = call(*words)
    assert done.exit_code == code, done.output
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(engine.enabled(), reason="needs a kernel without UMCG")
def test_umcg_alone_on_a_kernel_without():
    done = call("run", "swap", "--methods", "umcg-swap")
    assert done.exit_code == 3
    assert "labkit vm exec" in done.stderr


def test_a_truncated_file(tmp_path):
    file = tmp_path / "run.parquet"
    assert call(*SMALL, "-o", file).exit_code == 0
    file.write_bytes(file.read_bytes()[:-100])
    done = call("report", file, "-o", tmp_path / "page.html")
    assert done.exit_code == 4
    assert "cut short" in done.stderr


def test_a_write_that_fails_leaves_the_earlier_run(tmp_path):
    file = tmp_path / "run.parquet"
    assert call(*SMALL, "-o", file).exit_code == 0
    before = file.read_bytes()
    words = [sys.executable, "-m", "labkit.cli", *SMALL, "-o", str(file)]
    limited = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *words]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("labkit: cannot write")
    assert file.read_bytes() == before


def test_an_interrupted_run_ends_soon_and_writes_nothing(tmp_path):
    file = tmp_path / "run.parquet"
    words = [sys.executable, "-m", "labkit.cli", "run", "block", "--duration-s", "60"]
    # As from a terminal: what a script starts in the background ignores interrupts.
    words = ["env", "--default-signal=INT", *words]
    process = subprocess.Popen([*words, "-o", str(file)], stderr=subprocess.PIPE, text=True)
    while len(os.listdir(f"/proc/{process.pid}/task")) < 8:
        time.sleep(0.05)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted" in err
    assert not list(tmp_path.iterdir())


def test_doctor_says_what_to_do():
    done = call("doctor", "--json")
    document = json.loads(done.stdout)
    for check in document["checks"]:
        assert check["verdict"] in ("ok", "note", "lack")
        assert (check["verdict"] == "ok") == (not check["remedy"])
    assert done.exit_code == (0 if document["can_run_umcg"] else 3)


def test_status():
    document = json.loads(call("vm", "status", "--json").stdout)
    assert {"image", "missing", "accelerator", "running"} == set(document)
