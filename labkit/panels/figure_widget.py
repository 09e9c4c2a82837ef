# SPDX-License-Identifier: MIT
"""A FigureWidget of Plotly that is drawn on slow machines, too; see the script beside this."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import plotly
import plotly.graph_objects as go
import traitlets


class FigureWidget(go.FigureWidget):  # type: ignore[misc]
    """Plotly's own, but for how its part of the page is loaded."""

    _esm = Path(__file__).with_suffix(".js")
    _bundle = traitlets.Unicode().tag(sync=True)

    @traitlets.default("_bundle")
    def _read(self) -> str:
        return _plotly()


@cache
def _plotly() -> str:
    script = Path(plotly.__file__).parent / "package_data" / "widgetbundle.js"
    return script.read_text(encoding="utf-8")
