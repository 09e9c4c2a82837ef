# SPDX-License-Identifier: MIT
"""tests/vagrant/wheels.py: the package index that the Vagrant test serves to its guest."""

import importlib.util
import urllib.request
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location(
    "vagrant_wheels", PROJECT / "tests" / "vagrant" / "wheels.py"
)
wheels = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(wheels)

NAME = "Some_odd.name-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path):
    wheel = tmp_path / NAME
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.writestr("some_odd/vendored-2.dist-info/METADATA", "Name: vendored\n")
        packed.writestr("Some_odd.name-1.0.dist-info/METADATA", "Name: Some_odd.name\n")
    wheels.add(wheel, tmp_path / "index")
    return tmp_path / "index"


def test_a_package_is_found_under_its_canonical_name_with_its_metadata(index, monkeypatch):
    monkeypatch.setattr(wheels, "GATEWAY", "127.0.0.1")
    with wheels.served(index) as address:

        def got(path):
            with urllib.request.urlopen(address + path, timeout=60) as answer:
                return answer.read().decode()

        assert f'href="{NAME}"' in got("some-odd-name/")
        assert got(f"some-odd-name/{NAME}.metadata") == "Name: Some_odd.name\n"


def test_all_that_labkit_needs_is_fetched():
    wanted = wheels.requirements(PROJECT)
    for name in ("uv", "setuptools", "cffi", "polars", "jupyterlab"):
        assert any(text.startswith(name) for text in wanted), name


def test_another_python_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "PYTHON", "2.7.18")
    with pytest.raises(SystemExit, match=r"Python 3\.11"):
        wheels.fetch(PROJECT, tmp_path)
