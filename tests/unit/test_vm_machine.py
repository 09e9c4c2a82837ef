# SPDX-License-Identifier: MIT
"""The folder from which a guest is started is safe, or it is not started; paths of any letters."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.vm import accel, clock
from labkit.vm import qemu as machine
from labkit.vm.errors import VmError
from labkit.vm.options import VmOptions


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Not pytest's folder: a socket's path is short, and that names the test and the process.
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def test_the_folder_is_ours_alone_whatever_the_umask(base: Path) -> None:
    for umask in (0o000, 0o022, 0o077):
        old = os.umask(umask)
        try:
            made = machine._new_folder()
        finally:
            os.umask(old)
        assert made.parent == machine.runtime_folder()
        for folder in (made, made.parent):
            assert folder.stat().st_mode & 0o777 == 0o700
        made.rmdir()
        made.parent.rmdir()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_folder_that_others_may_write_is_refused(base: Path, mode: int) -> None:
    machine.runtime_folder().mkdir()
    machine.runtime_folder().chmod(mode)
    with pytest.raises(VmError, match="not a folder of yours alone"):
        machine._new_folder()


def test_the_folder_of_another_kernels_machine_stays(base: Path) -> None:
    """`labkit vm status` in a guest, which sees its host's files, knows none of its processes."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    for name, pids_of in (("ours", machine._pids_of()), ("theirs", "another boot")):
        folder = machine.runtime_folder() / name
        folder.mkdir(parents=True)
        note = {"pid": gone.pid, "pids_of": pids_of, "started": 1.0}
        (folder / "machine.json").write_text(json.dumps(note), encoding="utf-8")
    assert machine.running() == []
    assert os.listdir(machine.runtime_folder()) == ["theirs"]


def test_a_link_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir(mode=0o700)
    machine.runtime_folder().symlink_to(tmp_path / "far")
    with pytest.raises(VmError, match="not a folder of yours alone"):
        machine._new_folder()
    assert not list((tmp_path / "far").iterdir())


def test_a_file_is_refused(base: Path) -> None:
    machine.runtime_folder().write_text("", encoding="ascii")
    with pytest.raises(VmError, match="XDG_RUNTIME_DIR"):
        machine._new_folder()


def test_another_user_s_folder_is_refused(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.runtime_folder().mkdir(mode=0o700)
    name, user = machine.runtime_folder().name, os.getuid()
    monkeypatch.setattr(machine, "runtime_folder", lambda: base / name)
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    with pytest.raises(VmError, match="not a folder of yours alone"):
        machine._new_folder()


def test_a_place_in_which_others_may_rename_is_refused(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = base / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: str(shared))
    with pytest.raises(VmError, match="not a folder of yours alone"):
        machine._new_folder()
    shared.chmod(0o1777)
    assert machine._new_folder().is_dir()


def test_another_user_s_runtime_folder_is_not_used(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `sudo -E`."""
    base.chmod(0o777)
    monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: str(tmp_path))
    assert machine.runtime_folder().parent == tmp_path


def test_a_path_that_is_too_long_for_a_socket_is_named(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = base / ("é" * 60)
    long.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(VmError, match="too long a path for a socket"):
        machine._new_folder()
    assert not list(machine.runtime_folder().iterdir())


def test_a_comma_in_the_runtime_folder_is_refused(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (base / "a,b").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base / "a,b"))
    with pytest.raises(VmError, match="has a comma in its name"):
        machine._new_folder()


def test_paths_with_commas_blanks_and_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, frozen = tmp_path / "ab c'd", tmp_path / "e,f g"
    folder.mkdir()
    tools = tmp_path / "bin x'y"
    tools.mkdir()
    qemu = tools / machine.QEMU
    qemu.write_text('#!/bin/sh\necho "$@"\n', encoding="ascii")
    qemu.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    options = VmOptions(frozen=(frozen,), ports=(8000,))
    words = machine._command(Path("/k"), options, "tcg", folder)
    assert f"--qemu-opt=socket,id=labkit,path={folder}/port" in words
    monitor = f"--qemu-opt=socket,id=monitor,path={folder}/monitor,server=on,wait=off"
    assert monitor in words
    assert any(f"path={str(frozen).replace(',', ',,')},security_model" in word for word in words)
    script = words[words.index("--script-sh") + 1]
    assert str(frozen) in shlex.split(script.split(";")[0])
    said = subprocess.run(
        [folder / machine.QEMU, "-version"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "-version\n"


def test_a_guest_without_kvm_is_told_how_fast_its_clock_is(tmp_path: Path) -> None:
    khz = clock.tsc_khz()
    if khz is None:
        pytest.skip("no time stamp counter that can be read")
    assert khz > 100_000
    clock.tsc_khz.cache_clear()
    assert clock.tsc_khz() == pytest.approx(khz, rel=1e-3), "whatever this machine does meanwhile"

    def told(options: VmOptions) -> list[str]:
        made = machine._command(Path("k"), options, "tcg", tmp_path)
        return [word for word in made if "tsc_early_khz" in word]

    assert told(VmOptions()) == [f"--kopt=tsc_early_khz={clock.tsc_khz()}"]
    counted = VmOptions(cpus=1, accelerator="tcg", icount=True)
    assert told(counted) == [], "its counter counts instructions"


def test_a_verdict_that_cannot_be_kept_is_still_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that is read-only, or no folder at all."""
    (tmp_path / "file").write_text("", encoding="ascii")
    (tmp_path / "bzImage").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    monkeypatch.setattr(accel, "need_programs", lambda: None)
    monkeypatch.setattr(accel, "_prove", lambda options: ("tcg", "a reason"))
    said: list[str] = []
    assert accel.choose(VmOptions(image=tmp_path / "bzImage"), said.append) == "tcg"
    assert "not kept" in said[-1]
