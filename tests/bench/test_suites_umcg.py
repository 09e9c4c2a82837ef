# SPDX-License-Identifier: MIT
"""On UMCG every suite runs, and finds what its contrasts name."""

import pytest

from labkit import environment
from labkit.benchmark import guest, judge, suite

#: What takes more values, or more threads, than a smoke test makes.
TOO_LARGE = ("p99", "10000", "carried")

#: A smoke test takes milliseconds: on a busy machine they may be over before anything has happened.
TRIES = 5

#: Suites that take long even then; of `matrix` those that take a minute, and whose experiments have
#: tests of their own.
MARKS = dict.fromkeys(("handoff", "wake", "spawn"), pytest.mark.long) | dict.fromkeys(
    ("scale", "server", "mixed", "deadline"), pytest.mark.matrix
)


def names() -> list[object]:
    """Of every suite but those of programs, which may not be here: see tests/programs."""
    return [
        pytest.param(one.name, marks=MARKS.get(one.name, ()))
        for one in suite.load()
        if not one.by_name
    ]


@pytest.mark.parametrize("name", names())
def test_suite(name, tmp_path, capsys):
    (one,) = suite.load([name])
    assert len(environment.cpus()) >= 2, "on one CPU half of the contrasts cannot be measured"
    missing = {
        contrast
        for contrast in one.contrasts
        if not any(word in contrast.series for word in TOO_LARGE)
    }
    for _ in range(TRIES):
        # Shown, not captured: pytest then truncates a file that has lost its name, which 9p, the
        # microVM's file tree, cannot.
        with capsys.disabled():
            made = guest.measure(tmp_path / "r.json", "smoke", [name])
        assert made.failures == []
        found = judge.judge(one.contrasts, made.suites[name], made.environment)
        missing -= {finding.contrast for finding in found}
        if not missing:
            break
    assert not missing
