# SPDX-License-Identifier: MIT
"""What the Python files import is declared, within limits, and pinned for our own installations."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = Path(__file__).resolve().parents[2]
SAID = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = SAID["optional-dependencies"]


def parsed(texts):
    return [Requirement(text) for text in texts]


def declared(*extras):
    texts = [*SAID["dependencies"], *(text for extra in extras for text in EXTRAS[extra])]
    return {canonicalize_name(requirement.name) for requirement in parsed(texts)}


def imported(folder):
    """Top-level names that the Python files of a folder import, with a file that does."""
    found = {}
    for path in sorted((PROJECT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                found.setdefault(name.split(".")[0], path.relative_to(PROJECT))
    return found


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("labkit", ["vm", "lab", "dask"]),
        ("bench", []),
        ("notebooks", ["lab"]),
        ("tests", ["vm", "lab", "dev", "trace-test", "dask"]),
    ],
)
def test_what_is_imported_is_declared(folder, extras):
    wanted = declared(*extras)
    whose = packages_distributions()
    undeclared = {
        f"{name} ({path})"
        for name, path in imported(folder).items()
        if name not in sys.stdlib_module_names
        and name in whose
        and "labkit" not in whose[name]
        and not wanted & {canonicalize_name(d) for d in whose[name]}
    }
    assert undeclared == set()


def every_requirement():
    return parsed([*SAID["dependencies"], *(text for texts in EXTRAS.values() for text in texts)])


@pytest.mark.parametrize("requirement", every_requirement(), ids=lambda r: r.name)
def test_a_floor_and_a_ceiling(requirement):
    operators = {specifier.operator for specifier in requirement.specifier}
    assert operators == {">=", "<"}, f"{requirement}: from which version, below which?"


def test_constraints_pin_what_is_allowed():
    pinned = {}
    for line in (PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            [exact] = pin.specifier
            # pip judges markers by its own Python, also when it fetches for the Vagrant machine's.
            assert canonicalize_name(pin.name) not in pinned, f"{pin.name}: two versions"
            pinned[canonicalize_name(pin.name)] = Version(exact.version)
    for requirement in every_requirement():
        version = pinned.get(canonicalize_name(requirement.name))
        assert version, f"constraints.txt does not pin {requirement.name}: make constraints"
        said = f"{requirement.name} {version} is not {requirement.specifier}: make constraints"
        assert version in requirement.specifier, said
