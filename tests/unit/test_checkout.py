# SPDX-License-Identifier: MIT
"""A checkout wherever people put one: letters and blanks in its path, CRLF, umask, home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.native import build

ROOT = build.ROOT

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a copy, no checkout")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """As Windows' git makes one, by somebody who is private."""
    folder = tmp_path_factory.mktemp("far") / "pÿ rëview p"
    old = os.umask(0o077)
    try:
        words = ["git", "clone", "-q", "-c", "core.autocrlf=true", str(ROOT), str(folder)]
        subprocess.run(words, check=True)
        for compiled in (ROOT / "labkit").rglob("*.so"):
            shutil.copy(compiled, folder / compiled.relative_to(ROOT))
        yield folder
    finally:
        os.umask(old)


def env(home: Path | str, **more: str) -> dict[str, str]:
    """What a shell with another home and the plainest locale has."""
    kept = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ}
    return {**kept, "HOME": str(home), "LC_ALL": "C", "PYTHONUTF8": "0", **more}


def where(checkout: Path, **more: str) -> dict[str, str]:
    """What `make -C kernel where` prints, when it has nothing to complain of."""
    made = subprocess.run(
        ["make", "-s", "-C", "kernel", "where"],
        cwd=checkout,
        env=env("/nowhere", **more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")
    return dict(line.split("=", 1) for line in made.stdout.splitlines())


def test_no_line_ends_with_crlf(clone: Path) -> None:
    command = ["git", "ls-files", "--eol"]
    listed = subprocess.run(command, cwd=clone, check=True, capture_output=True, text=True)
    assert not [
        line for line in listed.stdout.splitlines() if "w/crlf" in line or "w/mixed" in line
    ]


def test_each_configuration_has_its_own_image_whatever_the_path(clone: Path) -> None:
    configurations = ("lab", "debug", "kasan")
    images = {name: where(clone, CONFIG=name)["IMAGE"] for name in configurations}
    digests = {path.split("-")[-1] for path in images.values()}
    assert len(digests) == len(configurations)
    # The path is in no digest: a checkout elsewhere uses the same cache.
    assert images == {name: where(ROOT, CONFIG=name)["IMAGE"] for name in configurations}


def version(checkout: Path, config: str) -> str:
    """The version of the kernel's packages, as the scripts of provisioning ask for it."""
    script = '. "$1/kernel/scripts/lib.sh" && package_version'
    made = subprocess.run(
        ["sh", "-c", script, str(checkout / "kernel" / "scripts" / "x.sh"), str(checkout)],
        env=env("/nowhere", CONFIG=config),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (made.returncode, made.stderr) == (0, "")
    return made.stdout


def test_each_configuration_has_its_own_package(clone: Path) -> None:
    assert version(clone, "lab") != version(clone, "debug")
    assert version(clone, "lab") == version(ROOT, "lab")


def test_scripts_run_without_the_mark_that_windows_loses(clone: Path) -> None:
    for script in clone.glob("kernel/scripts/*.sh"):
        script.chmod(0o600)
    assert where(clone)["IMAGE"]


def labkit(clone: Path, home: Path | str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labkit.cli", *words],
        cwd=clone,
        env=env(home, PYTHONPATH=str(clone)),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.long
@pytest.mark.parametrize("home", ["/proc/nowhere", os.devnull])
def test_labkit_measures_saves_and_reports(clone: Path, home: str, tmp_path: Path) -> None:
    """From that checkout, with a home that cannot be written."""
    run, page = tmp_path / "rün 1.parquet", tmp_path / "päge 1.html"
    small = ["--methods", "futex,pipe", "--value-ms", "1", "--repetitions", "3"]
    for words in (["run", "swap", *small, "-o", str(run)], ["report", str(run), "-o", str(page)]):
        made = labkit(clone, home, *words)
        assert made.returncode == 0, made.stderr
    assert "µs" in page.read_text(encoding="utf-8")
    assert not any(line.startswith("Traceback") for line in made.stderr.splitlines())
    doctor = labkit(clone, home, "doctor")
    assert doctor.returncode in (0, 3) and "Traceback" not in doctor.stderr, doctor.stderr


def test_the_service_s_unit_in_a_path_of_any_letters(tmp_path: Path) -> None:
    """systemd itself reads it, where it is installed."""
    lab = tmp_path / 'pÿ "quoted" 100% p'
    (lab / "course").mkdir(parents=True)
    (lab / ".venv" / "bin").mkdir(parents=True)
    jupyter = lab / ".venv" / "bin" / "jupyter"
    jupyter.write_text("#!/bin/sh\n", encoding="ascii")
    jupyter.chmod(0o755)
    unit = tmp_path / "umcg-lab-test.service"
    names = {"course": f"{lab}/course", "venv": f"{lab}/.venv", "user": "root", "token": "/etc/t"}
    names |= {"port": "8888", "bind": "127.0.0.1"}
    script = f". {ROOT}/kernel/provision/unit.sh; unit"
    made = subprocess.run(
        ["sh", "-euc", script], env={**os.environ, **names}, check=True, capture_output=True
    )
    unit.write_bytes(made.stdout)
    text = made.stdout.decode()
    assert "100%% p/course\n" in text
    assert r"\"quoted\"" in text.split("Environment=")[1]
    if shutil.which("systemd-analyze"):
        read = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True
        )
        assert str(lab) not in read.stderr and unit.name not in read.stderr, read.stderr


def test_the_service_listens_on_this_machine_alone_unless_told() -> None:
    library = (ROOT / "kernel" / "provision" / "lab.sh").read_text(encoding="utf-8")
    assert "bind=${UMCG_LAB_BIND:-127.0.0.1}" in library
    assert 'UMCG_LAB_BIND: "0.0.0.0"' in (ROOT / "Vagrantfile").read_text(encoding="utf-8")
