# SPDX-License-Identifier: MIT
"""The rooms of labkit: what their READMEs say that they import is what they import; no circles.

A room is a folder of `labkit/`, or one of the files beside them. The second line of a folder's
README begins with what it may import of labkit: `May import: record, trace.`; for the files it
stands in `labkit/README.md`. A name with a dot (`experiments.asked`) is that file alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

LABKIT = Path(__file__).resolve().parents[2] / "labkit"


def _name(file: Path) -> str:
    """Of a module, without `labkit.`; "" is labkit itself, whose names are only handed on."""
    parts = file.relative_to(LABKIT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(file): file for file in sorted(LABKIT.rglob("*.py"))}


def _imports(name: str) -> Iterator[str]:
    """Modules of labkit that a module imports, anywhere in it, also for types alone."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found = [f"{node.module}.{one.name}" for one in node.names]
            found = [
                one if one.removeprefix("labkit.") in MODULES else node.module for one in found
            ]
        elif isinstance(node, ast.Import):
            found = [one.name for one in node.names]
        else:
            continue
        for one in found:
            inside = one.removeprefix("labkit.")
            # A compiled module has no file here; its room has.
            while inside and inside not in MODULES:
                inside = inside.rpartition(".")[0]
            if one.startswith("labkit.") and inside and inside != name:
                yield inside


GRAPH = {name: set(_imports(name)) for name in MODULES if name}
ROOMS = sorted({name.partition(".")[0] for name in GRAPH})


def _reached(room: str) -> set[str]:
    """Modules of other rooms that a room imports."""
    mine = [name for name in GRAPH if name.partition(".")[0] == room]
    every = set().union(*(GRAPH[name] for name in mine))
    return {name for name in every if name.partition(".")[0] != room}


@cache
def _rules() -> dict[str, set[str]]:
    """What each room may import, as the READMEs say it."""
    rules = {}
    for readme in LABKIT.glob("*/README.md"):
        line = readme.read_text(encoding="utf-8").splitlines()[1]
        found = re.match(r"May import: ([\w., ]+?)(?:\.(?:\s|$)|;)", line)
        assert found, f"{readme}: the second line begins with `May import: ...`"
        rules[readme.parent.name] = found[1]
    for line in (LABKIT / "README.md").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"\| `(\w+)\.py` \|.*\| ([\w., ]+) \|$", line):
            rules[found[1]] = found[2]
    return {
        room: set() if words == "nothing" else set(words.split(", "))
        for room, words in rules.items()
    }


def test_every_room_has_a_rule() -> None:
    assert set(_rules()) == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_what_its_readme_says(room: str) -> None:
    allowed = _rules()[room]
    reached = _reached(room)
    for name in reached:
        assert {name, name.partition(".")[0]} & allowed, f"{room} may not import {name}"
    used = {part for name in reached for part in (name, name.partition(".")[0])}
    assert allowed <= used, f"{room} does not import {', '.join(sorted(allowed - used))}"


def _circle(graph: dict[str, set[str]]) -> list[str]:
    """What is on or between circles; empty when there is none."""
    left = dict(graph)
    while True:
        above = set().union(*left.values())
        free = [name for name, others in left.items() if not others & left.keys()]
        free += [name for name in left if name not in above]
        if not free:
            return sorted(left)
        left = {name: others for name, others in left.items() if name not in free}


def test_no_module_is_on_a_circle() -> None:
    # A package hands on names of its files: not an import of theirs.
    graph = {
        name: {one for one in others if not one.startswith(f"{name}.")}
        for name, others in GRAPH.items()
    }
    assert _circle(graph) == []


def test_no_room_is_on_a_circle() -> None:
    """So there is an order of floors in which nothing imports what stands above it."""
    graph = {room: {name.partition(".")[0] for name in _reached(room)} for room in ROOMS}
    assert _circle(graph) == []


def test_circles_are_found() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c"]
    assert _circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_suites_ask_experiments_or_programs_and_the_machinery_alone() -> None:
    allowed = re.compile(
        r"labkit\.(benchmark\.|native\b|experiments\b|analysis\b|workload\b|programs\b|names\b)"
    )
    for suite in sorted((LABKIT.parent / "bench").glob("*.py")):
        for found in re.findall(r"^from (labkit\S*)", suite.read_text(encoding="utf-8"), re.M):
            assert allowed.match(found), f"{suite.name} imports {found}"
