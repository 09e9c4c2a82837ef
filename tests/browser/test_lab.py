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


def picture(page, name, of=None):
    PICTURES.mkdir(parents=True, exist_ok=True)
    if of is not None:
        of.scroll_into_view_if_needed()
    page.screenshot(path=PICTURES / f"{name}.png")
    print(f"{time.strftime('%X')} {name}", flush=True)  # pytest -s shows how far it is


def menu(page, *labels):
    bar, item = labels
    page.locator(".lm-MenuBar-itemLabel", has_text=re.compile(f"^{bar}$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}$")).click()


def window(timeline):
    """The part of the timeline that is shown, as it is read out."""
    label = timeline.locator(".lk-view").get_attribute("aria-label")
    return re.search(r"from (.+?) to (.+?)\. ", label).groups()


def test_notebook_02_on_the_patched_kernel(lab, page):
    page.goto(lab.page("02-swap.ipynb"))
    name = page.locator(".jp-Toolbar-kernelName")
    expect(name).to_have_text("Python (UMCG)")
    notice = page.locator(".Toastify__toast", has_text="Python (UMCG): ").first
    expect(notice).to_contain_text(re.compile("booting|loading"))
    picture(page, "1-booting")
    page.locator(IDLE).wait_for()
    picture(page, "2-ready")

    menu(page, "Run", "Run All Cells")
    panel = page.locator(".jp-OutputArea .labkit-panel").first
    panel.wait_for()
    page.wait_for_function(NOTHING_WAITS)
    page.locator(IDLE).wait_for()
    expect(page.locator("[data-mime-type='application/vnd.jupyter.error']")).to_have_count(0)
    expect(page.locator(".jp-Dialog")).to_have_count(0)  # it would say that the kernel died
    picture(page, "3-executed", panel)

    slider = panel.locator(".labkit-slider-repetitions")
    before = slider.locator(".widget-readout").text_content()
    slider.locator(".noUi-handle").focus()
    page.keyboard.press("End")
    expect(slider.locator(".widget-readout")).not_to_have_text(before)
    picture(page, "4-slider", slider)

    run, stop = panel.locator(".labkit-run"), panel.locator(".labkit-stop")
    message = panel.locator(".labkit-message")
    expect(run).to_be_enabled()
    run.click()
    expect(panel.locator(".labkit-live")).not_to_be_empty()
    expect(stop).to_be_enabled()
    picture(page, "5-running", run)
    stop.click()
    expect(message).to_contain_text("Stopped")
    expect(run).to_be_enabled()
    expect(stop).to_be_disabled()
    picture(page, "6-stopped", run)

    timeline = panel.locator(".labkit-timeline")
    expect(timeline.locator("svg").first).to_be_visible()
    whole = window(timeline)
    timeline.locator("[data-do=in]").click()
    page.wait_for_function(
        "([node, old]) => node.getAttribute('aria-label') !== old",
        arg=[
            timeline.locator(".lk-view").element_handle(),
            timeline.locator(".lk-view").get_attribute("aria-label"),
        ],
    )
    assert window(timeline) != whole
    picture(page, "7-zoomed", timeline)

    assert page.strayed == [], "works offline"

    running = lab.processes()
    assert any("qemu" in process.name() for process in running)
    lab.interrupt()
    _, left = psutil.wait_procs(running, timeout=20)
    assert left == []
