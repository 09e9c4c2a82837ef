# SPDX-License-Identifier: MIT
"""Figures do not wait for a grammar to be compiled; who wants it gets it."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import labkit.plots
import plotly.graph_objects as go
go.FigureWidget()
import jsonschema._format
assert "rfc3987_syntax" not in sys.modules
import rfc3987_syntax
assert rfc3987_syntax.is_valid_syntax("iri", "https://example.org/")
"""


@pytest.mark.slow
def test_a_figure_compiles_no_grammar_and_others_still_get_it() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True)
