# SPDX-License-Identifier: MIT
"""On UMCG every suite runs, and finds what its contrasts name."""

import pytest

from labkit import environment
from labkit.benchmark import guest, judge, suite

#: What takes more values, or more threads, than a smoke test makes.
TOO_LARGE = ("p99", "10000", "carried")


@pytest.mark.parametrize("name", [one.name for one in suite.load()])
def test_suite(name, tmp_path, capsys):
    # Shown, not captured: pytest then truncates a file that has lost its name, which 9p, the
    # microVM's file tree, cannot.
    with capsys.disabled():
        made = guest.measure(tmp_path / "r.json", "smoke", [name])
    assert made.failures == []
    (one,) = suite.load([name])
    found = judge.judge(one.contrasts, made.suites[name], made.environment)
    seen = {finding.contrast for finding in found}
    missing = [
        contrast
        for contrast in one.contrasts
        if contrast not in seen and not any(word in contrast.series for word in TOO_LARGE)
    ]
    assert len(environment.cpus()) >= 2, "on one CPU half of the contrasts cannot be measured"
    assert not missing
