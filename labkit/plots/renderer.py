# SPDX-License-Identifier: MIT
"""How figures are shown: by JupyterLab, which has their data, and in pages with plotly.js."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import plotly.io as pio
from plotly.io.base_renderers import MimetypeRenderer

from labkit.progress import in_notebook

_NAME = "labkit"


def page_html(figure: Any) -> str:
    """A figure as a piece of a page that has plotly.js; in one that has not, it is empty."""
    drawn = pio.to_html(
        figure,
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False, "responsive": True},
    )
    return str(drawn).replace("Plotly.newPlot(", "window.Plotly && Plotly.newPlot(")


class _Page(MimetypeRenderer):  # type: ignore[misc]
    """A figure as HTML beside its data, for a page that is made of a notebook.

    The page has plotly.js once, in its head (`labkit/jupyter/export.html`).
    """

    def to_mimebundle(self, figure: Any) -> dict[str, str]:
        return {"text/html": page_html(figure)}


@cache
def everywhere() -> None:
    """A figure that is a cell's result is seen in JupyterLab, saved or not, and in exported pages.

    Nothing is changed where somebody has chosen a renderer by $PLOTLY_RENDERER.
    """
    pio.renderers[_NAME] = _Page()
    if in_notebook() and "PLOTLY_RENDERER" not in os.environ:
        pio.renderers.default = f"plotly_mimetype+{_NAME}"
