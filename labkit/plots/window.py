# SPDX-License-Identifier: MIT
"""What a timeline shows of a window of time: every state change, or shares when there are too many.

This is the zoom: a window of a million events is reduced to a few values a pixel, in less than the
time an eye notices, and says that it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import polars as pl

from labkit.analysis.requires import MissingEvents
from labkit.experiments.asked import baselines
from labkit.names import meant
from labkit.plots.style import duration
from labkit.records import KINDS, STATES, Record
from labkit.trace.loss import last_known
from labkit.trace.prefer_kernel import prefer_kernel_events
from labkit.trace.schema import STATE_KINDS

#: Where events of a task were lost.
NO_DATA = "no data"

#: Places of a task in order of their code; 0 is "not there".
PLACES = ("", "RUNNING", "IDLE", "IDLE on the list", "BLOCKED", NO_DATA)

#: More state changes than this in a window are shown as shares: a drawing is sent and saved whole,
#: and a hundred kilobytes are enough for every zoom.
MOST_SLICES = 600

#: More lanes than this are not drawn.
MOST_LANES = 48

#: What is on a CPU: a switch, or that nothing more is known of it.
_SWITCHES = (pl.col("kind") == "sched_switch") | ((pl.col("kind") == "lost") & (pl.col("tid") == 0))

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_KIND = {name: i for i, name in enumerate(KINDS)}
_LOST = _KIND["lost"]
_PLACE_CODES = np.array([*(_KIND[k] for k in STATE_KINDS), _LOST])
_LISTED_CODES = np.array([_KIND["wake"], _KIND["timeout"]])


def _spans(rows: list[tuple[int, int, int]]) -> pl.DataFrame:
    schema = {"lane": pl.Int32, "t0": pl.Int64, "t1": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


@dataclass
class Window:
    """What to draw of [t0, t1).

    Attributes:
        t0, t1: ns.
        lanes: tasks from top to bottom: `tid`, `name`, `role`.
        hidden: lanes left out because there are more than `MOST_LANES`.
        aggregated: True: `shares` and `busy` are filled; False: `slices`, `arrows`, `marks` and
            `on_cpu`.
        changes: state changes in the window.
        slices: `lane`, `t0`, `t1`, `place`, `flags`, `kind`, `cpu`, `peer`, `row` (in the event
            table; -1: the state began before the window).
        arrows: `lane_from`, `lane_to`, `t`, `kind`: which task made which RUNNING.
        marks: `lane`, `t`, `kind` (op or mark), `arg`, `row`.
        on_cpu: `cpu`, `t0`, `t1`, `tid`.
        no_data: `lane`, `t0`, `t1`: where events of the task were lost; always filled.
        dark: begin and end (ns) of where it is not known what is on the CPUs; None: all is known.
        edges: the bins' edges, ns, shape (bins + 1,).
        shares: share of each bin in each of `PLACES`, shape (lanes, bins, 6).
        busy: share of each bin that a CPU ran one of the tasks, shape (cpus, bins).
        cpus: CPU numbers of `busy` and `on_cpu`, ascending.
    """

    t0: int
    t1: int
    lanes: pl.DataFrame
    hidden: int
    aggregated: bool
    changes: int
    slices: pl.DataFrame = field(default_factory=pl.DataFrame)
    arrows: pl.DataFrame = field(default_factory=pl.DataFrame)
    marks: pl.DataFrame = field(default_factory=pl.DataFrame)
    on_cpu: pl.DataFrame = field(default_factory=pl.DataFrame)
    no_data: pl.DataFrame = field(default_factory=lambda: _spans([]))
    dark: tuple[int, int] | None = None
    edges: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    shares: Floats = field(default_factory=lambda: np.zeros((0, 0, len(PLACES))))
    busy: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    cpus: tuple[int, ...] = ()

    @property
    def notice(self) -> str:
        """What the drawing must say about itself."""
        said = []
        if self.aggregated:
            width = duration((self.t1 - self.t0) / max(1, len(self.edges) - 1))
            said.append(f"Aggregated: {self.changes:,} state changes as shares of {width} each")
        else:
            said.append(f"Every one of {self.changes:,} state changes is drawn")
        if self.no_data.height:
            said.append("Hatched: no data, as events were lost")
        if self.hidden:
            said.append(f"{self.hidden} more tasks are not drawn")
        return ". ".join(said)


def series_of(record: Record) -> list[str]:
    """The run's series that have state changes: UMCG's, then baselines in order of preference."""
    changing = record.events.filter(pl.col("kind").is_in(STATE_KINDS))["tid"].unique()
    names = record.tasks.filter(pl.col("tid").is_in(changing.implode()))["series"].unique()
    heads = {name: name.partition("/")[0] for name in names}
    rank = {head: i for i, head in enumerate(baselines(record.experiment))}
    return sorted(names, key=lambda name: (rank.get(heads[name], -1), name))


def pick_series(record: Record, series: str | None) -> tuple[str, pl.DataFrame, pl.DataFrame]:
    """Name, tasks and events of one of `series_of(record)`; None: the first.

    Raises:
        MissingEvents: the run has no state changes, or none of this series.
    """
    known = series_of(record)
    if not known or (series is not None and series not in known):
        raise MissingEvents(
            f"no state changes of series {series!r}{meant(series, known)}; the run has "
            f"{', '.join(known) or 'none'}"
        )
    name = series if series is not None else known[0]
    tasks = record.tasks.filter(pl.col("series") == name)
    return name, tasks, record.events.filter(pl.col("tid").is_in(tasks["tid"].implode()))


def order_lanes(tasks: pl.DataFrame, first: Sequence[str] = ()) -> pl.DataFrame:
    """Tasks from top to bottom: the named ones, servers, basic tasks, workers, threads, by tid."""
    rank = {"server": 0, "basic": 1, "worker": 2, "thread": 3}
    places = {name: place for place, name in enumerate(first)}
    named = pl.col("name").replace_strict(places, default=len(places), return_dtype=pl.Int32)
    order = pl.col("role").cast(pl.String).replace_strict(rank, return_dtype=pl.Int8)
    return tasks.select("tid", "name", "role").unique("tid", keep="last").sort(named, order, "tid")


def timeline_window(
    events: pl.DataFrame,
    tasks: pl.DataFrame,
    t0: int,
    t1: int,
    pixels: int = 1000,
    most: int = MOST_SLICES,
    first: Sequence[str] = (),
) -> Window:
    """What to draw of the tasks' events in [t0, t1) on so many pixels.

    Args:
        events: an event table; rows of tasks that are not in `tasks` are not drawn.
        tasks: a task table: the lanes.
        t0: begin, ns.
        t1: end, ns.
        pixels: width of the drawing; no bin is narrower than a pixel.
        most: more state changes than this are shown as shares.
        first: names of tasks whose lanes are on top, in this order.

    Raises:
        ValueError: the window is empty or `pixels` is not positive.
    """
    if t1 <= t0:
        raise ValueError(f"the window from {t0} to {t1} ns is empty; t1 must be after t0")
    if pixels < 1:
        raise ValueError(f"pixels is {pixels}; give at least 1")
    lanes = order_lanes(tasks, first)
    hidden = max(0, lanes.height - MOST_LANES)
    lanes = lanes.head(MOST_LANES)
    events = prefer_kernel_events(events)
    # Nothing is known of any task after the last event.
    ours = events.filter(pl.col("tid").is_in(tasks["tid"].implode()))
    until = min(t1, max(t0, last_known(ours) + 1))
    times = events["t"].to_numpy()
    begin, end = (int(i) for i in np.searchsorted(times, [t0, t1]))
    now = _Rows(events, lanes["tid"].to_numpy(), begin, end)
    before = _last_before(events, lanes["tid"].to_numpy(), begin)
    if len(now.t) > most:
        # A bin of two pixels or more keeps the picture small without being seen.
        bins = max(1, min(pixels // 2, 600))
        return _aggregate(events, lanes, hidden, t0, t1, until, bins, before, now)
    return _exact(events, lanes, hidden, t0, t1, until, begin, end, before, now)


class _Rows:
    """State-changing rows of the lanes among `events[begin:end]`, as arrays."""

    def __init__(self, events: pl.DataFrame, tids: Ints, begin: int, end: int) -> None:
        part = events.slice(begin, end - begin)
        kind = part["kind"].to_physical().to_numpy()
        # Lookup tables: one pass of fancy indexing instead of comparisons by name.
        changes = np.zeros(len(KINDS), bool)
        changes[_PLACE_CODES] = True
        order = np.argsort(tids)
        tid = part["tid"].to_numpy()
        at = np.clip(np.searchsorted(tids[order], tid), 0, max(0, len(tids) - 1))
        known = tids[order][at] == tid if len(tids) else np.zeros(len(tid), bool)
        keep = np.flatnonzero(changes[kind] & known)
        self.row = keep + begin
        self.lane = order[at[keep]].astype(np.int16) if len(tids) else np.zeros(0, np.int16)
        self.t = part["t"].to_numpy()[keep]
        self.cpu = part["cpu"].to_numpy()[keep]
        self.place = place_codes(part["new"].to_physical().to_numpy()[keep], kind[keep])
        self.changes = int(np.count_nonzero(kind[keep] != _LOST))


def place_codes(state: npt.NDArray[np.uint8], kind: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """The index in `PLACES` of states (index in STATES) entered by kinds (index in KINDS)."""
    table = np.zeros((len(STATES), len(KINDS)), np.int8)
    table[STATES.index("running")] = PLACES.index("RUNNING")
    table[STATES.index("idle")] = PLACES.index("IDLE")
    table[STATES.index("idle"), _LISTED_CODES] = PLACES.index("IDLE on the list")
    table[STATES.index("blocked")] = PLACES.index("BLOCKED")
    table[:, _LOST] = PLACES.index(NO_DATA)
    return table[state, kind]


def _last_before(events: pl.DataFrame, tids: Ints, begin: int) -> dict[int, int]:
    """Row of the last state change before `begin` by lane, searching back in growing steps."""
    found: dict[int, int] = {}
    step, end = 20_000, begin
    while end > 0 and len(found) < len(tids):
        start = max(0, end - step)
        rows = _Rows(events, tids, start, end)
        lanes, last = np.unique(rows.lane[::-1], return_index=True)
        for lane, i in zip(lanes, last, strict=True):
            found.setdefault(int(lane), int(rows.row[::-1][i]))
        end, step = start, step * 4
    return found


def _exact(
    events: pl.DataFrame,
    lanes: pl.DataFrame,
    hidden: int,
    t0: int,
    t1: int,
    until: int,
    begin: int,
    end: int,
    before: dict[int, int],
    now: _Rows,
) -> Window:
    rows = np.concatenate([np.array(sorted(before.values()), np.int64), now.row])
    lane_of = dict(zip(lanes["tid"].to_list(), range(lanes.height), strict=True))
    lane = pl.col("tid").replace_strict(lane_of, default=None, return_dtype=pl.Int32)
    picked = events[rows].with_columns(row=pl.Series(rows, dtype=pl.Int64), lane=lane)
    codes = place_codes(
        picked["new"].to_physical().to_numpy(), picked["kind"].to_physical().to_numpy()
    )
    spans = (
        picked.with_columns(place=pl.Series([PLACES[c] for c in codes], dtype=pl.String))
        .sort("lane", "row")
        .with_columns(until=pl.col("t").shift(-1).over("lane").fill_null(until))
        .with_columns(start=pl.col("t").clip(t0))
        .filter((pl.col("place") != "") & (pl.col("until") > pl.col("start")))
    )
    lost = pl.col("place") == NO_DATA
    slices = spans.filter(~lost).select(
        "lane",
        pl.col("start").alias("t0"),
        pl.col("until").alias("t1"),
        "place",
        "flags",
        "kind",
        "cpu",
        "peer",
        pl.when(pl.col("t") >= t0).then("row").otherwise(-1).alias("row"),
    )
    part = events.slice(begin, end - begin).with_columns(
        row=pl.int_range(begin, end, dtype=pl.Int64),
        lane=lane,
        lane_from=pl.col("peer").replace_strict(lane_of, default=None, return_dtype=pl.Int32),
    )
    arrows = part.filter(
        pl.col("kind").is_in(STATE_KINDS)
        & (pl.col("new") == "running")
        & (pl.col("old") != "running")
    ).select("lane_from", pl.col("lane").alias("lane_to"), "t", "kind")
    marks = part.filter(pl.col("kind").is_in(["op", "mark"])).select(
        "lane", "t", "kind", "arg", "row"
    )
    on_cpu = _on_cpu(events, lanes, t0, until, begin, end, slices)
    no_data = spans.filter(lost).select("lane", t0="start", t1="until")
    return Window(
        t0,
        t1,
        lanes,
        hidden,
        aggregated=False,
        changes=now.changes,
        no_data=no_data,
        dark=_dark(events.slice(begin, end - begin), no_data, until),
        slices=slices,
        arrows=arrows.drop_nulls(),
        marks=marks.drop_nulls("lane"),
        on_cpu=on_cpu,
        cpus=tuple(sorted(on_cpu["cpu"].unique())),
    )


def _on_cpu(
    events: pl.DataFrame,
    lanes: pl.DataFrame,
    t0: int,
    t1: int,
    begin: int,
    end: int,
    slices: pl.DataFrame,
) -> pl.DataFrame:
    """What is on which CPU: by `sched_switch`, or where a task became RUNNING."""
    switches = events.slice(begin, end - begin).filter(_SWITCHES)
    if switches.is_empty():
        running = slices.filter((pl.col("place") == "RUNNING") & (pl.col("cpu") >= 0))
        tids = lanes["tid"].gather(running["lane"])
        return running.with_columns(tids.alias("tid")).select("cpu", "t0", "t1", "tid")
    # Whoever leaves first in the window was there when it began.
    first = switches.unique("cpu", keep="first").select(
        "cpu", t0=pl.lit(t0, dtype=pl.Int64), tid="peer"
    )
    rest = switches.select("cpu", t0="t", tid="tid")
    return (
        pl.concat([first, rest])
        .sort("cpu", "t0", maintain_order=True)
        .with_columns(t1=pl.col("t0").shift(-1).over("cpu").fill_null(t1))
        .filter(pl.col("tid").is_in(lanes["tid"].implode()) & (pl.col("t1") > pl.col("t0")))
        .select("cpu", "t0", "t1", "tid")
    )


def _aggregate(
    events: pl.DataFrame,
    lanes: pl.DataFrame,
    hidden: int,
    t0: int,
    t1: int,
    until: int,
    bins: int,
    before: dict[int, int],
    now: _Rows,
) -> Window:
    edges = np.linspace(t0, t1, bins + 1).astype(np.int64)
    order = np.argsort(now.lane, kind="stable")
    lane, t, place = now.lane[order], now.t[order], now.place[order]
    starts = np.searchsorted(lane, np.arange(lanes.height + 1))
    tids = lanes["tid"].to_numpy()
    no_data: list[tuple[int, int, int]] = []
    shares = np.zeros((lanes.height, bins, len(PLACES)))
    for i in range(lanes.height):
        part = slice(int(starts[i]), int(starts[i + 1]))
        first = 0
        if i in before:
            first = int(_Rows(events, tids, before[i], before[i] + 1).place[0])
        # After the last event of all there is none.
        at, what = np.append(t[part], until), np.append(place[part], np.int8(0))
        shares[i] = _shares(at, what, first, edges, range(len(PLACES)))
        if NO_DATA in (PLACES[code] for code in (first, *set(what.tolist()))):
            no_data += [(i, *span) for span in _lost(np.append(t0, at), np.append(first, what))]
    begin, end = (int(i) for i in np.searchsorted(events["t"].to_numpy(), [t0, t1]))
    mine, lost = events.slice(begin, end - begin), _spans(no_data)
    dark = _dark(mine, lost, until)
    cpus, busy = _busy(mine, lanes, edges, dark[0] if dark else until, now)
    return Window(
        t0,
        t1,
        lanes,
        hidden,
        aggregated=True,
        changes=now.changes,
        no_data=lost,
        dark=dark,
        edges=edges,
        shares=shares,
        busy=busy,
        cpus=cpus,
    )


def _lost(t: Ints, place: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """From when until when a lane is in `NO_DATA`, of its changes in order; the last ends it."""
    gone = np.flatnonzero(place[:-1] == PLACES.index(NO_DATA))
    return [(int(t[i]), int(t[i + 1])) for i in gone if t[i + 1] > t[i]]


def _shares(
    t: Ints, place: npt.NDArray[np.int8], first: int, edges: Ints, codes: Sequence[int]
) -> Floats:
    """Share of each bin in places `codes`, of one lane that begins in place `first`."""
    at = np.concatenate([edges[:1], t])
    what = np.concatenate([np.array([first], np.int8), place])
    lasts = np.diff(np.concatenate([at, edges[-1:]]))
    index = np.searchsorted(at, edges, side="right") - 1
    width = np.diff(edges)
    out = np.zeros((len(width), len(codes)))
    for column, code in enumerate(codes):
        mine = what == code
        # Time spent in this place until each change, then until each edge.
        until = np.concatenate([[0], np.cumsum(lasts * mine)])[:-1]
        reached = until[index] + (edges - at[index]) * mine[index]
        out[:, column] = np.diff(reached) / width
    return out


def _dark(part: pl.DataFrame, no_data: pl.DataFrame, until: int) -> tuple[int, int] | None:
    """From when until when it is not known what is on the CPUs.

    A CPU's events were lost or, where no switches were recorded, a task's. `part`: the window's
    events.
    """
    if part.filter(pl.col("kind") == "sched_switch").is_empty():
        since = no_data["t0"].to_list()
    else:
        since = part.filter((pl.col("kind") == "lost") & (pl.col("tid") == 0))["t"].to_list()
    return (min(since), until) if since and min(since) < until else None


def _busy(
    part: pl.DataFrame, lanes: pl.DataFrame, edges: Ints, until: int, now: _Rows
) -> tuple[tuple[int, ...], Floats]:
    """Share of each bin that each CPU ran one of the lanes' tasks, known until `until`.

    From `sched_switch` where it was recorded. Else from RUNNING tasks, which can only be an
    estimate: the last task that became RUNNING on a CPU decides.
    """
    switches = part.filter(pl.col("kind") == "sched_switch")
    if switches.height:
        cpu, t = switches["cpu"].to_numpy(), switches["t"].to_numpy()
        ours = np.isin(switches["tid"].to_numpy(), lanes["tid"].to_numpy())
    else:
        # A task that stops RUNNING frees its CPU; the next change on that CPU tells.
        known = now.cpu >= 0
        cpu, t = now.cpu[known], now.t[known]
        ours = now.place[known] == PLACES.index("RUNNING")
    numbers = tuple(int(c) for c in np.unique(cpu))
    busy = np.zeros((len(numbers), len(edges) - 1))
    for i, number in enumerate(numbers):
        mine = (cpu == number) & (t < until)
        at, what = np.append(t[mine], until), np.append(ours[mine].astype(np.int8), np.int8(0))
        busy[i] = _shares(at, what, 0, edges, (1,))[:, 0]
    return numbers, busy
