# SPDX-License-Identifier: MIT
"""Plotly without a grammar that none of its figures needs.

Plotly's `show()` loads nbformat (`late.py`), that loads jsonschema, and that loads
`rfc3987_syntax` where it is installed, to check international addresses. It compiles a grammar
then: a second, or minutes in a guest whose instructions are interpreted. jsonschema does without;
whoever else imports it gets it.
"""

from __future__ import annotations

import sys

_GRAMMAR, _ASKS = "rfc3987_syntax", "jsonschema._format"


class _NotForJsonschema:
    """Says that there is no such module, while jsonschema is being loaded."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name != _GRAMMAR:
            return
        asks = sys.modules.get(_ASKS)
        if asks is not None and getattr(asks.__spec__, "_initializing", False):
            raise ModuleNotFoundError(f"{name} is left out", name=name)


def leave_out() -> None:
    """From now on, in this process; may be called again."""
    if _NotForJsonschema not in sys.meta_path:
        sys.meta_path.insert(0, _NotForJsonschema)
