# SPDX-License-Identifier: MIT
from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import synthetic

from labkit.records import Record
from labkit.trace import files
from labkit.trace.errors import ForeignFile, NewerFormat, SchemaError, TruncatedFile, WriteFailed


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    run = synthetic.record()
    back = files.load(files.save(run, tmp_path / "run.parquet"))
    assert (back.spec, back.environment, back.counters) == (run.spec, run.environment, run.counters)
    for table in ("events", "tasks", "samples"):
        assert getattr(back, table).equals(getattr(run, table))
    assert os.listdir(tmp_path) == ["run.parquet"]


def test_load_makes_the_class_asked_for(tmp_path: Path) -> None:
    class Mine(Record):
        pass

    files.save(synthetic.record(), tmp_path / "run.parquet")
    assert isinstance(files.load(tmp_path / "run.parquet", Mine), Mine)


def test_any_parquet_reader_reads_the_events(tmp_path: Path) -> None:
    run = synthetic.record()
    files.save(run, tmp_path / "run.parquet")
    assert pl.read_parquet(tmp_path / "run.parquet").height == run.events.height


def test_every_truncation_is_named(tmp_path: Path) -> None:
    whole = files.save(synthetic.record(), tmp_path / "run.parquet").read_bytes()
    cut = tmp_path / "cut.parquet"
    for size in [0, 4, 11, *range(100, len(whole) - 1, len(whole) // 25), len(whole) - 1]:
        cut.write_bytes(whole[:size])
        with pytest.raises(TruncatedFile, match=r"again"):
            files.load(cut)


def test_foreign_files_are_named(tmp_path: Path) -> None:
    other = tmp_path / "other.parquet"
    other.write_text("series,value\n", encoding="utf-8")
    with pytest.raises(ForeignFile, match="not a Parquet file"):
        files.load(other)
    pl.DataFrame({"a": [1]}).write_parquet(other)
    with pytest.raises(ForeignFile, match="no labkit run"):
        files.load(other)
    with pytest.raises(ForeignFile, match="folder"):
        files.load(tmp_path)
    pl.DataFrame({"a": [1]}).write_parquet(other, metadata={"labkit.format": "99"})
    with pytest.raises(NewerFormat, match="update labkit"):
        files.load(other)
    with pytest.raises(FileNotFoundError, match=r"none/x: no such file$"):
        files.load(tmp_path / "none" / "x")
    with pytest.raises(FileNotFoundError, match=r"othr\.parquet: no .* mean '.*/other"):
        files.load(tmp_path / "othr.parquet")


def test_what_json_cannot_hold_is_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="spec holds a value"):
        files.save(synthetic.record(spec={"experiment": object()}), tmp_path / "run.parquet")
    assert not os.listdir(tmp_path)


def test_a_write_that_fails_leaves_the_earlier_run(tmp_path: Path) -> None:
    path = files.save(synthetic.record(), tmp_path / "run.parquet")
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(WriteFailed, match=r"ulimit.*Earlier results are untouched"):
            files.save(synthetic.record(counters={"lost": 3}), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, old)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.parquet"]


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    path = files.save(synthetic.record(), tmp_path / "run.parquet")
    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteFailed, match="disk is full: free space"):
        files.save(synthetic.record(counters={}), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.parquet"]


def test_what_is_no_regular_file_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WriteFailed, match="no regular file"):
        files.save(synthetic.record(), tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(WriteFailed, match="is a folder"):
        files.save(synthetic.record(), tmp_path)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link, target = tmp_path / "run.parquet", tmp_path / "far" / "run.parquet"
    link.symlink_to(target)
    files.save(synthetic.record(), link)
    assert link.is_symlink()
    assert files.load(target).events.height


def test_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(WriteFailed, match="does not exist: create it first"):
        files.save(synthetic.record(), tmp_path / "none" / "run.parquet")


def test_a_killed_writer_leaves_the_earlier_run(tmp_path: Path) -> None:
    path = files.save(synthetic.record(), tmp_path / "run.parquet")
    before = path.read_bytes()
    # The writer stops itself where the bytes are written but have not taken the file's name.
    code = (
        "import os, signal, sys; from pathlib import Path; from labkit.trace import files\n"
        "os.fsync = lambda fd: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_atomically(Path(sys.argv[1]), b'x' * 100000)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == before
    assert files.load(path).events.height


@pytest.mark.slow
def test_a_million_events(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    events, tasks = synthetic.million()
    shuffled = events.sample(fraction=1, shuffle=True, seed=1)
    calls = 0

    def seen(frame: object, event: str, arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    def turn(table: pl.DataFrame) -> files.Record:
        nonlocal calls
        calls = 0
        sys.setprofile(seen)
        try:
            run = synthetic.record(events=files.schema.sort(table), tasks=tasks)
            files.save(run, tmp_path / "run.parquet")
            return files.load(tmp_path / "run.parquet")
        finally:
            sys.setprofile(None)

    turn(shuffled.head(100))  # the first time modules are imported
    turn(shuffled.head(100))
    few, start = calls, time.perf_counter()
    back = turn(shuffled)
    # How long it takes is no matter of right or wrong; that nothing is done event by event is.
    record_property("sort_save_load_s", time.perf_counter() - start)
    assert calls < 2 * few
    assert back.events.height >= 1_000_000
    assert back.events["t"].equals(events["t"])
