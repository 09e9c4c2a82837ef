# SPDX-License-Identifier: MIT
"""kernel/provision/copy.py: a working copy follows its source, but nobody's work is lost."""

import importlib.util
import os
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "kernel" / "provision" / "copy.py"
_spec = importlib.util.spec_from_file_location("provision_copy", FILE)
copy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(copy)


@pytest.fixture
def folders(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "notebooks").mkdir(parents=True)
    target.mkdir()
    (source / "notebooks" / "a").write_text("one", encoding="utf-8")
    (source / "b").write_text("one", encoding="utf-8")
    assert copy.bring(source, target) == (2, [])
    return source, target


def test_second_time_changes_nothing(folders):
    source, target = folders
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert copy.bring(source, target) == (0, [])
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before


def test_what_is_untouched_follows(folders):
    source, target = folders
    (source / "b").write_text("two", encoding="utf-8")
    (source / "c").write_text("new", encoding="utf-8")
    assert copy.bring(source, target) == (2, [])
    assert (target / "b").read_text(encoding="utf-8") == "two"
    (source / "c").unlink()
    assert copy.bring(source, target) == (1, [])
    assert not (target / "c").exists()


def test_what_arrives_is_new_to_make_however_old_it_is_and_keeps_its_mode(folders):
    source, target = folders
    made = target / "made"
    made.touch()
    (source / "b").write_text("two", encoding="utf-8")
    (source / "b").chmod(0o755)
    os.utime(source / "b", (1, 1))
    copy.bring(source, target)
    assert (target / "b").stat().st_mtime_ns >= made.stat().st_mtime_ns
    assert (target / "b").stat().st_mode & 0o777 == 0o755


def test_what_was_changed_stays_and_is_named_while_the_source_has_another(folders):
    source, target = folders
    (target / "b").write_text("mine", encoding="utf-8")
    assert copy.bring(source, target) == (0, [])
    (source / "b").write_text("two", encoding="utf-8")
    for _ in range(2):
        assert copy.bring(source, target) == (0, ["b"])
    assert (target / "b").read_text(encoding="utf-8") == "mine"
    (target / "b").write_text("one", encoding="utf-8")
    assert copy.bring(source, target) == (1, [])
    assert (target / "b").read_text(encoding="utf-8") == "two"


def test_what_was_changed_stays_when_the_source_drops_it(folders):
    source, target = folders
    (target / "b").write_text("mine", encoding="utf-8")
    (source / "b").unlink()
    assert copy.bring(source, target) == (0, [])
    assert (target / "b").read_text(encoding="utf-8") == "mine"


def test_own_files_and_lost_files(folders):
    source, target = folders
    (target / "own").write_text("mine", encoding="utf-8")
    (target / "notebooks" / "a").unlink()
    assert copy.bring(source, target) == (1, [])
    assert (target / "own").read_text(encoding="utf-8") == "mine"
    assert (target / "notebooks" / "a").read_text(encoding="utf-8") == "one"
