# SPDX-License-Identifier: MIT
"""Names that somebody has given and what was meant by them; one thing, and several."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def meant(given: object, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)`, where one of those known is much like what was given."""
    near = difflib.get_close_matches(str(given), list(known), 1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def counted(count: int, thing: str) -> str:
    """`1 server`, `2 servers`."""
    return f"{count} {things(count, thing)}"


def things(count: float, thing: str) -> str:
    """`server` of one, `servers` of any other number."""
    return thing if count == 1 else f"{thing}s"
