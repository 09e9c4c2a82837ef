# SPDX-License-Identifier: MIT
"""One thing is not several, wherever a number of them is said."""

from __future__ import annotations

import re
from pathlib import Path

import synthetic

import labkit
from labkit.course import Comparison
from labkit.names import counted
from labkit.plots.style import caption
from labkit.workload import Class, Compute, Poisson, Workload

ROOT = Path(__file__).resolve().parents[2]


def test_one_thing_is_not_several() -> None:
    assert [counted(n, "server") for n in (0, 1, 2)] == ["0 servers", "1 server", "2 servers"]
    get = Class(name="get", arrivals=Poisson(1000), phases=(Compute("8us"),))
    run = labkit.simulate("fifo", Workload(classes=(get,), duration="5ms"), servers=1)
    assert ", 1 server, seed " in caption(run)
    one = Comparison("a", "b", "ns", 0.5, float("nan"), float("nan"), 1)
    assert "1 repetition)" in str(one)
    few = synthetic.record(spec={"experiment": "swap", "repetitions": 1})
    assert ", 1 repetition," in caption(few)


def test_who_wants_an_s_asks_for_it_in_one_place() -> None:
    own = re.compile(r"""['"]s['"] if |else ['"]s['"]""")
    files = [*ROOT.glob("labkit/**/*.py"), *ROOT.glob("bench/*.py")]
    assert [str(f.relative_to(ROOT)) for f in files if own.search(f.read_text("utf-8"))] == []
