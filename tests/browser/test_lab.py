# SPDX-License-Identifier: MIT
"""What a student does in the first half hour, in a real browser."""

import re
import time

import psutil
import pytest
from conftest import ROOT
from playwright.sync_api import expect

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3600)]

PICTURES = ROOT / "out" / "browser"

IDLE = ".jp-Notebook-ExecutionIndicator[data-status=idle]"
NOTHING_WAITS = """() => ![...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")]
    .some(prompt => prompt.textContent.includes("*"))"""

#: Threads of an experiment that has ended: none.
LEFT = """import threading
names = [thread.name for thread in threading.enumerate()]
print("left:", [name for name in names if name in ("labkit-engine", "labkit-swap")])"""


def picture(page, name, of=None):
    PICTURES.mkdir(parents=True, exist_ok=True)
    if of is not None:
        of.scroll_into_view_if_needed()
        expect(of).to_be_in_viewport()
    page.screenshot(path=PICTURES / f"{name}.png")
    print(f"{time.strftime('%X')} {name}", flush=True)  # pytest -s shows how far it is


def menu(page, *labels):
    bar, item = labels
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{bar}$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}$")).click()


def zoom_in(timeline):
    """Press the button, and wait until another part is shown, as it is read out."""
    view = timeline.locator(".lk-view")
    shown = re.search(r"from .+? to .+?\. ", view.get_attribute("aria-label"))[0]
    timeline.locator("[data-do=in]").click()
    expect(view).not_to_have_attribute("aria-label", re.compile(re.escape(shown)))


def left(page):
    """Ask a new cell which threads are left; its answer, when it has come."""
    page.locator(".jp-NotebookPanel-toolbar [data-command='notebook:insert-cell-below']").click()
    editor = page.locator(".jp-Cell.jp-mod-active .cm-content")
    editor.click()
    page.keyboard.insert_text(LEFT)
    page.keyboard.press("Control+Enter")
    answer = page.locator(".jp-OutputArea-output pre", has_text=re.compile(r"^left: "))
    expect(answer).to_have_text(re.compile(r"^left: \[\]\s*$"))
    return answer


def test_notebook_02_on_the_patched_kernel(lab, page):
    page.goto(lab.page("02-swap.ipynb"))
    name = page.locator(".jp-Toolbar-kernelName")
    expect(name).to_have_text("Python (UMCG)")
    notice = page.locator(".Toastify__toast", has_text="Python (UMCG): ").first
    expect(notice).to_contain_text(re.compile("booting|loading"))
    picture(page, "1-booting")
    # The indicator in the notebook says "idle" also while there is no kernel yet.
    expect(page.locator("#jp-main-statusbar")).to_contain_text("Python (UMCG) | Idle")
    picture(page, "2-ready")

    menu(page, "Run", "Run All Cells")
    predictions = page.locator(".labkit-predictions")
    predictions.get_by_role("button", name="Skip").click()
    expect(predictions.locator(".labkit-said")).to_contain_text("Skipped")
    menu(page, "Run", "Run All Cells")
    panel = page.locator(".jp-OutputArea .labkit-panel").first
    panel.wait_for()
    page.wait_for_function(NOTHING_WAITS)
    page.locator(IDLE).wait_for()
    expect(page.locator("[data-mime-type='application/vnd.jupyter.stderr']")).to_have_count(0)
    expect(page.locator(".jp-Dialog")).to_have_count(0)  # it would say that the kernel died
    run, stop = panel.locator(".labkit-run"), panel.locator(".labkit-stop")
    picture(page, "3-executed", run)

    timeline = panel.locator(".labkit-timeline")
    expect(timeline.locator("svg").first).to_be_visible()
    picture(page, "4-timeline", timeline)
    for _ in range(3):
        zoom_in(timeline)
    timeline.locator("[data-do=next]").click()
    expect(timeline.locator(".lk-row tr.lk-chosen td").first).to_be_visible()
    picture(page, "5-zoomed", timeline)

    slider = panel.locator(".labkit-slider-repetitions")
    before = slider.locator(".widget-readout").text_content()
    slider.locator(".noUi-handle").focus()
    page.keyboard.press("End")
    expect(slider.locator(".widget-readout")).not_to_have_text(before)
    picture(page, "6-slider", slider)

    message, live = panel.locator(".labkit-message"), panel.locator(".labkit-live")
    expect(run).to_be_enabled()
    run.click()
    expect(live).to_contain_text("hand-offs a second")
    expect(live).not_to_contain_text("?")
    expect(panel.locator(".labkit-far")).to_contain_text(re.compile(r"\d+ of \d+, .*/"))
    expect(stop).to_be_enabled()
    chart = panel.locator(".labkit-chart .js-plotly-plot")
    expect(chart).to_contain_text("hand-offs a second")
    expect(chart.locator("path.js-line").first).to_be_visible()
    picture(page, "7-running", run)
    stop.click()
    expect(message).to_contain_text("Stopped")
    expect(run).to_be_enabled()
    expect(stop).to_be_disabled()
    expect(live).to_be_empty()
    panel.locator(".labkit-save").click()
    expect(message).to_contain_text("Saved as")
    picture(page, "8-stopped", run)

    picture(page, "9-left", left(page))

    assert page.strayed == [], "works offline"

    running = lab.processes()
    assert any("qemu" in process.name() for process in running)
    lab.interrupt()
    _, living = psutil.wait_procs(running, timeout=600)
    assert living == []
