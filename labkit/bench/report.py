# SPDX-License-Identifier: MIT
"""The benchmark's report: one self-contained HTML page, and the same in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labkit.bench.markdown import as_markdown
from labkit.bench.page import as_html
from labkit.bench.results import Results
from labkit.bench.said import summary
from labkit.bench.suite import Suite
from labkit.trace.files import write_atomically

__all__ = ["summary", "write"]


def write(results: Results, suites: Sequence[Suite], page: Path) -> tuple[Path, Path]:
    """Write `page` (.html) and the Markdown beside it; their paths.

    Raises:
        WriteFailed: the operating system refused.
    """
    text = page.with_suffix(".md")
    write_atomically(page, as_html(results, suites).encode())
    write_atomically(text, as_markdown(results, suites).encode())
    return page, text
