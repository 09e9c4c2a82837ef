# SPDX-License-Identifier: MIT
"""Tracepoints out of text: ftrace's `trace`, `trace-cmd report`, `perf script`, systrace.

All of them print an event as `TASK-PID [CPU] FLAGS SECONDS: EVENT: FIELDS`, with differences that
one expression knows; the fields come as `name=value` or in the short form of trace-cmd's plugins.
Nothing is passed over: what is neither an event nor a remark that these tools print is counted,
and the first of it is kept.

Source of the forms: Documentation/trace/ftrace.rst of Linux, trace-cmd-report(1),
perf-script(1), and what these programs print.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl

from labkit.trace import tracepoints
from labkit.trace.errors import ClockMismatch
from labkit.trace.tracepoints import KernelTrace

#: `TASK-PID (TGID) [CPU] FLAGS S.FRACTION: EVENT: FIELDS`. perf has blanks before the PID and names
#: the group of the event; in the latency format the CPU stands before the flags, without brackets.
_EVENT = (
    r"^\s*(?P<task>.+?)[-\s]\s*(?P<pid>\d+)(?:/(?P<thread>\d+))?\s+(?:\(\s*[-\d]+\)\s+)?"
    r"(?:\[(?P<cpu>\d+)\]|(?P<bare_cpu>\d+)[A-Za-z.\#][\w.\#]*)\s+(?:[A-Za-z.\#][\w.\#]{2,}\s+)?"
    r"(?P<s>\d+)\.(?P<fraction>\d+):\s+(?:\d+\s+)?(?:[\w-]+:)?(?P<event>\w+):\s*(?P<fields>.*)$"
)

#: Remarks of the tools: comments, `cpus=2`, `version = 6`, `CPU 1 is empty`; perf's call chains.
_REMARK = (
    r"^\s*$|^\s*#|^\s*cpus=\d+\s*$|^\s*version = |^CPU\s?\d+ is empty|^TRACE:"
    r"|^\s+[0-9a-f]+ .*\(.*\)\s*$"
)

#: The first line that a tool prints.
_HEAD = r"^cpus=\d+\s*$|^# tracer:"

#: `[LOST 7 EVENTS]` of ftrace, `[7 EVENTS DROPPED]` of trace-cmd.
_LOST = (
    r"^\s*(?:CPU:(?P<cpu>\d+) )?"
    r"\[(?:LOST (?P<ftrace>\d+) EVENTS|(?:(?P<trace_cmd>\d+) )?EVENTS DROPPED)\]"
)

#: `entries-in-buffer/entries-written: 205/3000`
_WRITTEN = r"entries-in-buffer/entries-written:\s*(\d+)/(\d+)"

#: Of each tracepoint: the forms its fields are printed in, the commonest first.
_TASK = r"^(?P<comm>.*):(?P<pid>\d+) \[-?\d+\]"
_PAIRS = r"^comm=(?P<comm>.*) pid=(?P<pid>\d+) prio=\S+"
_WAKE = (
    _PAIRS + r"(?: success=\d+)?(?: target_cpu=(?P<target_cpu>\d+))?",
    _TASK + r"(?: success=\d+)?(?: CPU:(?P<target_cpu>\d+))?",
)
_FIELDS: dict[str, tuple[str, ...]] = {
    "sched_switch": (
        r"^prev_comm=(?P<prev_comm>.*) prev_pid=(?P<prev_pid>\d+) prev_prio=\S+ "
        r"prev_state=(?P<prev_state>\S+)(?: ==>)? next_comm=(?P<next_comm>.*) "
        r"next_pid=(?P<next_pid>\d+) next_prio=",
        r"^(?P<prev_comm>.*):(?P<prev_pid>\d+) \[-?\d+\] (?P<prev_state>\S+) ==> "
        r"(?P<next_comm>.*):(?P<next_pid>\d+) \[-?\d+\]",
    ),
    **dict.fromkeys(("sched_wakeup", "sched_wakeup_new", "sched_waking"), _WAKE),
    "sched_migrate_task": (
        _PAIRS + r" orig_cpu=(?P<orig_cpu>\d+) dest_cpu=(?P<dest_cpu>\d+)",
        _TASK + r" CPU:(?P<orig_cpu>\d+) ==> CPU:(?P<dest_cpu>\d+)",
    ),
    "umcg_violation": (r"\btid=(?P<tid>\d+)",),
}
_UMCG = (r"\btid=(?P<tid>\d+) peer=(?P<peer>\d+) old=(?P<old>\S+) new=(?P<new>\S+)",)

#: Pairs of columns that say what a task is called.
_NAMED = (("prev_pid", "prev_comm"), ("next_pid", "next_comm"), ("pid", "comm"))

_NUMBERS = ("pid", "prev_pid", "next_pid", "target_cpu", "orig_cpu", "dest_cpu", "tid", "peer")

#: Tools sort by time, but for the small differences of CPUs' clocks. Further back begins another
#: recording.
_BACK_NS = 10**9

#: Lines of which one is shown are cut after so many characters.
_SHOWN = 120


def parse(text: str, tids: Iterable[int] | None = None) -> KernelTrace:
    """Read what one of these tools has printed.

    Times are rounded to a microsecond where the text is, so events of one microsecond may be out of
    order with those of other sources.

    Args:
        text: all of it.
        tids: keep only rows about these threads; None: all.

    Raises:
        ClockMismatch: times of several clocks, or recordings, are mixed.
    """
    lines = pl.Series("line", [text.replace("\r\n", "\n")]).str.split("\n").explode()
    parsed = (
        lines.to_frame()
        .with_row_index("row")
        .with_columns(pl.col("line").str.extract_groups(_EVENT).alias("got"))
        .unnest("got")
    )
    other = parsed.filter(pl.col("event").is_null()).select("row", "line")
    found = parsed.filter(pl.col("event").is_not_null()).select(
        "row",
        "line",
        "task",
        "event",
        "fields",
        common_pid=pl.coalesce("thread", "pid").cast(pl.Int64, strict=False),
        cpu=pl.coalesce("cpu", "bare_cpu").cast(pl.Int64, strict=False),
        t=pl.col("s").cast(pl.Int64, strict=False) * 10**9
        + pl.col("fraction").str.pad_end(9, "0").str.slice(0, 9).cast(pl.Int64),
    )
    trace = KernelTrace()
    parts, unread, names = [], [], [_names(found, "common_pid", "task")]
    for (event,), group in found.group_by("event", maintain_order=True):
        kind = str(event)
        if kind not in tracepoints.ROWS:
            trace.unknown[kind] = group.height
            continue
        read = _read(group, _FIELDS.get(kind, _UMCG))
        _, needed = tracepoints.ROWS[kind]
        whole = pl.all_horizontal(
            pl.col(name).is_not_null() for name in (*needed, "t", "cpu", "common_pid")
        )
        unread.append(read.filter(~whole).select("row", "line"))
        read = read.filter(whole)
        names += [_names(read, *pair) for pair in _NAMED if set(pair) <= set(read.columns)]
        made = tracepoints.rows(kind, read)
        unread.append(read.join(made, on="row", how="anti").select("row", "line"))
        parts.append(made)
    _stretches(trace, found, other, parts)
    trace.events = tracepoints.join(parts, tids)
    _lost(trace, other, found)
    strange = ~pl.col("line").str.contains(_REMARK) & ~pl.col("line").str.contains(_LOST)
    _bad(trace, pl.concat([other.filter(strange), *unread]))
    trace.names = dict(pl.concat(names).sort("row").select("tid", "name").iter_rows())
    return trace


def _read(group: pl.DataFrame, forms: tuple[str, ...]) -> pl.DataFrame:
    """The rows of one tracepoint with its fields, in whichever form each is printed."""
    done, left = [], group
    for form in forms:
        got = left.with_columns(
            pl.col("fields").str.extract_groups(form).alias("got"),
            hit=pl.col("fields").str.contains(form),
        )
        done.append(got.filter("hit").unnest("got").drop("hit"))
        left = got.filter(~pl.col("hit")).drop("got", "hit")
        if left.is_empty():
            break
    read = pl.concat([*done, left], how="diagonal")
    numbers = [name for name in _NUMBERS if name in read.columns]
    return read.with_columns(pl.col(name).cast(pl.Int64, strict=False) for name in numbers)


def names_in(table: pl.DataFrame) -> dict[int, str]:
    """What the tasks of one tracepoint's fields are called."""
    found = [_names(table, *pair) for pair in _NAMED if set(pair) <= set(table.columns)]
    return dict(row for one in found for row in one.select("tid", "name").iter_rows())


