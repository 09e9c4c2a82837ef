# SPDX-License-Identifier: MIT
"""The scripts of the widgets: anywidget takes one text for each."""

from __future__ import annotations

from pathlib import Path

#: What every widget's script uses.
_ELEMENT = Path(__file__).with_name("element.js")


def script(*parts: Path) -> str:
    """These files as the script of a widget, after what every widget's script uses."""
    return "\n".join(part.read_text(encoding="utf-8") for part in (_ELEMENT, *parts))
