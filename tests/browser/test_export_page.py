# SPDX-License-Identifier: MIT
"""A page made of a saved notebook, in a browser that reaches nothing else and runs no script."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Route, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "jupyter"))
from test_export import saved  # noqa: F401


def test_the_pictures_are_seen(saved: Path) -> None:  # noqa: F811
    asked = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(java_script_enabled=False)
        page.route(lambda url: not url.startswith(("file:", "data:")), refuse)
        page.goto((saved / "book.html").as_uri())
        figures = page.locator("figure[data-labkit-static]")
        expect(figures).to_have_count(2)
        for i in range(2):
            drawing = figures.nth(i).locator("svg").first
            expect(drawing).to_be_visible()
            expect(drawing.get_by_text("Timeline: umcg-swap/pinned")).to_be_visible()
            expect(drawing.get_by_text("kernel 6.1.")).to_be_visible()
        expect(figures.first.get_by_text("Measured values")).to_be_visible()
        alive = browser.new_page()
        alive.route(lambda url: not url.startswith(("file:", "data:")), refuse)
        alive.goto((saved / "book.html").as_uri())
        charts = alive.locator(".js-plotly-plot")
        expect(charts).to_have_count(2)
        for i in range(2):
            expect(charts.nth(i).locator("path.js-line").first).to_be_visible()
            expect(charts.nth(i).get_by_text("share that took longer")).to_be_visible()
        browser.close()
    assert asked == []
