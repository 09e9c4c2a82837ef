# SPDX-License-Identifier: MIT
"""What a drawing of a window says and shows: words, arrows, and lanes of shares as pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.model.states import LOCKED, PREEMPTED
from labkit.plots.style import PLACE_COLOURS, duration
from labkit.plots.window import NO_DATA, PLACES, Floats, Window

#: Rows of pixels of a lane in an aggregated timeline, the resolution of its shares, and with the
#: gap between lanes.
DEPTH = 12
PITCH = DEPTH + 2

#: More arrows or marks than this hide what they should explain.
MOST_ARROWS = 300
MOST_MARKS = 600

#: Colours of the tasks in the strip of CPUs.
CPU_COLOURS = (
    "#3E6D8E", "#8AA9BD", "#5E8C7B", "#A9B97C", "#7A6A93", "#B79DB8", "#8F7A5E", "#C0AE93",
)  # fmt: skip

#: Ink of hatches, arrows and marks.
INK = "#1d2733"

#: Places in the order of `share_percent`: the coloured ones, then where nothing is known.
SHARED = (*PLACE_COLOURS, NO_DATA)

#: Hatches over a state's colour: name, shape, bit of `flags`; LOCKED hides PREEMPTED.
HATCHES = (("LOCKED", "x", LOCKED), ("PREEMPTED", "/", PREEMPTED))


class Arrow(NamedTuple):
    """One kind of arrow: which events, and looks that differ in more than colour (SVG's dashes)."""

    name: str
    colour: str
    dash: str
    rows: pl.DataFrame


_LOOKS = {
    "run": (INK, "none"),
    "swap": ("#7B2D8B", "7 3"),
    "wake": ("#9A6A00", "7 3 1.5 3"),
    "place given back": (INK, "1.5 3"),
}


def arrows(window: Window) -> list[Arrow]:
    """The window's arrows by kind, without kinds that do not occur."""
    kind = pl.col("kind").cast(pl.String)
    named = window.arrows.with_columns(
        name=pl.when(kind.is_in(list(_LOOKS))).then(kind).otherwise(pl.lit("place given back"))
    )
    groups = [
        Arrow(name, *looks, named.filter(pl.col("name") == name)) for name, looks in _LOOKS.items()
    ]
    return [group for group in groups if group.rows.height]


def unit_of(span: int) -> tuple[str, float]:
    """The unit for times up to `span` ns and its size in ns."""
    if span >= 3_000_000_000:
        return "s", 1e9
    return ("ms", 1e6) if span >= 3_000_000 else ("µs", 1e3)


def flag_words(flags: int) -> str:
    """` LOCKED|PREEMPTED` as far as set, with a leading blank."""
    words = [w for bit, w in ((LOCKED, "LOCKED"), (PREEMPTED, "PREEMPTED")) if flags & bit]
    return (" " + "|".join(words)) if words else ""


def slice_words(window: Window) -> list[str]:
    """What to say of each of `window.slices`."""
    names = dict(window.lanes.select("tid", "name").iter_rows())
    lane_names = window.lanes["name"].to_list()
    columns = ("lane", "t0", "t1", "place", "flags", "kind", "cpu", "peer", "row")
    return [
        f"{lane_names[lane]}: {place}{flag_words(flags)} for {duration(t1 - t0)}, by {kind}"
        + (f", {names.get(peer, peer)}" if peer else "")
        + (f", CPU {cpu}" if cpu >= 0 else "")
        + (f", event {row}" if row >= 0 else ", began before this window")
        for lane, t0, t1, place, flags, kind, cpu, peer, row in window.slices.select(
            columns
        ).iter_rows()
    ]


def no_data_words(window: Window) -> list[str]:
    """What to say of each of `window.no_data`."""
    names = window.lanes["name"].to_list()
    return [
        f"{names[lane]}: no data for {duration(t1 - t0)}, as events were lost"
        for lane, t0, t1 in window.no_data.iter_rows()
    ]


def share_pixels(shares: Floats) -> npt.NDArray[np.int8]:
    """Every lane as a small picture: each bin's column is filled by the shares of the places.

    Returns:
        Index in `PLACE_COLOURS`, -1 for nothing, shape (lanes * `PITCH`, bins). The first place
        is on top of its lane; the outer rows of a lane stay empty.
    """
    lanes, bins, _ = shares.shape
    order = [PLACES.index(p) for p in PLACE_COLOURS]
    filled = np.cumsum(shares[:, :, order], axis=2)
    depth = (np.arange(DEPTH) + 0.5) / DEPTH
    picture = np.full((lanes, PITCH, bins), -1, np.int8)
    inner = picture[:, 1:-1]
    for code in reversed(range(len(order))):
        inner[depth[None, :, None] < filled[:, None, :, code]] = code
    return picture.reshape(-1, bins)


def share_percent(shares: Floats) -> npt.NDArray[np.uint8]:
    """Percent of each of `SHARED`, shape (lanes, bins, places)."""
    order = [PLACES.index(p) for p in SHARED]
    return np.round(shares[:, :, order] * 100).astype(np.uint8)