def _names(table: pl.DataFrame, tid: str, name: str) -> pl.DataFrame:
    """What each task was called last: `tid`, `name`, `row`.

    A name in the left margin is what the task was called when the trace was read, or cut short: any
    other is better.
    """
    margin = name == "task"
    return (
        table.select(tid=tid, name=name, row="row")
        .filter(
            pl.col("tid").is_between(0, tracepoints.MOST_TIDS),
            ~pl.col("name").str.starts_with("<"),
        )
        .group_by("tid", maintain_order=True)
        .last()
        .select("tid", pl.col("name").str.strip_chars(), row=pl.lit(-1) if margin else "row")
        .cast({"tid": pl.Int64, "row": pl.Int64})
    )


def _stretches(
    trace: KernelTrace, found: pl.DataFrame, other: pl.DataFrame, parts: list[pl.DataFrame]
) -> None:
    """Tell recordings apart that stand one after another in one text.

    Another begins where the time goes back, or where a tool's first line stands among events.

    Raises:
        ClockMismatch: a task is in two of them: its history would be none.
    """
    times = found.select("row", "t", back=pl.col("t").shift(1) - pl.col("t"))
    heads = other.filter(pl.col("line").str.contains(_HEAD)).select("row")
    heads = heads.filter(pl.col("row") > (found["row"].min() or 0))
    turns = pl.concat([times.filter(pl.col("back") > _BACK_NS).select("row"), heads]).sort("row")
    if turns.is_empty() or not parts:
        return
    begins = turns.with_columns(stretch=pl.int_range(2, turns.height + 2))
    rows = pl.concat(
        part.filter(pl.col(who) > 0).select("row", tid=who)
        for part in parts
        for who in ("tid", "peer")
    )
    placed = rows.sort("row").join_asof(begins, on="row").fill_null(1)
    by_tid = placed.group_by("tid").agg(pl.col("stretch").min(), last=pl.col("stretch").max())
    if (by_tid["stretch"] != by_tid["last"]).any():
        raise ClockMismatch(
            f"at line {turns['row'][0] + 1} the time goes back, or another recording begins: "
            "several recordings, or clocks, are mixed; split the file there and import each part"
        )
    trace.stretches = dict(by_tid.select("tid", "stretch").iter_rows())


