# SPDX-License-Identifier: MIT
"""What stays of a panel and a timeline in the saved notebook, and in the page made of it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from labkit.jupyter import install

RECORDED = Path(__file__).resolve().parents[2] / "notebooks" / "recorded" / "02-swap.parquet"

CELLS = (
    f"import labkit\nrun = labkit.load({str(RECORDED)!r})",
    "panel = labkit.panel('swap')\npanel.shown.show(run, 'A run')\npanel",
    "labkit.timeline(run)",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A notebook that was executed as `make lab` would, and the page that nbconvert made of it."""
    folder = tmp_path_factory.mktemp("export")
    install.install(folder)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS])
    nbformat.write(book, folder / "book.ipynb")
    settings = {
        "JUPYTER_PATH": str(folder / "share" / "jupyter"),
        "JUPYTER_CONFIG_PATH": str(folder / "etc" / "jupyter"),
    }
    for step in (("notebook", "--execute", "--inplace"), ("html",)):
        subprocess.run(
            [sys.executable, "-m", "nbconvert", "--to", *step, str(folder / "book.ipynb")],
            env={**os.environ, **settings},
            check=True,
        )
    return folder


def test_the_saved_notebook_has_the_pictures(saved):
    book = nbformat.read(saved / "book.ipynb", as_version=4)
    for cell, words in zip(book.cells[1:], ("Measured values", "Timeline: "), strict=True):
        widget, picture = (output["data"] for output in cell.outputs)
        assert "application/vnd.jupyter.widget-view+json" in widget
        assert picture["image/svg+xml"].startswith("<svg")
        assert words in picture["text/html"]


def test_the_page_has_them_and_asks_nobody_for_anything(saved):
    page = (saved / "book.html").read_text()
    figures = re.findall(r"<figure data-labkit-static.*?</figure>", page, re.S)
    assert len(figures) == 2
    assert all("<svg" in figure for figure in figures)
    assert "Measured values" in figures[0]
    assert "Error" not in re.sub(r"<style.*?</style>", "", page, flags=re.S)
    assert "<script" not in page
    loads = re.findall(r'(?:src|href)="([^"]*)"|url\(\s*["\']?([^"\')]*)|@import', page)
    assert not [a or b for a, b in loads if not (a or b).startswith(("data:", "#"))]


def test_jupyterlabs_own_export_uses_the_same_page_and_slides_do_not(saved):
    for file in ("jupyter_server_config.json", "jupyter_nbconvert_config.json"):
        settings = json.loads((saved / "etc" / "jupyter" / file).read_text())
        assert settings["HTMLExporter"]["template_name"] == "umcg-lab"
        assert settings["SlidesExporter"]["template_name"] == "reveal"
