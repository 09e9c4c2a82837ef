# SPDX-License-Identifier: MIT
"""The timeline without a page: what is drawn, what is sent, what its messages do."""

from __future__ import annotations

import base64
import itertools
import re
import struct
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Iterator
from typing import Any

import comm
import numpy as np
import polars as pl
import pytest
import synthetic
from comm.base_comm import BaseComm

import labkit
from labkit import analysis
from labkit.analysis import MissingEvents
from labkit.panels import Timeline
from labkit.panels.saved_picture import SavedPicture
from labkit.plots.png import data_uri
from labkit.plots.style import EDGES, PLACE_COLOURS, SERIES_COLOURS, TCG_WARNING
from labkit.plots.timeline import picture
from labkit.plots.timeline_parts import DEPTH, PITCH, share_pixels
from labkit.plots.window import PLACES, timeline_window
from labkit.records import Record
from labkit.trace import perfetto

RUN = synthetic.record()
SVG = "{http://www.w3.org/2000/svg}"

#: What one zoom may cost: a slow kernel and a slow link must not notice.
MOST_BYTES = 200_000


class Page(BaseComm):
    """A connection to a page that measures what it is sent."""

    sizes: list[int] = []  # noqa: RUF012

    def publish_msg(
        self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **_: Any
    ) -> None:
        self.sizes.append(len(str(data)) + sum(len(b) for b in buffers or []))


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    monkeypatch.setattr(comm, "create_comm", Page)
    Page.sizes.clear()
    yield Page.sizes
    Page.sizes.clear()


def ask(timeline: Timeline, **message: Any) -> None:
    """As the page does."""
    timeline._handle_custom_msg(message, [])


def window(timeline: Timeline, t0: float, t1: float, asked: int = 1, pixels: int = 900) -> None:
    ask(timeline, do="window", t0=t0, t1=t1, asked=asked, pixels=pixels)


def tree(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


# The drawing.


def close(first: int = 600, last: int = 680) -> Any:
    begin, end = int(RUN.events["t"][first]), int(RUN.events["t"][last])
    return timeline_window(RUN.events, RUN.tasks, begin, end)


def test_every_state_is_drawn_where_and_as_long_as_it_was() -> None:
    seen = close()
    drawn = picture(seen, seen.t0, 1000)
    boxes = [r for r in tree(drawn.svg).iter(f"{SVG}rect") if r.get("data-r")]
    assert len(boxes) == seen.slices.height
    scale = (drawn.right - drawn.left) / (seen.t1 - seen.t0)
    for box, row in zip(boxes, seen.slices.iter_rows(named=True), strict=True):
        assert box.get("fill") in (PLACE_COLOURS[row["place"]], EDGES.get(row["place"]))
        assert box.get("data-r") == str(row["row"])
        x = drawn.left + (row["t0"] - seen.t0) * scale
        assert float(box.get("x", "")) == pytest.approx(x, abs=0.02)
        wide = max(0.4, (row["t1"] - row["t0"]) * scale)
        assert float(box.get("width", "")) == pytest.approx(wide, abs=0.05)
        lane = (float(box.get("y", "")) - drawn.top) // drawn.lane
        assert lane == row["lane"]
        title = box.find(f"{SVG}title")
        assert title is not None and title.text is not None
        assert title.text.startswith(f"{seen.lanes['name'][row['lane']]}: {row['place']}")


def test_hatches_arrows_and_legend_are_there_and_not_told_by_colour_alone() -> None:
    svg = picture(close(), 0, 1000).svg
    root = tree(svg)
    patterns = {p.get("id", "") for p in root.iter(f"{SVG}pattern")}
    used = set(re.findall(r'fill="url\(#(\w+)\)" pointer', svg))
    assert used and used <= patterns
    words = {t.text for t in root.iter(f"{SVG}text")}
    assert {*PLACE_COLOURS, "PREEMPTED", "LOCKED", "run", "place given back"} <= words
    dashes = re.findall(r'stroke-width="1.3" stroke-dasharray="([^"]*)"', svg)
    assert len(dashes) == len(set(dashes)) > 1


#: Linear RGB as who lacks one kind of cone sees it (Machado, Oliveira, Fernandes 2009, severity 1).
VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
    ),
    "deuteranopia": np.array(
        [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]
    ),
    "tritanopia": np.array(
        [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]
    ),
}


