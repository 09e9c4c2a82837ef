# SPDX-License-Identifier: MIT
"""A new experiment is one new file: everything else comes from the class of its specs."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import labkit
from labkit import api, experiments
from labkit.experiments import SPECS, BlockSpec, SpecError, SwapSpec, WakeSpec

#: An experiment as somebody would write it, in a folder of its own beside the others.
NEW = '''
from dataclasses import dataclass

from labkit.experiments.common import Collector
from labkit.experiments.spec import REPETITIONS, Spec, param


@dataclass(frozen=True, kw_only=True)
class NapSpec(Spec):
    """How long a short sleep takes, by two ways to sleep."""

    experiment = "nap"
    question = "How long is a short sleep?"
    baselines = ("select",)

    nap_us: float = param(50.0, "length of the sleep", limits=(1, 1000))
    repetitions: int = param(5, REPETITIONS, limits=(1, 100), measuring=True, free=True)

    def measurements(self) -> int:
        return 2 * self.repetitions

    def measure(self, collect: Collector) -> None:
        import select, time

        ways = {"sleep/x": time.sleep, "select/x": lambda s: select.select([], [], [], s)}
        for repetition in range(self.repetitions):
            for name, nap in ways.items():
                collect.begin(name)
                begin = time.perf_counter_ns()
                nap(self.nap_us / 1e6)
                collect.sample(name, repetition, time.perf_counter_ns() - begin, "ns", 1)
                collect.end()
'''

USE = """
import json

import labkit
from labkit import analysis
from labkit.pages import report

assert "nap" in dir(labkit) and "nap_us" in str(labkit.nap.__doc__)
run = labkit.nap(nap_us=20, repetitions=6)
slower = labkit.nap(nap_us=20, repetitions=7)
assert labkit.compare(run, slower).height == 2, "repetitions do not change what is measured"
panel = labkit.panel("nap")
box, how = (part.children for part in panel.children[0].children)
print(json.dumps({
    "ratios": run.ratios()["baseline"].to_list(),
    "unit": dict(panel.controls["nap_us"].widget.options).get("50 µs"),
    "what": len(box), "how": len(how),
    "asked": "How long is a short sleep?" in report.page([run]),
}))
"""


@pytest.mark.long
def test_one_new_file_is_command_function_panel_page_and_table(tmp_path: Path) -> None:
    (tmp_path / "nap.py").write_text(NEW, encoding="utf-8")
    begin = (
        "import labkit.experiments as e, sys; e.__path__.append(sys.argv.pop(1)); e.discover(); "
    )

    def python(code: str, *words: str) -> str:
        return subprocess.run(
            [sys.executable, "-c", begin + code, str(tmp_path), *words],
            capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "200"},
        ).stdout  # fmt: skip

    found = json.loads(python(f"exec({USE!r})"))
    assert found == {"ratios": ["select/x"], "unit": 50.0, "what": 2, "how": 2, "asked": True}
    cli = "from labkit.cli.commands import app; app()"
    assert "How long is a short sleep?" in python(cli, "run", "--help")
    assert "1 to 1000 microseconds" in python(cli, "run", "nap", "--help")
    made = json.loads(python(cli, "run", "nap", "--nap-us", "7", "--json"))
    assert made["spec"] == {"experiment": "nap", "nap_us": 7.0, "repetitions": 5}


@pytest.mark.parametrize("name", SPECS)
def test_a_function_says_what_it_takes(name: str) -> None:
    function = getattr(labkit, name)
    parameters = inspect.signature(function).parameters
    known = SPECS[name].params()
    assert list(parameters) == [*known, "progress", "stop"]
    assert all(parameters[field].default == what.default for field, what in known.items())
    assert all(f"    {field}: {what.help}" in function.__doc__ for field, what in known.items())
    assert str(inspect.signature(SPECS[name])).startswith(f"(*, {next(iter(known))}")
    assert function is getattr(api, name)


def test_units_and_limits_are_in_the_documentation() -> None:
    assert "pause_us: " in (labkit.wake.__doc__ or "")
    assert "[50 to 1000000 microseconds]" in (WakeSpec.__doc__ or "")
    assert "[each 1 to 64]" in (WakeSpec.__doc__ or "")
    assert "[one or more of pinned, unpinned, apart]" in (labkit.swap.__doc__ or "")


@pytest.mark.parametrize("make", [SwapSpec, labkit.swap])
def test_an_unknown_field_says_what_was_meant(make: object) -> None:
    with pytest.raises(SpecError, match=r"swap has no 'repetition' \(did you mean 'repetitions'"):
        make(repetition=3)  # type: ignore[operator]


def test_fields_are_given_by_name() -> None:
    with pytest.raises(SpecError, match="swap takes its fields by name: methods, placements"):
        SwapSpec(("futex",))


def test_an_unknown_choice_says_what_was_meant() -> None:
    with pytest.raises(SpecError, match=r"unknown 'futx' \(did you mean 'futex'\?\); choose from"):
        SwapSpec(methods=("futx",))


def test_numbers_of_numpy_are_numbers_and_are_saved_as_plain_ones() -> None:
    spec = BlockSpec(workers=np.int64(3), idle_us=np.float32(50), duration_s=np.float64(0.5))
    assert spec == BlockSpec(workers=3, idle_us=50.0, duration_s=0.5)
    assert json.loads(json.dumps(spec.to_dict()))["workers"] == 3
    assert WakeSpec(servers=np.array([1, 2])).servers == (1, 2)
    assert WakeSpec(servers=[np.int32(2), 1]).servers == (2, 1)
    assert WakeSpec(servers=range(1, 3)).servers == (1, 2)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (2.0, r"servers is 2\.0; give one or more numbers"),
        (2, "servers is 2; give one or more numbers"),
        (None, "servers is None; give one or more numbers"),
        ("12", "servers is '12'; give one or more numbers"),
        ({1, 2}, "servers is a set, which has no order"),
        (np.array([]), "servers is .*; give one or more numbers"),
        (np.array([[1, 2]]), "servers is .*; give one or more numbers"),
        (np.array([1.5]), r"one of servers is 1\.5, not a whole number"),
        ((True,), "one of servers is True, not a whole number"),
        ([np.True_], "one of servers is .*True.*, not a whole number"),
        ((1, 1), "servers: 1, 1 names something twice"),
        ((1, np.int64(1)), "names something twice"),
        ((1, "2"), "one of servers is '2', not a whole number"),
        (((1,), 2), r"one of servers is \(1,\), not a whole number"),
    ],
)
def test_servers_that_cannot_be(value: object, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        WakeSpec(servers=value)


@pytest.mark.parametrize("value", [[["futex"]], [{}], [3], np.array(["futex", "futex"])])
def test_methods_that_cannot_be(value: object) -> None:
    with pytest.raises(SpecError, match="methods: "):
        SwapSpec(methods=value)


def test_a_spec_is_copied_and_replaced_like_any_dataclass() -> None:
    import copy
    import dataclasses
    import pickle

    spec = SwapSpec(methods=["futex"])
    assert copy.deepcopy(spec) == pickle.loads(pickle.dumps(spec)) == spec
    assert dataclasses.replace(spec, repetitions=9).repetitions == 9
    assert experiments.SwapSpec is SPECS["swap"]
