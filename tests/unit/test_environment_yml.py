# SPDX-License-Identifier: MIT
"""environment.yml asks for what pyproject.toml asks for, but for the extras of a class."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]

#: Extras for whoever has a class, on a server: not in everybody's environment.
FOR_A_CLASS = {"hub", "nbgrader"}
#: What is no Python package, or comes with every one.
CONDA_ONLY = {"python", "pip", "c-compiler", "make", "git"}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def conda():
    return yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))


def from_pip(conda):
    [section] = [entry for entry in conda["dependencies"] if isinstance(entry, dict)]
    return section["pip"]


def wanted(project):
    extras = {
        name: texts
        for name, texts in project["optional-dependencies"].items()
        if name not in FOR_A_CLASS
    }
    lists = [project["dependencies"], *extras.values()]
    requirements = [Requirement(text) for texts in lists for text in texts]
    return sorted(as_text(requirement) for requirement in requirements)


def as_text(requirement):
    return f"{canonicalize_name(requirement.name)}{requirement.specifier};{requirement.marker}"


def given(conda):
    names = [entry for entry in conda["dependencies"] if isinstance(entry, str)]
    names = [name for name in names if re.split("[<>=]", name)[0] not in CONDA_ONLY]
    names += [name for name in from_pip(conda) if not name.startswith("-e")]
    return sorted(as_text(Requirement(name)) for name in names)


def test_same_packages_and_floors(project, conda):
    assert given(conda) == wanted(project)


def test_same_python(project, conda):
    [python] = [e for e in conda["dependencies"] if isinstance(e, str) and e.startswith("python>")]
    assert python == "python" + project["requires-python"]


def test_installs_labkit_itself(conda):
    assert "-e ." in from_pip(conda)
    assert (PROJECT / "pyproject.toml").is_file()