def seen(colour: str, vision: str) -> Any:
    """A colour in CIELAB, where an eye calls 2 apart just noticeable."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(VISION[vision] @ linear, 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = to_xyz @ linear / (0.9505, 1.0, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast_with_white(colour: str) -> float:
    """As WCAG 2 counts it; it asks for 3 of graphics."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(1.05 / (linear @ (0.2126, 0.7152, 0.0722) + 0.05))


def test_lines_and_bars_stand_out_from_white() -> None:
    assert min(map(contrast_with_white, SERIES_COLOURS)) >= 3
    faint = {place for place, c in PLACE_COLOURS.items() if contrast_with_white(c) < 3}
    assert faint == set(EDGES)
    assert min(map(contrast_with_white, EDGES.values())) >= 3
    seen = timeline_window(RUN.events, RUN.tasks, *RUN.events["t"][[0, 200]])
    for width in (4000, 300):
        bars = [
            (float(r.get("width", 0)), r.get("fill", ""), r.get("stroke") or r.get("fill", ""))
            for r in tree(picture(seen, seen.t0, width).svg).iter(f"{SVG}rect")
            if r.get("data-r")
        ]
        assert min(contrast_with_white(line) for _, _, line in bars) >= 3
        wide = {(fill, line) for size, fill, line in bars if size > 4}
        for place, colour in PLACE_COLOURS.items():
            assert {line for fill, line in wide if fill == colour} <= {EDGES.get(place, colour)}
    assert {PLACE_COLOURS["IDLE"], EDGES["IDLE"]} <= {fill for _, fill, _ in bars}


def test_what_is_drawn_as_shares_has_an_outline() -> None:
    events, tasks = synthetic.model_events(2, 4, 8000)
    seen = timeline_window(events, tasks, int(events["t"][0]), int(events["t"][-1]), 500)
    root = tree(picture(seen, seen.t0, 500).svg)
    lines = [r for r in root.iter(f"{SVG}rect") if r.get("class") == "lk-outline"]
    assert seen.aggregated and len(lines) >= seen.lanes.height
    assert {r.get("stroke") for r in lines} == {EDGES["IDLE"]}


@pytest.mark.parametrize("vision", VISION)
def test_narrow_bars_are_told_apart_whatever_cone_an_eye_lacks(vision: str) -> None:
    narrow = [EDGES.get(place, colour) for place, colour in PLACE_COLOURS.items()]
    pairs = itertools.combinations(narrow, 2)
    apart = {(a, b): float(np.linalg.norm(seen(a, vision) - seen(b, vision))) for a, b in pairs}
    assert min(apart.values()) > 20, apart


@pytest.mark.parametrize("vision", VISION)
def test_states_are_told_apart_whatever_cone_an_eye_lacks(vision: str) -> None:
    apart = {
        (a, b): float(np.linalg.norm(seen(first, vision) - seen(second, vision)))
        for (a, first), (b, second) in itertools.combinations(PLACE_COLOURS.items(), 2)
    }
    assert min(apart.values()) > 25, apart


def test_states_are_told_apart_in_a_print_without_colours() -> None:
    lightness = sorted(float(seen(colour, "full")[0]) for colour in PLACE_COLOURS.values())
    assert min(np.diff(lightness)) > 12, lightness


def test_the_measure_of_colours_finds_a_pair_that_is_not_told_apart() -> None:
    pairs = {v: np.linalg.norm(seen("#bf4040", v) - seen("#7a7a28", v)) for v in VISION}
    assert pairs["full"] > 50 and pairs["deuteranopia"] < 20


def test_two_drawings_on_one_page_do_not_share_hatches() -> None:
    first, second = (picture(close(), 0).svg for _ in range(2))
    ids = [set(re.findall(r'id="(\w+)"', svg)) for svg in (first, second)]
    assert ids[0] and not ids[0] & ids[1]


def test_names_are_text_and_never_markup() -> None:
    tasks = RUN.tasks.with_columns(
        name=pl.lit('<script>alert("x")</script>'), series=pl.lit("<b>&s</b>")
    )
    record = synthetic.record(tasks=tasks)
    svg = Timeline(record).svg()
    assert "<script" not in svg and "<b>" not in svg
    assert any("<b>&s</b>" in (t.text or "") for t in tree(svg).iter(f"{SVG}text"))