def _lost(trace: KernelTrace, lines: pl.DataFrame, found: pl.DataFrame) -> None:
    """Count what a text says was lost, and between which events of its CPU."""
    for row, line in lines.filter(pl.col("line").str.contains(_LOST)).rows():
        said = re.search(_LOST, line)
        assert said
        # trace-cmd does not always know how many: at least one.
        trace.lost += int(said["ftrace"] or said["trace_cmd"] or 1)
        of_cpu = found.filter(pl.col("cpu") == int(said["cpu"])) if said["cpu"] else found
        before = of_cpu.filter(pl.col("row") < row)["t"].to_list() or found["t"].to_list()[:1]
        after = of_cpu.filter(pl.col("row") > row)["t"].to_list() or found["t"].to_list()[-1:]
        if before and after:
            trace.gaps.append((int(said["cpu"] or -1), before[-1], after[0]))
    for line in lines.filter(pl.col("line").str.contains("entries-written"))["line"]:
        for kept, written in re.findall(_WRITTEN, line):
            if gone := int(written) - int(kept):
                trace.lost += gone
                # The oldest, of whichever CPU: all is there when each of them has an event.
                firsts = sorted(found.group_by("cpu").agg(pl.col("t").min())["t"].to_list())
                if firsts:
                    trace.gaps.append((-1, firsts[0], firsts[-1]))


def _bad(trace: KernelTrace, lines: pl.DataFrame) -> None:
    trace.bad = lines.height
    if lines.height:
        row, line = lines.sort("row").row(0)
        text = line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
        trace.first_bad = f"line {row + 1}: {text.strip()}"
