# SPDX-License-Identifier: MIT
"""The button that opens a run at ui.perfetto.dev, beside a page that answers as that one does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Route, expect, sync_playwright

import labkit
from labkit.trace import perfetto

RUN = Path(__file__).resolve().parents[2] / "notebooks" / "recorded" / "02-swap.parquet"

#: In place of ui.perfetto.dev: says PONG, then how much it was given.
OTHER = """<body>waits<script>addEventListener("message", (event) => {
  if (event.data === "PING") event.source.postMessage("PONG", "*");
  else {
    const { buffer, title } = event.data.perfetto;
    document.body.textContent = `${title}: ${buffer.byteLength} bytes`;
  }
})</script></body>"""


@pytest.mark.parametrize("there", [True, False])
def test_the_trace_arrives_or_is_saved(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = labkit.load(RUN)
    page = run.open_in_perfetto()
    assert page is not None
    trace = perfetto.to_bytes(run)

    def answer(route: Route) -> None:
        body = OTHER if there else "<body>not there</body>"
        route.fulfill(body=body, content_type="text/html")

    def press(context: BrowserContext) -> None:
        context.route("https://ui.perfetto.dev/**", answer)
        here = context.new_page()
        here.goto(page.as_uri())
        button, said = here.get_by_role("button"), here.get_by_role("status")
        if there:
            with context.expect_page() as other:
                button.click()
            expect(other.value.locator("body")).to_have_text(f"swap: {len(trace)} bytes")
            expect(said).to_contain_text("is in the window")
        else:
            with here.expect_download() as saved:
                button.click()
            assert Path(saved.value.path()).read_bytes() == trace
            expect(said).to_contain_text("saved instead")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        press(browser.new_context())
        browser.close()
