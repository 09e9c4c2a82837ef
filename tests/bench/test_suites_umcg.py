# SPDX-License-Identifier: MIT
"""On UMCG every suite runs, and finds what its contrasts name."""

import pytest

from labkit import environment
from labkit.bench import guest, judge, suite


@pytest.mark.parametrize("name", [one.name for one in suite.load() if one.name != "scale"])
def test_suite(name, tmp_path):
    made = guest.measure(tmp_path / "r.json", "smoke", [name])
    assert made.failures == []
    (one,) = suite.load([name])
    found = judge.judge(one.contrasts, made.suites[name], made.environment)
    seen = {finding.contrast for finding in found}
    # A tail takes more values than a smoke test makes; the rest must be there.
    missing = [c for c in one.contrasts if c not in seen and "p99" not in c.series]
    assert not missing or len(environment.cpus()) < 2
