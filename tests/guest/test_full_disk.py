# SPDX-License-Identifier: MIT
"""A file system that is full, which takes root to have: the guest's tests are root."""

import subprocess

import pytest
from typer.testing import CliRunner

import labkit
from labkit.cli.commands import app
from labkit.trace.errors import WriteFailed

SMALL = {"methods": ("futex",), "value_ms": 1, "repetitions": 2, "traced_rounds": 10}


@pytest.fixture
def disk(tmp_path):
    """A folder with room for 64 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)]
    subprocess.run(mount, check=True)
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_run_that_finds_no_room_leaves_the_earlier_one(disk):
    run = labkit.swap(**SMALL)
    path = run.save(disk / "run.parquet")
    before = path.read_bytes()
    with open(disk / "rest", "wb", buffering=0) as rest, pytest.raises(OSError, match="No space"):
        while True:
            rest.write(bytes(4096))
    with pytest.raises(WriteFailed, match=r"disk is full.*Earlier results are untouched"):
        run.save(path)
    assert path.read_bytes() == before
    assert {file.name for file in disk.iterdir()} == {"run.parquet", "rest"}
    assert labkit.load(path).samples.equals(run.samples)


def test_no_room_for_the_pages_that_fault(disk, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(disk))
    words = ["run", "block", "--works", "fault", "--duration-s", "0.01", "--repetitions", "1"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 4, done.output
    assert done.stderr.startswith("labkit: cannot write 2048 KiB of pages to fault on")
    assert "No space left on device; free space or set TMPDIR" in done.stderr
