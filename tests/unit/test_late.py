# SPDX-License-Identifier: MIT
"""Figures are made without nbformat, which is there for those who want it."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import labkit.plots
import labkit.plots.renderer
import plotly.graph_objects as go
import plotly.io as pio

labkit.plots.renderer.everywhere()
figure = go.FigureWidget()
figure.to_json()
assert "nbformat" not in sys.modules, "plotly has loaded it"
assert "jsonschema" not in sys.modules
go.Figure().show(renderer="plotly_mimetype")
assert "nbformat" in sys.modules, "show() did not look at its version"
import nbformat.v4
assert nbformat.v4.new_notebook().cells == []
"""

FIRST = """
import nbformat
import labkit.plots
import plotly.io._renderers
assert plotly.io._renderers.nbformat is nbformat
"""


def test_a_figure_does_not_load_it_and_show_does() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_plotly_has_the_module_itself_where_it_is_loaded() -> None:
    subprocess.run([sys.executable, "-c", FIRST], check=True)