def test_shares_become_the_same_share_of_pixels() -> None:
    events, tasks = synthetic.model_events(2, 6, 20_000, seed=4)
    seen = timeline_window(events, tasks, int(events["t"][0]), int(events["t"][-1]), 400)
    pixels = share_pixels(seen.shares).reshape(seen.lanes.height, PITCH, -1)
    for code, place in enumerate(PLACE_COLOURS):
        counted = (pixels == code).sum(axis=1) / DEPTH
        wanted = seen.shares[:, :, PLACES.index(place)]
        assert np.abs(counted - wanted).max() <= 1 / DEPTH + 1e-9
    assert (pixels[:, 0] == -1).all() and (pixels[:, -1] == -1).all()


def test_a_png_holds_the_pixels_it_was_made_of() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    png = base64.b64decode(data_uri(pixels, ["#ff0000", "#00ff00"]).partition(",")[2])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        size, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size)[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += size + 12
    assert struct.unpack(">II", chunks[b"IHDR"][:8]) == (4, 3)
    assert chunks[b"PLTE"] == b"\xff\0\0\0\xff\0\0\0\0"
    assert chunks[b"tRNS"] == b"\xff\xff\0"
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(3, 5)
    assert (rows[:, 1:] == pixels).all() and not rows[:, 0].any()


def test_a_saved_picture_carries_its_words_and_needs_no_network() -> None:
    svg = Timeline(RUN).svg()
    words = " ".join(t.text or "" for t in tree(svg).iter(f"{SVG}text"))
    assert "Timeline: umcg/model" in words
    assert "kernel 6.1.0-model" in words and TCG_WARNING in words
    assert "state changes" in words
    links = re.findall(r'(?:href|src)="([^"]*)"', svg)
    assert all(link.startswith("data:image/png;base64,") for link in links)
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_the_page_part_comes_with_the_package_and_loads_nothing() -> None:
    timeline = Timeline()
    assert "export default" in timeline._esm
    for text in (timeline._esm, timeline._css):
        # A button opens this one in a window of its own.
        text = text.replace('const PERFETTO = "https://ui.perfetto.dev";', "")
        assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"\bimport\b\s*[({\"'*]|@import", text)


# Walking about.


def test_it_begins_with_the_whole_of_the_first_series() -> None:
    timeline = labkit.timeline(RUN)
    length = int(RUN.events["t"][-1]) - int(RUN.events["t"][0]) + 1
    assert timeline.window == (0, length) == (0, timeline.drawing["length"])
    assert timeline.series == "umcg/model" and timeline.all_series == ["umcg/model"]
    assert "labkit-timeline" in timeline._dom_classes


def test_a_message_zooms_and_its_number_comes_back() -> None:
    timeline = Timeline(RUN)
    window(timeline, 10_000, 60_000, asked=7, pixels=640)
    assert timeline.window == (10_000, 60_000)
    assert timeline.drawing["asked"] == 7
    assert timeline.drawing["width"] == 640
    assert "Every one of" in timeline.drawing["notice"]
    timeline.zoom()
    assert "Aggregated" in timeline.drawing["notice"]


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ((-5e9, 9e9), (0, 1)),
        ((500.0, 500.0), (490, 510)),
        ((700.0, 100.0), (100, 700)),
        ((-1000.0, 0.0), (0, 1000)),
    ],
)
def test_impossible_windows_become_possible_ones(
    asked: tuple[float, float], seen: tuple[int, int]
) -> None:
    timeline = Timeline(RUN)
    length = timeline.drawing["length"]
    window(timeline, *asked)
    assert timeline.window == (seen if seen != (0, 1) else (0, length))


def test_drawings_of_any_width_are_kept_within_reason() -> None:
    timeline = Timeline(RUN)
    for pixels, width in ((10, 300), (100_000, 4000)):
        window(timeline, 0, 1e6, pixels=pixels)
        assert timeline.drawing["width"] == width


def test_a_click_shows_the_rows_of_the_table() -> None:
    timeline = Timeline(RUN)
    ask(timeline, do="select", row=1000)
    event = RUN.events.row(1000, named=True)
    table = timeline.table
    chosen = dict(zip(table["columns"], table["rows"][table["at"]], strict=True))
    assert chosen["event"] == "1000"
    assert chosen["kind"] == event["kind"]
    assert chosen["state"] in (f"{event['old']} → {event['new']}", "")
    assert [row[0] for row in table["rows"]] == [str(i) for i in range(997, 1004)]
    assert timeline.selected == {"row": 1000, "t": event["t"] - int(RUN.events["t"][0])}
    ask(timeline, do="select", row=None)
    assert timeline.selected == {} and timeline.table == {}


