# SPDX-License-Identifier: MIT
"""The Perfetto file in Perfetto's own trace processor: what it understands is what was recorded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import synthetic
import trace_processor
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent
from trace_processor import Processor

from labkit.records import KINDS, Record
from labkit.trace import files, perfetto, schema
from labkit.trace.intervals import cpu_intervals, state_intervals
from labkit.trace.prefer_kernel import prefer_kernel_events

#: Slices of the tasks' and of the CPUs' tracks.
TASK_SLICES = """
    select slice.ts as ts, slice.dur as dur, slice.name as name, slice.depth as depth,
           thread.tid as tid
    from slice join thread_track on slice.track_id = thread_track.id join thread using (utid)
"""
CPU_SLICES = """
    select slice.ts as ts, slice.dur as dur, slice.name as name, slice.depth as depth,
           track.name as track
    from slice join track on slice.track_id = track.id where track.name glob 'CPU *'
"""


def with_switches(record: Record) -> Record:
    """The run with `sched_switch` of the kernel: the tasks take turns on CPU 0."""
    t0, tids = int(record.events["t"][0]), record.tasks["tid"].to_list()
    switches = schema.events(
        {
            "t": [t0 + 1000 * i for i in range(50)],
            "tid": [tids[i % len(tids)] for i in range(50)],
            "cpu": [0] * 50,
            "kind": ["sched_switch"] * 50,
        }
    )
    return synthetic.record(events=schema.merge(record.events, switches), tasks=record.tasks)


_RECORDED = Path(__file__).parents[2] / "notebooks" / "recorded"
RUNS = {
    "states": synthetic.record(),
    "sched_switch": with_switches(synthetic.record()),
    "recorded": files.load(_RECORDED / "05-waking-storm-with-tracepoints.parquet"),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest) -> Record:
    return RUNS[request.param]


@pytest.fixture(scope="module")
def processor(run: Record) -> Iterator[Processor]:
    with trace_processor.opened(perfetto.to_bytes(run)) as processor:
        yield processor


def test_it_has_nothing_to_complain_about(processor: Processor) -> None:
    assert processor.complaints() == {}


def test_it_complains_about_a_name_that_is_nowhere() -> None:
    """The check above can fail."""
    trace = Trace.FromString(perfetto.to_bytes(RUNS["states"]))
    begin = next(p for p in trace.packet if p.track_event.type == TrackEvent.TYPE_SLICE_BEGIN)
    begin.track_event.name_iid = 77
    with trace_processor.opened(trace.SerializeToString()) as processor:
        assert processor.complaints() == {"interned_data_tokenizer_errors": 1}


def test_the_run_is_a_process_and_its_tasks_are_threads(run: Record, processor: Processor) -> None:
    sql = """
        select thread.tid as tid, thread.name as name, process.name as process
        from thread join process using (upid)
        where utid in (select utid from thread_track) order by tid
    """
    found = processor.query(sql)
    wanted = run.tasks.sort("tid")
    assert found["tid"].to_list() == wanted["tid"].to_list()
    names = wanted.select(pl.format("{} [{}]", "name", "series")).to_series()
    assert found["name"].to_list() == names.to_list()
    assert set(found["process"]) == {f"labkit {run.experiment}"}


def test_every_state_lies_where_it_was(run: Record, processor: Processor) -> None:
    found = processor.query(TASK_SLICES).filter(
        pl.col("name").str.contains("^(RUNNING|IDLE|BLOCKED)")
    )
    assert set(found["depth"]) == {0}
    states = state_intervals(run.events, run.tasks).select(
        "tid",
        ts="t0",
        dur=pl.col("t1") - pl.col("t0"),
        name=pl.col("state").cast(pl.String).str.to_uppercase(),
    )
    found = found.with_columns(pl.col("name").str.extract(r"^(\w+)"))
    order = ["tid", "ts", "dur", "name"]
    assert found.select(order).sort(order).rows() == states.select(order).sort(order).rows()


def test_every_event_is_there_with_its_columns(run: Record, processor: Processor) -> None:
    kinds = ", ".join(f"'{kind}'" for kind in KINDS)
    note = "extract_arg(slice.arg_set_id, 'debug.{0}') as {0}_"
    notes = ", ".join(note.format(c) for c in ("old", "new", "cpu", "flags", "peer", "arg"))
    found = processor.query(
        f"select slice.ts as t, thread.tid as tid, slice.name as kind, {notes} "
        "from slice join thread_track on slice.track_id = thread_track.id join thread using (utid) "
        f"where slice.name in ({kinds}) and slice.dur = 0"
    )
    found = found.rename({c: c.removesuffix("_") for c in found.columns})
    enums = ("kind", "old", "new")
    ours = pl.col("tid").is_in(run.tasks["tid"].implode())
    wanted = (
        prefer_kernel_events(run.events)
        .filter(ours)
        .with_columns(pl.col(c).cast(pl.String) for c in enums)
    )
    wanted = wanted.select(found.columns)
    assert sorted(found.rows()) == sorted(wanted.rows())


def test_who_was_on_each_cpu(run: Record, processor: Processor) -> None:
    found = processor.query(CPU_SLICES)
    spans, _ = cpu_intervals(run.events, run.tasks)
    names = run.tasks.select("tid", "name")
    wanted = spans.join(names, on="tid").select(
        pl.col("t0"), pl.col("t1") - pl.col("t0"), "name", pl.format("CPU {}", "cpu")
    )
    assert set(found["depth"]) == {0}
    assert sorted(found.drop("depth").rows()) == sorted(wanted.rows())


def test_arrows_lead_from_one_task_to_the_one_it_started(processor: Processor) -> None:
    ends = """
        select source.ts as begun, target.ts as ended, source.name as said, target.name as state,
               a.track_id as from_track, b.track_id as to_track
        from flow join slice source on flow.slice_out = source.id
                  join slice target on flow.slice_in = target.id
                  join slice a on a.id = source.id join slice b on b.id = target.id
    """
    arrows = processor.query(ends)
    assert arrows.height > 100
    assert (arrows["begun"] <= arrows["ended"]).all()
    assert arrows["state"].str.starts_with("RUNNING").all()
    assert arrows["said"].str.contains("→").all()
    assert (arrows["from_track"] != arrows["to_track"]).all()
