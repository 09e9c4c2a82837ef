# SPDX-License-Identifier: MIT
"""What a command reads it never writes; what could not be measured replaces nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import synthetic
from test_bench import a_suite, some_results
from typer.testing import CliRunner

from labkit import vm
from labkit.benchmark import icount, suite
from labkit.cli import bench as command
from labkit.cli import measure
from labkit.cli.commands import app
from labkit.trace import files
from labkit.trace.errors import WriteFailed


def call(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stderr


def by_its_name(file: Path) -> Path:
    return file


def by_a_detour(file: Path) -> Path:
    (file.parent / "sub").mkdir()
    return file.parent / "sub" / ".." / file.name


def by_a_link(file: Path) -> Path:
    link = file.with_name(f"link{file.suffix}")
    link.symlink_to(file)
    return link


def by_a_hard_link(file: Path) -> Path:
    link = file.with_name(f"hard{file.suffix}")
    link.hardlink_to(file)
    return link


WAYS = [by_its_name, by_a_detour, by_a_link, by_a_hard_link]
Way = Callable[[Path], Path]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("words", [["report"], ["trace", "export"]])
def test_a_run_is_not_replaced_by_what_is_made_of_it(
    words: list[str], way: Way, tmp_path: Path
) -> None:
    other = files.save(synthetic.record(), tmp_path / "other.parquet")
    run = files.save(synthetic.record(), tmp_path / "run.parquet")
    before = run.read_bytes()
    inputs = [other, run] if words == ["report"] else [run]
    code, said = call(*words, *inputs, "-o", way(run))
    assert code == 4 and "give another name" in said
    assert run.read_bytes() == before


@pytest.mark.parametrize("way", WAYS)
def test_results_are_not_replaced_by_their_report(
    way: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "load", lambda names=(): [a_suite()])
    file = some_results().save(tmp_path / "r.json")
    before = file.read_bytes()
    code, said = call("bench", "report", file, "-o", way(file))
    assert code == 4 and "give another name" in said
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["r.html", "r.md"])
def test_results_whose_name_is_that_of_the_report(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without -o the page and its Markdown go beside the results file."""
    monkeypatch.setattr(suite, "load", lambda names=(): [a_suite()])
    file = some_results().save(tmp_path / name)
    before = file.read_bytes()
    code, said = call("bench", "report", file)
    assert code == 4 and "give another name" in said
    assert file.read_bytes() == before


def test_the_page_of_a_report_is_not_its_markdown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "load", lambda names=(): [a_suite()])
    file = some_results().save(tmp_path / "r.json")
    code, said = call("bench", "report", file, "-o", tmp_path / "page.md")
    assert code == 2 and "end it in .html" in said


def test_the_demo_does_not_write_its_page_over_its_runs(tmp_path: Path) -> None:
    page = measure.file(tmp_path, measure.DEMO[0])
    code, said = call("demo", "-o", page)
    assert code == 4 and "give another name" in said


def test_the_baseline_of_counts_is_no_results_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline = tmp_path / "baseline.json"
    baseline.write_text("{}", encoding="utf-8")
    monkeypatch.setattr(icount, "BASELINE", baseline)
    code, said = call("bench", "-o", baseline)
    assert code == 4 and "give another name" in said
    assert baseline.read_text(encoding="utf-8") == "{}"


POLICY = """
class Mine:
    def ready(self, thread, why): self.threads = [*getattr(self, "threads", []), thread]
    def next(self, server): return self.threads.pop(0) if self.threads else None
"""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("words", "name", "content"),
    [
        (["run", "mixed", "--where", "simulator", "--policy", "{}", "-o"], "mine.py", POLICY),
        (["policy", "predict", "{}", "-o"], "work.json", "{}"),
        (["policy", "predict", "{}", "--figure"], "work.json", "{}"),
        (["policy", "predict", "--policy", "{}", "-o"], "mine.py", POLICY),
        (["policy", "build", "{}", "-o"], "mine.c", "int mine;"),
        (["sweep", "none.json", "--policy", "{}:Mine", "-o"], "mine.py", POLICY),
    ],
)
def test_a_policy_or_workload_is_not_replaced_by_what_it_gave(
    words: list[str], name: str, content: str, way: Way, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    code, said = call(*(word.format(file) for word in words), way(file))
    assert code == 4 and "give another name" in said, said
    assert file.read_text(encoding="utf-8") == content


def test_a_program_is_not_replaced_by_its_recording(tmp_path: Path) -> None:
    program = tmp_path / "prog"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    code, said = call("record", "-o", program, "--", program)
    assert code == 4 and "give another name" in said


def nothing_boots(*_: object, **__: object) -> int:
    raise vm.VmError("no kernel yet")


def interrupted(*_: object, **__: object) -> int:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("ends", "code"), [(nothing_boots, 125), (interrupted, 130)])
def test_bench_keeps_the_old_results_until_there_are_new_ones(
    ends: Callable[..., int], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "load", lambda names=(): [a_suite()])
    monkeypatch.setattr(command.engine, "enabled", lambda: False)
    monkeypatch.setattr(command.vm, "execute", ends)
    file = some_results().save(tmp_path / "r.json")
    before = file.read_bytes()
    assert call("bench", "-o", file)[0] == code
    assert file.read_bytes() == before


def test_a_place_where_nothing_can_be_written_is_named_before_measuring(tmp_path: Path) -> None:
    with pytest.raises(WriteFailed, match="no such folder"):
        files.check_output(tmp_path / "none" / "x.html")
    with pytest.raises(WriteFailed, match="is a folder"):
        files.check_output(tmp_path)
    files.check_output(tmp_path / "new", tmp_path / "other", tmp_path / "none" / "missing")


def test_two_threads_write_one_file(tmp_path: Path) -> None:
    """One of the contents, whole, and nothing else in the folder."""
    target = tmp_path / "run.parquet"
    contents = [bytes([number]) * 300_000 for number in range(8)]
    failed: list[BaseException] = []

    def write(data: bytes) -> None:
        try:
            for _ in range(20):
                files.write_atomically(target, data)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert target.read_bytes() in contents
    assert os.listdir(tmp_path) == ["run.parquet"]


def test_a_name_as_long_as_a_name_may_be(tmp_path: Path) -> None:
    target = tmp_path / ("n" * 255)
    files.write_atomically(target, b"content")
    assert target.read_bytes() == b"content"