def test_steps_go_from_event_to_event_and_take_the_window_along() -> None:
    timeline = Timeline(RUN)
    origin = int(RUN.events["t"][0])
    window(timeline, 20_000, 30_000)
    ask(timeline, do="step", by=1)
    row = timeline.selected["row"]
    assert RUN.events["t"][row] - origin >= 20_000 > RUN.events["t"][row - 1] - origin
    for _ in range(60):
        ask(timeline, do="step", by=1)
    assert timeline.selected["row"] == row + 60
    a, b = timeline.window
    assert a <= timeline.selected["t"] <= b and b - a == 10_000
    ask(timeline, do="step", by=-61)
    assert timeline.selected["row"] == row - 1
    timeline.select(None)
    timeline.zoom()
    ask(timeline, do="step", by=-1)
    ask(timeline, do="step", by=-1)
    assert timeline.selected["row"] == 0


def two_series() -> Record:
    first, second = RUN, synthetic.model_events(1, 2, 500, seed=9, series="futex/x")
    later = int(first.events["t"][-1]) + 1000
    events = pl.concat(
        [
            first.events,
            second[0]
            .with_columns(
                pl.col("t") + later,
                pl.col("tid") + 500,
                peer=pl.when(pl.col("peer") > 0).then(pl.col("peer") + 500).otherwise(0),
            )
            .cast({"tid": pl.Int32, "peer": pl.Int32}),
        ]
    )
    tasks = pl.concat([first.tasks, second[1].with_columns(pl.col("tid") + 500)])
    return synthetic.record(events=events, tasks=tasks)


def test_setting_the_series_draws_it() -> None:
    record = two_series()
    timeline, by_message = Timeline(record), Timeline(record)
    other = timeline.all_series[1]
    ask(by_message, do="series", series=other)
    timeline.series = other
    assert timeline.series == other
    assert timeline.window == by_message.window
    assert timeline.drawing["lanes"] == by_message.drawing["lanes"]
    assert f"Timeline: {other}" in timeline.svg()
    with pytest.raises(MissingEvents, match="no state changes of series 'none'"):
        timeline.series = "none"
    assert timeline.series == other


def test_another_series_is_drawn_from_its_own_begin() -> None:
    record = two_series()
    timeline = Timeline(record)
    assert timeline.all_series == ["umcg/model", "futex/x"]
    ask(timeline, do="select", row=10)
    before = timeline.drawing["key"]
    ask(timeline, do="series", series="futex/x")
    assert timeline.series == "futex/x" and timeline.selected == {}
    assert timeline.drawing["key"] != before
    assert timeline.window[0] == 0
    ask(timeline, do="step", by=1)
    assert timeline.selected["row"] == RUN.events.height
    assert len(timeline.drawing["lanes"]) == 3


def test_what_goes_wrong_is_told_to_the_page() -> None:
    timeline = Timeline(two_series())
    ask(timeline, do="select", row=RUN.events.height + 3)
    assert "no event of series 'umcg/model'" in timeline.problem
    ask(timeline, do="series", series="umcg/model")
    assert timeline.problem == ""
    with pytest.raises(analysis.MissingEvents, match="the run has umcg/model"):
        labkit.timeline(RUN, "typo")
    with pytest.raises(analysis.MissingEvents):
        timeline.show(synthetic.record(events=RUN.events.clear()))
    assert timeline.series == "umcg/model", "what was drawn stays"
    empty = Timeline()
    ask(empty, do="step", by=1)
    assert empty.drawing == {} and empty.svg() == ""


@pytest.mark.long
def test_a_million_events_cost_a_page_no_more_than_a_thousand(sizes: list[int]) -> None:
    events, tasks = synthetic.million()
    assert events.height >= 1_000_000
    timeline = Timeline(synthetic.record(events=events, tasks=tasks))
    length = timeline.drawing["length"]
    assert max(sizes) < MOST_BYTES, "the first drawing"
    sizes.clear()
    aggregated = set()
    for i in range(24):
        span = length / 2**i
        window(timeline, (length - span) * 0.37, (length - span) * 0.37 + span, asked=i)
        aggregated.add(bool(timeline.shares))
        for _ in range(2):
            ask(timeline, do="step", by=1)
    assert aggregated == {True, False}, "from shares down to single events"
    assert max(sizes) < MOST_BYTES
    assert len(sizes) <= 24 * 3, "one message an answer"


