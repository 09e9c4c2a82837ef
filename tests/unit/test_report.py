# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import synthetic

from labkit import report
from labkit.plots.style import TCG_WARNING
from labkit.trace.errors import WriteFailed


class _Reader(HTMLParser):
    """Collects what a browser would fetch, ids, links, and whether tags are balanced."""

    VOID = frozenset({"meta", "br", "input", "img", "link", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.scripts = 0
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in self.VOID:
            self.open.append(tag)
        self.scripts += tag == "script"
        if tag in ("script", "img", "iframe") and values.get("src"):
            self.fetched.append(str(values["src"]))
        if tag == "link":
            self.fetched.append(str(values.get("href")))
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if tag == "a":
            self.targets.append(str(values["href"]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> str:
    return report.page([synthetic.record(), synthetic.record(spec={"experiment": "<swap>"})])


def test_the_page_needs_no_network_and_has_plotly_once(page: str) -> None:
    reader = _Reader()
    reader.feed(page)
    assert reader.fetched == []
    assert not reader.open
    assert len(re.findall(r"plotly\.js v\d", page)) == 1
    assert len(reader.ids) == len(set(reader.ids))
    assert {t.removeprefix("#") for t in reader.targets} <= set(reader.ids)


def test_the_page_says_what_it_must(page: str) -> None:
    for part in (
        "Ratios",
        "95 % interval",
        "Timelines",
        "Latency of operations",
        "Throughput",
        "Block detection",
        "Probe effect",
        "1.25 times as long",
        "What the numbers do not say",
        "Environment",
        TCG_WARNING,
        "6.1.0-model",
    ):
        assert part in page
    assert "&lt;swap&gt;" in page
    assert "<h2><swap>" not in page


def test_different_environments_are_said() -> None:
    other = synthetic.record(environment=synthetic.ENVIRONMENT | {"kernel": "5.0"})
    assert "different environments" in report.page([synthetic.record(), other])


def test_a_run_without_events_or_umcg_still_makes_a_page() -> None:
    run = synthetic.record()
    bare = synthetic.record(
        events=run.events.clear(),
        tasks=run.tasks.clear(),
        counters={},
        environment=run.environment | {"umcg_missing": "no UMCG here: build the kernel"},
        samples=synthetic.samples({"futex/pinned": 5.0}),
    )
    page = report.page([bare])
    assert "not traced" in page
    assert "no ratio to show" in page
    assert "build the kernel" in page
    assert "cost of tracing was not measured" in page


def test_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one run"):
        report.write([], tmp_path / "demo.html")
    with pytest.raises(WriteFailed, match="create it first"):
        report.write([synthetic.record()], tmp_path / "none" / "demo.html")
    assert report.write([synthetic.record()], tmp_path / "demo.html").stat().st_size > 1_000_000
