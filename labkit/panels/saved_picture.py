# SPDX-License-Identifier: MIT
"""The picture that stays in a saved notebook, where no kernel answers a widget any more.

It is an output of its own after the widget's, which the widget hides while it lives: a page that
knows the widget's format shows nothing else of an output that has it, even if the widget is gone.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from IPython.display import display

from labkit.plots.renderer import page_html

_NOTE = "A picture from when this was saved. In Jupyter, run the cell to get the live one."

#: Of a figure's output: its display id beside the picture's, and the form of its data.
_FIGURE = "-figure"
_PLOTLY = "application/vnd.plotly.v1+json"

_VIEW = "application/vnd.jupyter.widget-view+json"


class SavedPicture:
    """One such picture, changed as often as one likes. `name` tells the widget what to hide."""

    def __init__(self, *, figure: bool = False) -> None:
        """Make one; `figure`: there will be a figure of Plotly after it."""
        self._place = figure
        self.name = f"labkit-{uuid.uuid4().hex[:12]}"
        self.shown = False
        self._now: tuple[str, str, Any] = ("", "", None)

    def display(self, bundle: Any) -> None:
        """Show a widget, from its MIME bundle, and the picture after it."""
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        # Its words ("Timeline(...)") would stand in an exported page.
        _display({_VIEW: data[_VIEW], "text/plain": ""})
        _display(self._bundle(), display_id=self.name)
        if self._place:
            _display(self._figure(), display_id=self.name + _FIGURE)
        self.shown = True

    def update(self, svg: str, words: str = "", figure: Any = None) -> None:
        """Put another picture there, with HTML under it, and a figure of Plotly after it."""
        if (svg, words, figure) == self._now:
            return
        self._now = (svg, words, figure)
        if self.shown:
            _display(self._bundle(), display_id=self.name, update=True)
            if self._place:
                _display(self._figure(), display_id=self.name + _FIGURE, update=True)

    def _bundle(self) -> dict[str, str]:
        svg, words, _ = self._now
        note = f"<figcaption>{_NOTE}</figcaption>" if svg or words else ""
        figure = f'<figure data-labkit-static="{self.name}">{note}{svg}{words}</figure>'
        bundle = {"text/html": figure, "text/plain": ""}
        return {**bundle, "image/svg+xml": svg} if svg else bundle

    def _figure(self) -> dict[str, Any]:
        """An output of its own: JupyterLab draws its data, an exported page its HTML."""
        figure = self._now[2]
        place = f'<div data-labkit-static="{self.name}">'
        if figure is None:
            return {"text/html": f"{place}</div>", "text/plain": ""}
        return {
            _PLOTLY: json.loads(figure.to_json()),
            "text/html": f"{place}{page_html(figure)}</div>",
            "text/plain": "",
        }


def _display(bundle: dict[str, Any], **options: Any) -> None:
    display(bundle, raw=True, **options)  # type: ignore[no-untyped-call]