def test_a_stretch_is_measured_by_task_and_state() -> None:
    timeline = Timeline(RUN)
    length = timeline.drawing["length"]
    whole = timeline.measure(0, length)
    occupancy = analysis.df_occupancy(RUN).filter(pl.col("series") == "umcg/model")
    for row in occupancy.iter_rows(named=True):
        (mine,) = whole.filter(pl.col("task") == row["name"]).iter_rows(named=True)
        for state in ("running", "idle", "listed", "blocked"):
            assert mine[state] == pytest.approx(row[state] * row["observed_ns"], abs=2), row["name"]
    parts = [
        timeline.measure(a, a + length / 4) for a in (0, length / 4, length / 2, length * 0.75)
    ]
    together = sum(part["running"].sum() for part in parts)
    assert together == pytest.approx(whole["running"].sum(), abs=20)
    with pytest.raises(ValueError, match="stretch is empty"):
        timeline.measure(5, 5)
    ask(timeline, do="measure", t0=length / 2, t1=length / 4)
    assert timeline.stretch["columns"][:2] == ["task", "running"]
    assert len(timeline.stretch["rows"]) == whole.height and "from" in timeline.stretch["said"]
    ask(timeline, do="forget")
    assert timeline.stretch == {}


def test_an_event_is_found_by_kind_state_and_task() -> None:
    timeline = Timeline(RUN)
    events = RUN.events
    seen = []
    for _ in range(3):
        ask(timeline, do="find", text="BLOCK")
        seen.append(timeline.selected["row"])
    assert seen == sorted(set(seen))
    for row in seen:
        event = events.row(row, named=True)
        assert "block" in event["kind"] or event["new"] == "blocked"
    ask(timeline, do="find", text="block", back=True)
    assert timeline.selected["row"] == seen[1]
    name = RUN.tasks["name"][-1]
    timeline.find(name)
    tids = RUN.tasks.filter(pl.col("name") == name)["tid"].to_list()
    assert events["tid"][timeline.selected["row"]] in tids
    ask(timeline, do="find", text="teleport")
    assert timeline.problem == "No event of series 'umcg/model' has 'teleport' in it."
    ask(timeline, do="step", by=1)
    assert timeline.problem == ""


def test_lanes_are_pinned_to_the_top_in_order() -> None:
    timeline = Timeline(RUN)
    before = timeline.drawing["lanes"]
    ask(timeline, do="pin", lane=len(before) - 1)
    ask(timeline, do="pin", lane=2)
    assert timeline.drawing["lanes"][:2] == [before[-1], before[1]]
    assert sorted(timeline.drawing["lanes"]) == sorted(before)
    ask(timeline, do="pin", lane=0)
    assert timeline.pinned == [before[1]]
    timeline.pinned = []
    assert timeline.drawing["lanes"] == before


def test_the_trace_goes_to_the_page_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[Any, Any]] = []
    timeline = Timeline(RUN)
    monkeypatch.setattr(timeline, "send", lambda content, buffers: sent.append((content, buffers)))
    ask(timeline, do="perfetto")
    ((content, (trace,)),) = sent
    assert content == {"perfetto": RUN.experiment}
    assert trace == perfetto.to_bytes(RUN)


# What stays.


def test_the_saved_picture_is_an_output_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr(
        "labkit.panels.saved_picture.display", lambda bundle, **how: shown.append((bundle, how))
    )
    timeline = Timeline(two_series())
    timeline._ipython_display_()
    (widget, _), (picture_, how) = shown
    assert widget["application/vnd.jupyter.widget-view+json"]["model_id"] == timeline.model_id
    assert "text/html" not in widget and not widget["text/plain"]
    assert tree(picture_["image/svg+xml"]).tag == f"{SVG}svg"
    assert picture_["image/svg+xml"] in picture_["text/html"]
    assert f'data-labkit-static="{timeline.static_id}"' in picture_["text/html"]
    ask(timeline, do="series", series="futex/x")
    assert len(shown) == 3
    assert shown[2][1]["update"] and shown[2][1]["display_id"] == how["display_id"]
    assert "Timeline: futex/x" in shown[2][0]["image/svg+xml"]


def test_a_picture_that_is_not_shown_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr("labkit.panels.saved_picture.display", lambda *a, **k: shown.append(a))
    SavedPicture().update("<svg/>")
    assert not shown
