# SPDX-License-Identifier: MIT
"""What the teacher's pages say is so."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from labkit.analysis import df_ratio
from labkit.model.states import TRANSITIONS
from labkit.plots.states import states_svg
from labkit.run import load

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PAGES = sorted((NOTEBOOKS / "teaching").glob("*.md"))


def page(name: str) -> str:
    return (NOTEBOOKS / "teaching" / name).read_text(encoding="utf-8")


def test_the_picture_of_states_is_made_of_the_protocols_table() -> None:
    drawn = states_svg()
    assert page("states.svg").strip() == drawn
    for role in ("worker", "server"):
        part = drawn.partition(f">{role}</text>")[2].partition("</g>")[0]
        for of, kind, _, _, by in TRANSITIONS:
            assert of != role or f">{kind} ({by})<" in part, (role, kind, by)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
    assert all((path.parent / link).exists() for link in links), links


def test_figures_to_expect_are_those_of_the_recorded_runs() -> None:
    row = r"^\| (\d\d) \| (\S+) \| (\S+) \| (\S+) \| ([\d.]+) \|$"
    rows = re.findall(row, page("guide.md"), re.M)
    assert len(rows) >= 6
    for number, series, baseline, unit, said in rows:
        (book,) = NOTEBOOKS.glob(f"{number}-*.ipynb")
        file = NOTEBOOKS / "recorded" / f"{book.stem}.parquet"
        found = df_ratio(load(file)).filter(series=series, baseline=baseline, unit=unit)
        assert found["ratio"].item() == pytest.approx(float(said), abs=0.006), (number, series)


def test_the_figures_of_a_machine_are_set_beside_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no UMCG, what would be measured is what was recorded."""
    monkeypatch.setattr("labkit.native.engine.enabled", lambda: False)
    spec = importlib.util.spec_from_file_location("figures", NOTEBOOKS / "teaching" / "figures.py")
    assert spec and spec.loader
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    assert len(figures.rows()) >= 6
    for number in {row.notebook for row in figures.rows()}:
        run = figures.run_of(number)
        for row in figures.rows():
            if row.notebook == number:
                told = figures.told(row, run)
                assert told.startswith(f"| {' | '.join(row)} | {row.recorded} (")
                assert told.endswith(" |") and told.count("|") == 7


def test_every_notebook_has_its_time_and_its_week() -> None:
    for book in NOTEBOOKS.glob("*.ipynb"):
        number = book.stem[:2]
        assert re.search(rf"^\| {number} \| \d+", page("guide.md"), re.M), number
        twelve = page("plan.md").partition("## Twelve weeks")[2]
        assert re.search(rf"^\| \d+ \| [^|]*\b{number}\b", twelve, re.M), number


def test_the_glossary_is_sorted_and_has_the_words_of_the_protocol() -> None:
    words = re.findall(r"^\| ([^|]+?) \| ", page("glossary.md"), re.M)[1:]
    assert words == sorted(words, key=str.casefold)
    for word in ("RUNNING", "IDLE", "BLOCKED", "LOCKED", "PREEMPTED", "next_tid", "slot", "server"):
        assert word in words
