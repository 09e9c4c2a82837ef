# SPDX-License-Identifier: MIT
"""The course in JupyterLab, on this machine's own kernel: predict first, then step through."""

import json
import re

import pytest
from playwright.sync_api import expect
from test_lab import NOTHING_WAITS, menu, picture

from labkit.grading.release import release

pytestmark = pytest.mark.timeout(1800)

#: Milliseconds that anything may take on a busy machine; there is no guest here.
PATIENCE_MS = 600_000

#: An error of a cell, and what it says.
HELD = "[data-mime-type='application/vnd.jupyter.stderr']"


def on_python(lab, name):
    """The notebook with the ordinary kernel of Python."""
    path = lab.folder / "notebooks" / name
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"python-umcg"', '"python3"'), encoding="utf-8")
    return path.parent


def run_all(page):
    menu(page, "Run", "Run All Cells")
    page.wait_for_function(NOTHING_WAITS)


def test_a_reader_predicts_and_then_steps_through_the_protocol(lab, page):
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    folder = on_python(lab, "07-races.ipynb")
    page.goto(lab.page("07-races.ipynb"))
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Idle")
    run_all(page)
    fields = page.locator(".labkit-predictions")
    fields.wait_for()
    expect(page.locator(HELD)).to_have_count(1)
    expect(page.locator(HELD)).to_contain_text("First your prediction")
    expect(page.locator(".labkit-races")).to_have_count(0)
    picture(page, "predict-1-held", fields)

    keep = fields.get_by_role("button", name="Keep my prediction")
    keep.click()
    expect(fields.locator(".labkit-said")).to_contain_text("Enter something first")
    fields.locator("input").first.fill("20")
    fields.locator("select").select_option("hundreds")
    keep.click()
    expect(fields.locator(".labkit-said")).to_contain_text("Kept in predictions.json")
    picture(page, "predict-2-kept", fields)
    kept = json.loads((folder / "predictions.json").read_text(encoding="utf-8"))
    assert kept == {"07-races": {"steps_to_lost_wake_up": 20, "situations": "hundreds"}}

    run_all(page)
    races = page.locator(".jp-OutputArea .labkit-races").first
    races.wait_for()
    expect(page.locator(HELD)).to_have_count(0)
    view, where = races.locator(".lr-view"), races.locator(".lr-where")
    races.locator("[data-do=start], [data-do=back]").first.scroll_into_view_if_needed()
    if not re.fullmatch("step 0.*", where.text_content()):
        races.locator("[data-do=start]").click()
        expect(where).to_contain_text("step 0")
    cells = page.locator(".jp-Cell").count()
    view.focus()
    for key in ("1", "d", "d", "ArrowLeft", "ArrowRight"):  # D, D would delete the cell
        page.keyboard.press(key)
    expect(where).to_have_text(re.compile("^step 1"))
    assert page.locator(".jp-Cell").count() == cells
    page.keyboard.press("s")
    expect(races.locator(".lr-broken")).to_contain_text("Lost wake-up")
    picture(page, "races-in-jupyterlab", races)

    review = page.locator(".jp-OutputArea table", has_text="you predicted")
    expect(review).to_contain_text("hundreds")
    expect(review).to_contain_text("thousands")
    picture(page, "predict-3-review", review)
    assert page.strayed == [], "works offline"


def test_a_reader_skips_the_prediction_and_runs_policies_in_python_and_c(lab, page):
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    on_python(lab, "08-your-own-scheduler.ipynb")
    page.goto(lab.page("08-your-own-scheduler.ipynb"))
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Idle")
    run_all(page)
    fields = page.locator(".labkit-predictions")
    fields.get_by_role("button", name="Skip").click()
    expect(fields.locator(".labkit-said")).to_contain_text("Skipped")
    run_all(page)
    built = page.locator(".jp-OutputArea-output", has_text='policy="mine" has it now')
    built.wait_for()
    expect(page.locator(HELD)).to_have_count(0)
    expect(page.locator(".jp-OutputArea .labkit-timeline svg").first).to_be_visible()
    last = page.locator(".jp-OutputArea-output", has_text="none had an earlier deadline")
    expect(last).to_contain_text("✓")
    picture(page, "own-scheduler", built)
    assert page.strayed == [], "works offline"


def test_a_students_version_runs_to_its_end_though_nothing_is_solved(lab, page):
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    name = "02-swap.ipynb"
    (lab.folder / "notebooks" / name).unlink()
    written = list(release(lab.folder / "copy"))
    next(path for path, _ in written if path.name == name).rename(lab.folder / "notebooks" / name)
    on_python(lab, name)
    page.goto(lab.page(name))
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Idle")
    run_all(page)
    page.locator(".labkit-predictions").get_by_role("button", name="Skip").click()
    run_all(page)
    missing = page.locator(HELD)
    expect(missing).to_have_count(1)
    expect(missing).to_contain_text("Sleeper")
    review = page.locator(".jp-OutputArea table", has_text="you predicted")
    expect(review).to_contain_text("skipped")
    picture(page, "student-unsolved", missing)
