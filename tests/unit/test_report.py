# SPDX-License-Identifier: MIT
from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import synthetic

import labkit
from labkit import analysis
from labkit.pages import report, webpage
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


@pytest.mark.slow
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


@pytest.mark.long
def test_different_environments_are_said() -> None:
    other = synthetic.record(environment=synthetic.ENVIRONMENT | {"kernel": "5.0"})
    assert "different environments" in report.page([synthetic.record(), other])
    booted = synthetic.record(environment=synthetic.ENVIRONMENT | {"boot_id": "other"})
    assert "different environments" in report.page([synthetic.record(), booted])
    old = {key: value for key, value in synthetic.ENVIRONMENT.items() if key != "boot_id"}
    of_old = synthetic.record(environment=old)
    assert "different environments" not in report.page([of_old, of_old])


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
    assert "Nothing was traced, so nothing was slowed down" in page


def test_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one run"):
        report.write([], tmp_path / "demo.html")
    with pytest.raises(WriteFailed, match="create it first"):
        report.write([synthetic.record()], tmp_path / "none" / "demo.html")
    assert report.write([synthetic.record()], tmp_path / "demo.html").stat().st_size > 1_000_000


def _cells(page: str, section: str) -> list[list[str]]:
    """The tables of a section of the page, as text: one list a row."""
    part = page.partition(f'<section id="{section}">')[2].partition("</section>")[0]
    rows = re.findall(r"<tr>(.*?)</tr>", part, re.S)
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)]
        for row in rows
    ]


def test_the_numbers_of_the_page_are_those_of_the_tables() -> None:
    record = synthetic.record(
        samples=synthetic.samples({"umcg/sleep": 612.0, "pthread/sleep": 1000.0}, n=20)
    )
    shown = report.page([record])
    (want,) = analysis.df_ratio(record).iter_rows(named=True)
    (row,) = (row for row in _cells(shown, "ratios") if row and row[0] == "umcg/sleep")
    assert float(row[1]) == pytest.approx(want["ratio"], rel=1e-3)
    assert row[1].startswith("0.6")
    assert row[2] == f"{round(want['ci_low'], 3)} to {round(want['ci_high'], 3)}"
    assert row[3] == want["verdict"] == "better"
    occupancy = analysis.df_occupancy(record)
    names = {row[0]: row for row in _cells(shown, "run-block") if row}
    for task in occupancy.iter_rows(named=True):
        shares = [f"{task[place]:.1%}" for place in ("running", "idle", "listed", "blocked")]
        assert [cell for cell in names[task["name"]] if cell.endswith("%")] == shares
    assert occupancy.height == 7


def test_a_truth_in_a_table_is_no_number() -> None:
    assert (webpage.cell(True), webpage.cell(False), webpage.cell(1)) == ("yes", "no", "1")


def test_each_sentence_of_what_it_is_for_says_which_series_it_is_of() -> None:
    kinds = {f"umcg-{how}/1 server": 800.0 for how in ("futex", "umcg", "futex-pass-on")}
    record = synthetic.record(
        samples=synthetic.samples({**kinds, "futex/1 cpu": 1000.0}, n=20, unit="ns"),
        spec={"experiment": "wake"},
    )
    text = report.page([record])
    assert "one server with a futex: the median" in text
    assert "one server with umcg_wake(): the median" in text
    assert "one server with a futex, places passing on: the median" in text


@pytest.mark.slow
def test_a_page_begins_with_what_it_is_for_as_its_runs_measured_it():
    run = labkit.mixed(progress=None, where="simulator", requests=100, report_percent=30.0)
    text = report.page([run])
    worth = text[text.index('id="worth"') : text.index('id="ratios"')]
    assert "Worth it here" in worth and "The price, here" in worth
    row = run.ratios().filter(series="umcg-priority/urgent p99", unit="ns").row(0, named=True)
    assert row["verdict"] == "better"
    assert f"percentile of their latency: {row['ratio']:.2f} times that of plain threads" in worth
    other = labkit.swap(progress=None, value_ms=1, repetitions=2, methods=("futex",))
    assert 'id="worth"' not in report.page([other])
