# SPDX-License-Identifier: MIT
"""Our part of the Jupyter server: it knows our event before a page subscribes, and it ends.

A page hears only of the kinds of events that the server knew when the page was opened.
"""

from __future__ import annotations

from typing import Any

from labkit.jupyter import announce, ending


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    announce.register(server.event_logger)
    ending.let_workers_end()
