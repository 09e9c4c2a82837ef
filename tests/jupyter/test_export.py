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
    "from labkit import course\ncourse.tail(run)",
)
PLOTLY = "application/vnd.plotly.v1+json"


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
    for cell, words in zip(book.cells[1:3], ("Measured values", "Timeline: "), strict=True):
        widget, picture, *figure = (output["data"] for output in cell.outputs)
        assert len(figure) == (words == "Measured values"), "the panel's distribution"
        assert all(PLOTLY in data for data in figure)
        assert "application/vnd.jupyter.widget-view+json" in widget
        assert picture["image/svg+xml"].startswith("<svg")
        assert words in picture["text/html"]


def test_a_figure_is_data_for_jupyterlab_and_html_for_a_page(saved):
    (output,) = nbformat.read(saved / "book.ipynb", as_version=4).cells[3].outputs
    assert {PLOTLY, "text/html"} <= set(output["data"])
    assert "<script src" not in output["data"]["text/html"]
    assert len(json.dumps(output["data"])) < 1_000_000, "without plotly.js"
    page = (saved / "book.html").read_text(encoding="utf-8")
    assert page.count("window.Plotly && Plotly.newPlot(") == 2
    assert page.count("plotly.js v") == 1, "its script stands there once"


def test_the_page_has_them_and_asks_nobody_for_anything(saved):
    page = (saved / "book.html").read_text(encoding="utf-8")
    figures = re.findall(r"<figure data-labkit-static.*?</figure>", page, re.S)
    assert len(figures) == 2
    assert all("<svg" in figure for figure in figures)
    assert "Measured values" in figures[0]
    page = re.sub(r"(<script[^>]*>).*?</script>", r"\1", page, flags=re.S)
    assert "Error" not in re.sub(r"<style.*?</style>", "", page, flags=re.S)
    assert "<script src" not in page
    loads = re.findall(r'(?:src|href)="([^"]*)"|url\(\s*["\']?([^"\')]*)|@import', page)
    assert not [a or b for a, b in loads if not (a or b).startswith(("data:", "#"))]


def test_jupyterlabs_own_export_uses_the_same_page_and_slides_do_not(saved):
    for file in ("jupyter_server_config.json", "jupyter_nbconvert_config.json"):
        settings = json.loads((saved / "etc" / "jupyter" / file).read_text(encoding="utf-8"))
        assert settings["HTMLExporter"]["template_name"] == "umcg-lab"
        assert settings["SlidesExporter"]["template_name"] == "reveal"
