# SPDX-License-Identifier: MIT
"""The protocol step by step in a real browser, with keys and buttons; Python answers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from joined import MODEL
from playwright.sync_api import Page, expect, sync_playwright

from labkit.panels import Races
from labkit.run import load

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "out" / "browser"

#: Milliseconds that anything may take on a busy machine.
PATIENCE_MS = 600_000

#: No answer comes until `release()`.
HOLD = "() => { model.held = new Promise((done) => { window.release = done; }); }"

#: So many requests, and the last has its answer.
ANSWERED = "(n) => model.sent.length === n && model.state.shown.answers === model.sent.at(-1).id"


def put(page: Page, races: Races) -> None:
    """A page with the widget on it, joined to the Python part."""

    def state() -> str:
        return json.dumps({n: getattr(races, n) for n in ("shown", "options", "static_id")})

    def answer(message: str) -> str:
        races._handle_custom_msg(json.loads(message), [])
        return state()

    page.expose_function("toPython", answer)
    page.set_content("<p>a notebook</p>")
    page.evaluate(MODEL, [str(races._esm), str(races._css), state()])


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        yield page
        browser.close()
        assert errors == []


def test_a_reader_finds_the_lost_wake_up(page: Page) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    races = Races(workers=1)
    put(page, races)
    expect(page.locator(".lr-help")).to_contain_text("S: the shortest way")
    page.evaluate(
        "window.heard = []; document.addEventListener('keydown', e => heard.push(e.key), true)"
    )
    page.locator("[data-field=fault]").select_option("no-recheck")
    view, where = page.locator(".lr-view"), page.locator(".lr-where")
    broken, choices = page.locator(".lr-broken"), page.locator(".lr-choices button")
    expect(where).to_have_text("step 0")
    expect(choices).to_have_count(2)

    view.focus()
    assert view.evaluate("node => getComputedStyle(node).outlineStyle") in ("solid", "none")
    page.keyboard.press("1")
    expect(where).to_have_text("step 1")
    expect(page.locator("tr.lr-new td").first).to_have_text("server 0")
    page.keyboard.press("ArrowLeft")
    expect(where).to_have_text("step 0 of 1")
    page.keyboard.press("ArrowRight")
    expect(where).to_have_text("step 1")
    page.keyboard.press("r")
    expect(page.locator(".lr-said")).to_contain_text("by the dice")
    page.screenshot(path=PICTURES / "races-walk.png")
    page.keyboard.press("Home")
    page.keyboard.press("s")
    expect(broken).to_contain_text("Lost wake-up")
    expect(page.locator(".lr-said")).to_contain_text("no shorter way")
    expect(choices).to_have_count(0)
    expect(page.locator(".lr-table [aria-current=true]")).to_have_count(1)
    expect(page.locator(".lr-drawing svg")).to_be_visible()
    page.screenshot(path=PICTURES / "races-lost-wake-up.png")
    page.keyboard.press("d")
    assert page.evaluate("heard.filter(k => k.length === 1)") == [], "no letter is a command"

    page.locator("[data-do=back]").click()
    expect(broken).to_have_text("")
    choices.first.click()
    expect(broken).to_contain_text("Lost wake-up")
    assert page.evaluate("document.activeElement === document.querySelector('.lr-view')")


def test_keys_wait_for_the_answers_that_they_build_upon(page: Page) -> None:
    put(page, Races(workers=1))
    page.evaluate(HOLD)
    view, where = page.locator(".lr-view"), page.locator(".lr-where")
    view.focus()
    for key in ("1", "1", "ArrowLeft", "ArrowLeft", "ArrowRight"):
        page.keyboard.press(key)
    page.evaluate("release()")
    page.wait_for_function(ANSWERED, arg=5)
    expect(where).to_have_text("step 1 of 2")
    page.evaluate("document.querySelector('[data-do=end]').click()")
    page.wait_for_function(ANSWERED, arg=6)
    page.evaluate(
        "const back = document.querySelector('[data-do=back]'); back.click(); back.click()"
    )
    page.wait_for_function(ANSWERED, arg=8)
    expect(where).to_have_text("step 0 of 2")
    # Two at once on a choice: the second meant what is no longer there.
    page.evaluate(
        "const one = document.querySelector('.lr-choices button'); one.click(); one.click()"
    )
    page.wait_for_function(ANSWERED, arg=9)
    expect(where).to_have_text("step 1 of 2")


def test_it_says_that_there_is_no_answer_yet(page: Page) -> None:
    put(page, Races(workers=1))
    page.evaluate(HOLD)
    page.locator(".lr-view").focus()
    page.keyboard.press("1")
    expect(page.locator(".lr-said")).to_contain_text("Python is busy")
    page.evaluate("release()")
    expect(page.locator(".lr-where")).to_have_text("step 1")
    expect(page.locator(".lr-said")).not_to_contain_text("Python is busy")


def test_a_run_of_the_kernel_is_gone_through(page: Page) -> None:
    run = load(ROOT / "notebooks" / "recorded" / "07-races-steps-of-the-kernel.parquet")
    put(page, Races(run, series="umcg/sleep"))
    expect(page.locator("[data-do=seek]")).to_have_count(0)
    expect(page.locator(".lr-help")).not_to_contain_text("shortest way")
    page.locator(".lr-view").focus()
    for step in range(1, 25):
        page.keyboard.press("ArrowRight")
        expect(page.locator(".lr-where")).to_contain_text(f"step {step} of")
    expect(page.locator(".lr-choices button")).to_have_count(1)
    expect(page.locator(".lr-drawing svg")).to_be_visible()
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / "races-kernel.png")
    page.evaluate("cleanup()")
    assert page.evaluate("Object.values(model.heard).every(s => s.size === 0)")
