# SPDX-License-Identifier: MIT
"""The timeline's page part in a real browser, joined to the real Python part without Jupyter."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from joined import MODEL
from playwright.sync_api import Browser, Page, expect, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))
import synthetic

from labkit.panels import Timeline
from labkit.trace import perfetto

STATE = (
    *("series", "all_series", "selected", "table", "caption", "problem", "static_id"),
    *("drawing", "stretch"),
)

#: Milliseconds that anything may take on a busy machine.
PATIENCE_MS = 600_000


class Sheet:
    """A page with a timeline on it."""

    def __init__(self, page: Page, timeline: Timeline) -> None:
        self.page, self.timeline = page, timeline
        self.view = page.locator(".lk-view")
        self.tip = page.locator(".lk-tip")
        self.chosen = page.locator(".lk-row tr.lk-chosen td")
        self.sent: list[list[object]] = []
        timeline.send = self.keep
        page.expose_function("toPython", self.answer)
        page.expose_function("fromPython", self.custom)
        page.set_content(f"<p data-labkit-static='{timeline.static_id}'>picture</p>")
        page.evaluate(MODEL, [str(timeline._esm), str(timeline._css), self.state()])
        # It asks for a drawing of its width first.
        page.wait_for_function(
            "model.state.drawing.width === document.querySelector('.lk-view').clientWidth"
        )

    def state(self) -> str:
        shares = base64.b64encode(self.timeline.shares).decode()
        return json.dumps({n: getattr(self.timeline, n) for n in STATE} | {"shares": shares})

    def answer(self, message: str) -> str:
        self.timeline._handle_custom_msg(json.loads(message), [])
        return self.state()

    def custom(self) -> list[list[object]]:
        """What was sent to the page besides the state."""
        found, self.sent = self.sent, []
        return found

    def keep(self, content: object, buffers: list[bytes]) -> None:
        self.sent.append([content, base64.b64encode(buffers[0]).decode()])

    def settled(self, t0: float, t1: float) -> None:
        """Wait until this window is drawn."""
        self.page.wait_for_function(
            "([a, b]) => Math.abs(model.state.drawing.t0 - a) <= 2 && "
            "Math.abs(model.state.drawing.t1 - b) <= 2",
            arg=[t0, t1],
        )

    def at(self, t: float) -> float:
        """The x on the page of a time."""
        box, drawing = self.view.bounding_box(), self.timeline.drawing
        share = (t - drawing["t0"]) / (drawing["t1"] - drawing["t0"])
        left = drawing["left"] + share * (drawing["right"] - drawing["left"])
        return box["x"] + left * box["width"] / drawing["width"]

    def middle(self) -> float:
        box = self.view.bounding_box()
        return box["y"] + box["height"] / 2


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )


@pytest.fixture
def sheet(browser: Browser) -> Iterator[Sheet]:
    page = browser.new_page(viewport={"width": 1000, "height": 700})
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield Sheet(page, Timeline(synthetic.record()))
    page.close()
    assert errors == []


def test_keys_zoom_and_pan(sheet: Sheet) -> None:
    length = sheet.timeline.drawing["length"]
    sheet.view.focus()
    sheet.page.keyboard.press("+")
    sheet.settled(length / 4, length * 3 / 4)
    sheet.page.keyboard.press("ArrowRight")
    sheet.settled(length * 3 / 8, length * 7 / 8)
    sheet.page.keyboard.press("ArrowLeft")
    sheet.page.keyboard.press("ArrowLeft")
    sheet.settled(length / 8, length * 5 / 8)
    sheet.page.keyboard.press("-")
    sheet.settled(0, length)
    for _ in range(5):
        sheet.page.keyboard.press("+")
    sheet.page.keyboard.press("Home")
    sheet.settled(0, length)


def test_keys_go_from_event_to_event(sheet: Sheet) -> None:
    sheet.timeline.zoom(20_000, 30_000)
    sheet.page.evaluate("text => model.take(text)", sheet.state())
    sheet.view.focus()
    sheet.page.keyboard.press("n")
    expect(sheet.chosen.first).to_be_visible()
    row = sheet.timeline.selected["row"]
    sheet.page.keyboard.press("n")
    expect(sheet.chosen.first).to_have_text(str(row + 1))
    sheet.page.keyboard.press("p")
    expect(sheet.chosen.first).to_have_text(str(row))
    expect(sheet.page.locator(".lk-at")).to_have_count(1)
    expect(sheet.page.locator("[aria-current=true]")).to_have_count(1)
    sheet.page.keyboard.press("Escape")
    expect(sheet.chosen).to_have_count(0)


def test_a_letter_is_no_command_to_the_page_but_its_shortcuts_are_left_alone(sheet: Sheet) -> None:
    sheet.page.evaluate(
        "window.heard = []; document.addEventListener('keydown', e => heard.push(e.key), true)"
    )
    sheet.view.focus()
    for key in ("d", "x", "+", "Control+b", "Tab"):
        sheet.page.keyboard.press(key)
    assert sheet.page.evaluate("heard") == ["Control", "b", "Tab"]
    sheet.page.locator("button[data-do=in]").focus()
    sheet.page.keyboard.press("d")
    assert sheet.page.evaluate("heard.at(-1)") == "d"


def test_it_is_reached_by_tab_shows_focus_and_says_what_it_is(sheet: Sheet) -> None:
    sheet.page.locator("button[data-do=perfetto]").focus()
    sheet.page.keyboard.press("Tab")
    expect(sheet.page.get_by_role("searchbox")).to_be_focused()
    sheet.page.keyboard.press("Tab")
    expect(sheet.view).to_be_focused()
    assert sheet.view.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    label = sheet.view.get_attribute("aria-label")
    assert "Timeline of series umcg/model, 7 tasks, from 0.000" in label
    assert "Arrow keys pan" in label
    expect(sheet.page.locator(".lk-help")).to_be_visible()


def test_a_drag_zooms_into_what_was_dragged_over(sheet: Sheet) -> None:
    length = sheet.timeline.drawing["length"]
    mouse, y = sheet.page.mouse, sheet.middle()
    first, last = (round(sheet.at(length * part)) for part in (0.5, 0.6))
    mouse.move(first, y)
    mouse.down()
    mouse.move(last, y, steps=3)
    expect(sheet.page.locator(".lk-band")).to_be_visible()
    mouse.up()
    a_pixel = length / 800
    sheet.page.wait_for_function("length => model.state.drawing.t1 < length", arg=length)
    t0, t1 = sheet.timeline.window
    assert t0 == pytest.approx(length * 0.5, abs=a_pixel)
    assert t1 == pytest.approx(length * 0.6, abs=a_pixel)
    expect(sheet.page.locator(".lk-band")).to_be_hidden()
    sheet.page.keyboard.down("Shift")
    mouse.move(sheet.at((t0 + t1) / 2), y)
    mouse.down()
    mouse.move(sheet.at(t0), y, steps=3)
    mouse.up()
    sheet.page.keyboard.up("Shift")
    sheet.page.wait_for_function("t0 => model.state.drawing.t0 > t0", arg=t0)
    a, b = sheet.timeline.window
    assert b - a == pytest.approx(t1 - t0, abs=2)
    sheet.view.dblclick()
    sheet.settled(0, length)


def test_the_wheel_zooms_about_the_pointer_with_ctrl_alone(sheet: Sheet) -> None:
    length = sheet.timeline.drawing["length"]
    sheet.page.mouse.move(sheet.at(length / 4), sheet.middle())
    before = len(sheet.page.evaluate("model.sent"))
    sheet.page.mouse.wheel(0, -100)
    sheet.page.keyboard.down("Control")
    sheet.page.mouse.wheel(0, -100)
    sheet.page.keyboard.up("Control")
    sheet.page.wait_for_function("length => model.state.drawing.t1 < length", arg=length)
    assert len(sheet.page.evaluate("model.sent")) == before + 1
    t0, t1 = sheet.timeline.window
    assert (length / 4 - t0) / (t1 - t0) == pytest.approx(0.25, abs=0.01)


def test_hover_shows_the_event_and_a_click_its_row(sheet: Sheet) -> None:
    sheet.timeline.zoom(20_000, 60_000)
    sheet.page.evaluate("text => model.take(text)", sheet.state())
    wide = [
        s
        for s in sheet.page.locator("rect[data-r]:not([data-r='-1'])").all()
        if s.bounding_box()["width"] > 8
    ]
    shape = wide[0]
    row = shape.get_attribute("data-r")
    said = shape.locator("title").text_content()
    shape.hover()
    expect(sheet.tip).to_have_text(said)
    assert f"event {row}" in said
    shape.click()
    expect(sheet.chosen.first).to_have_text(row)
    expect(sheet.page.locator(f"rect.lk-chosen[data-r='{row}']")).to_have_count(1)


def test_hover_over_shares_tells_them(sheet: Sheet) -> None:
    assert sheet.timeline.shares
    length, drawing = sheet.timeline.drawing["length"], sheet.timeline.drawing
    top = sheet.view.bounding_box()["y"]
    lane = 3
    y = top + drawing["top"] + (lane + 0.5) * drawing["lane"]
    sheet.page.mouse.move(sheet.at(length * 0.3), y)
    expect(sheet.tip).to_contain_text(drawing["lanes"][lane])
    places = drawing["places"]
    cell = (lane * drawing["bins"] + int(0.3 * drawing["bins"])) * len(places)
    words = sheet.tip.text_content()
    near = [cell + len(places) * i for i in (-1, 0, 1)]  # the pointer stands on a whole pixel
    told = [
        ", ".join(
            f"{place} {share} %"
            for place, share in zip(places, sheet.timeline.shares[c : c + len(places)], strict=True)
            if share
        )
        for c in near
    ]
    assert any(words.endswith(t) for t in told if t), (words, told)


def test_a_slow_kernel_is_asked_one_thing_at_a_time_and_the_last_wish_holds(sheet: Sheet) -> None:
    length = sheet.timeline.drawing["length"]
    hold = "() => { model.sent = []; model.held = new Promise(free => { window.free = free; }); }"
    sheet.page.evaluate(hold)
    sheet.view.focus()
    for _ in range(6):
        sheet.page.keyboard.press("+")
    moved = sheet.page.locator(".lk-plot").get_attribute("transform")
    assert "scale(64 1)" in moved, "what is there moves at once"
    assert len(sheet.page.evaluate("model.sent")) == 1
    sheet.page.evaluate("() => { model.held = null; free(); }")
    span = length / 64
    sheet.settled((length - span) / 2, (length + span) / 2)
    assert len(sheet.page.evaluate("model.sent")) == 2


def test_the_series_can_be_chosen_and_problems_are_seen(sheet: Sheet) -> None:
    expect(sheet.page.locator("[data-labkit-static]")).to_be_hidden()
    sheet.page.evaluate("model.send({do: 'select', row: 10 ** 9})")
    expect(sheet.page.locator(".lk-problem")).to_contain_text("no event of series")
    sheet.page.locator(".lk-series").select_option("umcg/model")
    expect(sheet.page.locator(".lk-problem")).to_have_text("")
    expect(sheet.page.locator(".lk-caption")).to_contain_text("kernel 6.1.0-model")


def test_a_stretch_is_measured_by_dragging_with_alt(sheet: Sheet) -> None:
    drawing, mouse = sheet.timeline.drawing, sheet.page.mouse
    a, b = drawing["length"] * 0.25, drawing["length"] * 0.75
    mouse.move(sheet.at(a), sheet.middle())
    sheet.page.keyboard.down("Alt")
    mouse.down()
    mouse.move(sheet.at(b), sheet.middle())
    mouse.up()
    sheet.page.keyboard.up("Alt")
    table = sheet.page.locator(".lk-stretch")
    expect(table.locator("caption")).to_contain_text("The stretch of ")
    expect(table.locator("tbody tr")).to_have_count(len(drawing["lanes"]))
    assert sheet.timeline.window == (0, drawing["length"]), "it does not zoom"
    measured = sheet.timeline.stretch
    assert abs(measured["t0"] - a) < drawing["length"] / 50
    sheet.view.focus()
    sheet.page.keyboard.press("Escape")
    expect(table.locator("table")).to_have_count(0)


def test_an_event_is_found_by_what_it_is(sheet: Sheet) -> None:
    find = sheet.page.get_by_role("searchbox")
    find.fill("block")
    find.press("Enter")
    expect(sheet.chosen.first).to_be_visible()
    first = sheet.timeline.selected["row"]
    find.press("Enter")
    sheet.page.wait_for_function("(row) => model.state.selected.row > row", arg=first)
    find.press("Shift+Enter")
    sheet.page.wait_for_function("(row) => model.state.selected.row === row", arg=first)
    find.fill("teleport")
    find.press("Enter")
    expect(sheet.page.locator(".lk-problem")).to_contain_text("has 'teleport' in it")


def test_a_click_on_a_name_puts_its_lane_on_top(sheet: Sheet) -> None:
    drawing = sheet.timeline.drawing
    last = drawing["lanes"][-1]
    box = sheet.view.bounding_box()
    zoomed = box["width"] / drawing["width"]
    y = drawing["top"] + drawing["lane"] * (len(drawing["lanes"]) - 0.5)
    sheet.page.mouse.click(box["x"] + 20, box["y"] + y * zoomed)
    sheet.page.wait_for_function("(name) => model.state.drawing.lanes[0] === name", arg=last)


def test_the_trace_goes_to_perfetto_by_a_button(sheet: Sheet) -> None:
    body = """<body><script>addEventListener("message", (event) => {
      if (event.data === "PING") event.source.postMessage("PONG", "*");
      else document.body.textContent = `${event.data.perfetto.buffer.byteLength} bytes`;
    })</script></body>"""
    sheet.page.context.route(
        "https://ui.perfetto.dev/**",
        lambda route: route.fulfill(body=body, content_type="text/html"),
    )
    with sheet.page.expect_popup() as other:
        sheet.page.locator("[data-do=perfetto]").click()
    trace = perfetto.to_bytes(sheet.timeline._record)
    expect(other.value.locator("body")).to_have_text(f"{len(trace)} bytes")
    expect(sheet.page.locator(".lk-problem")).to_contain_text("is in the window")


def test_a_removed_widget_leaves_no_listener(sheet: Sheet) -> None:
    sheet.page.evaluate("cleanup()")
    assert sheet.page.evaluate("Object.values(model.heard).every(s => s.size === 0)")
    sent = len(sheet.page.evaluate("model.sent"))
    sheet.view.focus()
    sheet.page.keyboard.press("+")
    assert len(sheet.page.evaluate("model.sent")) == sent
