# SPDX-License-Identifier: MIT
"""The timeline one can walk about in: zoom, pan, step from event to event, see the table's rows.

Python draws (`labkit.plots.timeline`), so that what is saved is what was seen, and a trace of a
million events costs the page no more than one of a thousand. The page's part (`timeline_widget.js`)
asks for one window at a time and moves the old drawing until the new one comes.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import polars as pl
import traitlets

from labkit.panels.saved_picture import SavedPicture
from labkit.panels.script import script
from labkit.plots.style import caption, duration
from labkit.plots.timeline import picture
from labkit.plots.timeline_parts import MOST_ARROWS, SHARED, flag_words, share_percent, unit_of
from labkit.plots.window import (
    NO_DATA,
    PLACES,
    Window,
    pick_series,
    series_of,
    timeline_window,
)
from labkit.records import Record
from labkit.trace import perfetto_page
from labkit.trace.loss import last_known
from labkit.trace.prefer_kernel import prefer_kernel_events

_HERE = Path(__file__).parent

#: Nothing is to be seen in less, ns.
_SHORTEST = 20

#: Rows of the event table shown before and after the chosen one.
_AROUND = 3

#: What a stretch of the timeline is split into, and what a table calls it.
_PLACES = {
    "RUNNING": "running",
    "IDLE on the list": "listed",
    "IDLE": "idle",
    "BLOCKED": "blocked",
    NO_DATA: "no_data",
}

_WIDEST, _NARROWEST = 4000, 300


class Timeline(anywidget.AnyWidget):
    """The timeline of a run. All times that the page sees are ns since the series began.

    Attributes:
        series: which of the run's traced series is drawn; setting it draws the whole of it, and
            raises `MissingEvents` for one that the run does not have.
        selected: the chosen event: `row` of the (folded) event table and `t`; empty: none.
        window: begin and end of what is drawn, ns since the series began.
        pinned: names of the tasks whose lanes are on top, in this order; setting it moves them.
    """

    _esm = script(perfetto_page.SCRIPT, _HERE / "timeline_widget.js")
    _css = _HERE / "timeline_widget.css"

    drawing = traitlets.Dict().tag(sync=True)
    shares = traitlets.Bytes().tag(sync=True)
    all_series: traitlets.List[str] = traitlets.List().tag(sync=True)
    series = traitlets.Unicode().tag(sync=True)
    selected = traitlets.Dict().tag(sync=True)
    table = traitlets.Dict().tag(sync=True)
    caption = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
    static_id = traitlets.Unicode().tag(sync=True)
    stretch = traitlets.Dict().tag(sync=True)
    pinned: traitlets.List[str] = traitlets.List()

    def __init__(self, record: Record | None = None, series: str | None = None) -> None:
        """Draw `record`, or nothing yet.

        Raises:
            MissingEvents: the run has no state changes, or none of this series.
        """
        super().__init__()
        self.add_class("labkit-timeline")
        self._lock = threading.RLock()
        self._record: Record | None = None
        self._drawn = ""
        self._pixels = 1000
        self._asked = 0
        self._nr_shown = 0
        self._static = SavedPicture()
        self.static_id = self._static.name
        self.on_msg(self._on_message)
        if record is not None:
            self.show(record, series)

    def show(self, record: Record, series: str | None = None) -> None:
        """Draw another run.

        Raises:
            MissingEvents: the run has no state changes, or none of this series; nothing changes.
        """
        with self._lock:
            pick_series(record, series)
            folded = Record(**(record.__dict__ | {"events": prefer_kernel_events(record.events)}))
            with self.hold_sync():
                self._record = folded
                self._nr_shown += 1
                self.all_series = series_of(folded)
                self.caption = caption(record)
                self._choose(series)

    def clear(self) -> None:
        """Draw nothing."""
        with self._lock, self.hold_sync():
            self._record = None
            self.all_series, self.caption, self.problem = [], "", ""
            self._drawn = self.series = ""
            self.drawing, self.shares, self.selected, self.table = {}, b"", {}, {}
            self.stretch = {}

    @property
    def window(self) -> tuple[int, int]:
        """Begin and end of what is drawn, ns since the series began; (0, 0): nothing is."""
        return self.drawing.get("t0", 0), self.drawing.get("t1", 0)

    def zoom(self, t0: float | None = None, t1: float | None = None) -> None:
        """Draw from `t0` to `t1`, ns since the series began; None: its begin, its end."""
        with self._lock:
            if self._record is None:
                return
            a = 0.0 if t0 is None else float(t0)
            b = float(self._length) if t1 is None else float(t1)
            a, b = min(a, b), max(a, b)
            span = min(max(b - a, _SHORTEST), self._length)
            # Too little is widened about its middle, and nothing is drawn beyond the ends.
            begin = min(max((a + b - span) / 2, 0), self._length - span)
            self._window = round(begin), round(begin + span)
            self._draw()

    def select(self, row: int | None) -> None:
        """Choose the event of this row of the table; None: none."""
        with self._lock, self.hold_sync():
            if self._record is None:
                return
            if row is None:
                self.selected, self.table = {}, {}
                return
            at = int(np.searchsorted(self._rows, row))
            if at >= len(self._rows) or self._rows[at] != row:
                raise ValueError(f"row {row} is no event of series {self.series!r}")
            t = int(self._times[at]) - self._origin
            self.selected = {"row": int(row), "t": t}
            self.table = self._around(at)
            a, b = self._window
            if not a <= t <= b:
                self.zoom(t - (b - a) / 2, t + (b - a) / 2)

    def step(self, by: int) -> None:
        """Choose the event that is `by` further; without a chosen one, the first that is drawn."""
        with self._lock:
            if self._record is None:
                return
            if self.selected:
                at = int(np.searchsorted(self._rows, self.selected["row"])) + by
            else:
                at = int(np.searchsorted(self._times, self._window[0] + self._origin))
            self.select(int(self._rows[min(max(at, 0), len(self._rows) - 1)]))

    def measure(self, t0: float, t1: float) -> pl.DataFrame:
        """How long each task was in which state from `t0` to `t1`, ns since the series began.

        Returns:
            Rows `task`, and in ns `running`, `listed` (on the idle list), `idle`, `blocked`,
            `no_data` (events were lost); what is left of the stretch it was not there.

        Raises:
            ValueError: there is no run, or the stretch is empty.
        """
        with self._lock:
            a, b = (round(min(max(t, 0), self._length)) for t in sorted((t0, t1)))
            if self._record is None or a == b:
                raise ValueError("the stretch is empty: give two times within the series")
            ends = self._origin + a, self._origin + b
            seen = timeline_window(self._record.events, self._tasks, *ends, 2, -1, self.pinned)
            spent = {
                name: np.round(seen.shares[:, 0, PLACES.index(place)] * (b - a)).astype(np.int64)
                for place, name in _PLACES.items()
            }
            return pl.DataFrame({"task": seen.lanes["name"], **spent})

    def find(self, text: str, *, back: bool = False) -> None:
        """Choose the next event whose kind, new state or task's name has `text` in it.

        Args:
            text: what to look for; capitals make no difference.
            back: the one before.

        Raises:
            ValueError: there is none.
        """
        with self._lock:
            if self._record is None:
                return
            wanted = text.strip().lower()
            events = self._record.events[self._rows]
            names = self._tasks.filter(
                pl.col("name").str.to_lowercase().str.contains(wanted, literal=True)
            )["tid"]
            found = events.select(
                pl.col("tid").is_in(names.implode())
                | pl.col("kind").cast(pl.String).str.contains(wanted, literal=True)
                | pl.col("new").cast(pl.String).str.contains(wanted, literal=True)
            ).to_series()
            rows = self._rows[found.to_numpy()]
            if not wanted or not len(rows):
                raise ValueError(f"no event of series {self.series!r} has {text!r} in it")
            # From the chosen event on, or from the begin of what is drawn; then round again.
            here = int(np.searchsorted(self._times, self._window[0] + self._origin))
            now = self.selected.get("row", int(self._rows[min(here, len(self._rows) - 1)]) - 1)
            at = (
                np.searchsorted(rows, now, "left") - 1
                if back
                else np.searchsorted(rows, now, "right")
            )
            self.select(int(rows[at % len(rows)]))

    def svg(self, width: int = 1000) -> str:
        """The drawing of now with its words, to be looked at without a page; empty: no run."""
        with self._lock:
            if self._record is None:
                return ""
            title = f"Timeline: {self.series}"
            return picture(self._seen(width), self._origin, width, title, self.caption).svg

    @traitlets.validate("series")
    def _known_series(self, proposal: dict[str, Any]) -> str:
        name = str(proposal["value"])
        if self._record is not None:
            pick_series(self._record, name)
        return name

    @traitlets.observe("series")
    def _on_series(self, change: dict[str, Any]) -> None:
        with self._lock, self.hold_sync():
            if self._record is not None and change["new"] != self._drawn:
                self._choose(change["new"])

    @traitlets.observe("pinned")
    def _on_pinned(self, _: Any) -> None:
        with self._lock, self.hold_sync():
            if self._record is not None:
                self._draw()

    def _measured(self, t0: float, t1: float) -> dict[str, Any]:
        """A stretch as words, for the page."""
        table = self.measure(t0, t1)
        a, b = sorted((t0, t1))
        names = [name for name in _PLACES.values() if table[name].sum()]
        rows = [
            [
                row["task"],
                *(f"{duration(row[n])} ({row[n] / (b - a):.0%})" if row[n] else "" for n in names),
            ]
            for row in table.iter_rows(named=True)
        ]
        said = f"{duration(b - a)}, from {duration(a)} to {duration(b)}"
        heads = [name.replace("_", " ").replace("listed", "on the list") for name in names]
        return {"t0": a, "t1": b, "said": said, "columns": ["task", *heads], "rows": rows}

    def _pin(self, lane: int) -> None:
        """Put a lane on top, or back to its place."""
        name = self.drawing["lanes"][lane]
        self.pinned = [one for one in self.pinned if one != name] + (
            [] if name in self.pinned else [name]
        )

    def _choose(self, series: str | None) -> None:
        assert self._record is not None
        name, self._tasks, events = pick_series(self._record, series)
        tids = self._tasks["tid"].to_numpy()
        self._rows = np.flatnonzero(np.isin(self._record.events["tid"].to_numpy(), tids))
        self._times = events["t"].to_numpy()
        self._origin = int(self._times[0])
        self._length = max(last_known(events) + 1 - self._origin, _SHORTEST)
        self.problem = ""
        self.selected, self.table, self.stretch = {}, {}, {}
        self._drawn = self.series = name
        self.zoom()
        if self._static.shown:
            self._static.update(self.svg())

    def _seen(self, width: int) -> Window:
        assert self._record is not None
        a, b = (self._origin + t for t in self._window)
        return timeline_window(self._record.events, self._tasks, a, b, width, first=self.pinned)

    def _draw(self) -> None:
        window = self._seen(self._pixels)
        drawn = picture(window, self._origin, self._pixels)
        unit, size = unit_of(window.t1 - self._origin)
        left_out = window.aggregated or window.arrows.height > MOST_ARROWS
        more = "; zoom in to see every one" if left_out else ""
        with self.hold_sync():
            self.shares = share_percent(window.shares).tobytes() if window.aggregated else b""
            self.drawing = {
                "svg": drawn.svg,
                "t0": self._window[0],
                "t1": self._window[1],
                "length": self._length,
                "left": drawn.left,
                "right": drawn.right,
                "width": drawn.width,
                "head": drawn.head,
                "top": drawn.top,
                "lane": drawn.lane,
                "lanes": window.lanes["name"].to_list(),
                "places": list(SHARED),
                "bins": max(0, len(window.edges) - 1),
                "unit": unit,
                "size": size,
                "notice": f"{window.notice}{more}.",
                "asked": self._asked,
                "key": f"{self._nr_shown} {self.series}",
            }

    def _around(self, at: int) -> dict[str, Any]:
        """Rows of the event table about the `at`-th of the series, as words."""
        assert self._record is not None
        rows = self._rows[max(0, at - _AROUND) : at + _AROUND + 1]
        names = dict(self._tasks.select("tid", "name").iter_rows())
        unit, size = unit_of(self._length)
        cells = [
            [
                str(row),
                f"{(e['t'] - self._origin) / size:,.3f}",
                names.get(e["tid"], str(e["tid"])),
                str(e["cpu"]) if e["cpu"] >= 0 else "?",
                e["kind"],
                f"{e['old']} → {e['new']}" if (e["old"], e["new"]) != ("none", "none") else "",
                flag_words(e["flags"]).strip(),
                names.get(e["peer"], str(e["peer"])) if e["peer"] else "",
                f"{e['arg']:,}",
            ]
            for row, e in zip(rows, self._record.events[rows].iter_rows(named=True), strict=True)
        ]
        head = ["event", f"t ({unit})", "task", "CPU", "kind", "state", "flags", "peer", "arg"]
        return {"columns": head, "rows": cells, "at": at - max(0, at - _AROUND)}

    def _on_message(self, _: Any, message: dict[str, Any], __: Any) -> None:
        """What the page asks. What goes wrong is told there: a kernel's log is not seen."""
        with self._lock, self.hold_sync():
            if self._record is None:
                return
            self.problem = ""
            try:
                self._do(message)
            except ValueError as error:
                self.problem = f"{str(error)[:1].upper()}{str(error)[1:]}."
            except Exception as error:
                self.problem = f"{type(error).__name__}: {error}"

    def _do(self, message: dict[str, Any]) -> None:
        do = message.get("do")
        if do == "window":
            self._asked = int(message["asked"])
            self._pixels = min(max(int(message["pixels"]), _NARROWEST), _WIDEST)
            self.zoom(message["t0"], message["t1"])
        elif do == "select":
            self.select(message.get("row"))
        elif do == "step":
            self.step(int(message["by"]))
        elif do == "series":
            self._choose(str(message["series"]))
        elif do == "measure":
            self.stretch = self._measured(float(message["t0"]), float(message["t1"]))
        elif do == "forget":
            self.stretch = {}
        elif do == "find":
            self.find(str(message["text"]), back=bool(message.get("back")))
        elif do == "pin":
            self._pin(int(message["lane"]))
        elif do == "perfetto":
            from labkit.trace import perfetto

            assert self._record is not None
            name = self._record.experiment
            self.send({"perfetto": name}, buffers=[perfetto.to_bytes(self._record)])

    def _ipython_display_(self) -> None:
        self._static.update(self.svg())
        self._static.display(self._repr_mimebundle_())
