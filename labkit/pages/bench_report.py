# SPDX-License-Identifier: MIT
"""The benchmark's report: one self-contained HTML page, and the same in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from labkit.benchmark.results import Results, report_files
from labkit.benchmark.suite import Suite
from labkit.pages.bench_html import as_html
from labkit.pages.bench_markdown import as_markdown
from labkit.pages.bench_texts import summary
from labkit.trace.files import write_atomically

__all__ = ["summary", "write"]


def write(results: Results, suites: Sequence[Suite], page: Path) -> tuple[Path, Path]:
    """Write `page` (.html) and the Markdown beside it; their paths.

    Raises:
        WriteFailed: the operating system refused.
    """
    page, text = report_files(page)
    write_atomically(page, as_html(results, suites).encode())
    write_atomically(text, as_markdown(results, suites).encode())
    return page, text
