# SPDX-License-Identifier: MIT
"""Export to a Perfetto trace: open it at ui.perfetto.dev or query it with trace_processor.

A process for the run, a track for each task with a slice for each state and an instant for each
event, tracks for each CPU, and flow arrows from the task that ran, woke, blocked or gave back to
the one that it started. Times are the event table's, ns of CLOCK_MONOTONIC. Source: Perfetto's
documentation, "Writing TrackEvent protos".
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket, TrackEvent
from perfetto.trace_builder.proto_builder import StreamingTraceProtoBuilder

from labkit.records import Record
from labkit.trace.files import write_atomically
from labkit.trace.intervals import cpu_intervals, loss_intervals, state_intervals
from labkit.trace.prefer_kernel import prefer_kernel_events
from labkit.trace.schema import STATE_KINDS

_SEQUENCE = 1
_PROCESS = 1
_NO_DATA = "NO DATA (events were lost)"
_TASK_TRACK, _CPU_TRACK = 1 << 32, 2 << 32


def export(record: Record, path: str | os.PathLike[str]) -> Path:
    """Write the run's events as a Perfetto trace and return the path.

    Raises:
        labkit.trace.errors.WriteFailed: the operating system refused.
    """
    target = Path(path)
    write_atomically(target, to_bytes(record))
    return target


def to_bytes(record: Record) -> bytes:
    """The run's events as the bytes of a Perfetto trace."""
    buffer = io.BytesIO()
    writer = _Writer(buffer)
    writer.describe(record)
    cpus = _cpu_lanes(record)
    writer.describe_cpus(cpus)
    # trace_processor sorts by time and keeps the file's order among equal times: an arrow's start
    # must stand before its end, a slice's end before the next one's beginning, an event after both.
    events = prefer_kernel_events(record.events)
    known = record.tasks["tid"].implode()
    intervals = state_intervals(events, record.tasks).filter(pl.col("tid").is_in(known))
    starts = _starts(events, record.tasks)
    writer.sources(starts, record.tasks)
    flows = {(tid, t): row + 1 for row, t, tid in starts.select("row", "t", "tid").iter_rows()}
    slices = [
        (tid, t0, t1, state.upper() + (" on the list" if listed else "") + _flag_names(flags))
        for tid, t0, t1, state, flags, listed in intervals.select(
            "tid", "t0", "t1", "state", "flags", "listed"
        ).iter_rows()
    ]
    slices += [(*row, _NO_DATA) for row in loss_intervals(events, record.tasks).iter_rows()]
    for tid, t0, t1, name in sorted(slices, key=lambda row: row[:2]):
        writer.slice(_TASK_TRACK + tid, t0, t1, name, flows.pop((tid, t0), None))
    writer.instants(events, record.tasks)
    names = dict(record.tasks.select("tid", "name").iter_rows())
    for track, _, t0, t1, tid in cpus:
        writer.slice(track, t0, t1, names[tid])
    return buffer.getvalue()


def _cpu_lanes(record: Record) -> list[tuple[int, int, int, int, int]]:
    """What was on each CPU: (track, CPU, t0, t1, tid), on tracks where no two overlap.

    Without `sched_switch` two tasks can be RUNNING on one CPU. Slices of one track that overlap
    would be taken for calls within calls, and ends for those of others.
    """
    spans, _ = cpu_intervals(record.events, record.tasks)
    ends: dict[int, list[int]] = {}
    found = []
    for cpu, t0, t1, tid in spans.select("cpu", "t0", "t1", "tid").sort("t0", "t1").iter_rows():
        lanes = ends.setdefault(cpu, [])
        lane = next((i for i, end in enumerate(lanes) if end <= t0), len(lanes))
        lanes[lane : lane + 1] = [t1]
        found.append((_CPU_TRACK + (lane << 16) + cpu, cpu, t0, t1, tid))
    return found


def _flag_names(flags: int) -> str:
    return (" locked" if flags & 0x40 else "") + (" preempted" if flags & 0x80 else "")


def _starts(events: pl.DataFrame, tasks: pl.DataFrame) -> pl.DataFrame:
    """Where a peer made a task RUNNING: `row` (index in `events`), `t`, `tid`, `kind`, `peer`."""
    known = tasks["tid"].implode()
    return (
        events.with_row_index("row")
        .filter(
            pl.col("kind").is_in(STATE_KINDS)
            & (pl.col("new") == "running")
            & (pl.col("old") != "running")
            & pl.col("tid").is_in(known)
            & pl.col("peer").is_in(known)
        )
        .select("row", "t", "tid", "kind", "peer")
    )


class _Writer:
    """Packets of one trace, in the order in which they are given."""

    def __init__(self, buffer: io.BytesIO) -> None:
        self._out = StreamingTraceProtoBuilder(buffer)

    def _packet(self) -> Any:
        packet = self._out.create_packet()
        packet.trusted_packet_sequence_id = _SEQUENCE
        return packet

    def describe(self, record: Record) -> None:
        """The tracks of the run, as a process, and of its tasks, as threads."""
        packet = self._packet()
        packet.sequence_flags = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
        packet.track_descriptor.uuid = _PROCESS
        packet.track_descriptor.process.pid = 1
        packet.track_descriptor.process.process_name = f"labkit {record.experiment}"
        packet.track_descriptor.process.process_labels.extend(
            [json.dumps(record.environment, sort_keys=True)]
        )
        self._out.write_packet(packet)
        order = {"server": 0, "basic": 1, "worker": 2, "thread": 3}
        for tid, role, name, series in record.tasks.select(
            "tid", "role", "name", "series"
        ).iter_rows():
            packet = self._packet()
            track = packet.track_descriptor
            track.uuid, track.parent_uuid = _TASK_TRACK + tid, _PROCESS
            track.thread.pid, track.thread.tid = 1, tid
            track.thread.thread_name = f"{name} [{series}]" if series else name
            track.sibling_order_rank = order[role]
            self._out.write_packet(packet)

    def describe_cpus(self, spans: list[tuple[int, int, int, int, int]]) -> None:
        """The CPUs' tracks; Perfetto shows those of one name as one."""
        for track, cpu in sorted({span[:2] for span in spans}):
            packet = self._packet()
            packet.track_descriptor.uuid = track
            packet.track_descriptor.name = f"CPU {cpu}"
            self._out.write_packet(packet)

    def slice(self, track: int, t0: int, t1: int, name: str, flow: int | None = None) -> None:
        """A slice, and the arrow that ends at its beginning."""
        packet = self._packet()
        packet.timestamp = t0
        packet.track_event.type = TrackEvent.TYPE_SLICE_BEGIN
        packet.track_event.track_uuid = track
        packet.track_event.name = name
        if flow is not None:
            packet.track_event.terminating_flow_ids.append(flow)
        self._out.write_packet(packet)
        packet = self._packet()
        packet.timestamp = t1
        packet.track_event.type = TrackEvent.TYPE_SLICE_END
        packet.track_event.track_uuid = track
        self._out.write_packet(packet)

    def instants(self, events: pl.DataFrame, tasks: pl.DataFrame) -> None:
        """Each event as an instant with its columns; a peer's action is where its arrow starts."""
        ours = events.filter(pl.col("tid").is_in(tasks["tid"].implode()))
        for e in ours.iter_rows(named=True):
            packet = self._packet()
            packet.timestamp = e["t"]
            event = packet.track_event
            event.type = TrackEvent.TYPE_INSTANT
            event.track_uuid = _TASK_TRACK + e["tid"]
            event.name = e["kind"]
            for key in ("old", "new"):
                note = event.debug_annotations.add()
                note.name, note.string_value = key, e[key]
            for key in ("cpu", "flags", "peer", "arg"):
                note = event.debug_annotations.add()
                note.name, note.int_value = key, e[key]
            self._out.write_packet(packet)

    def sources(self, starts: pl.DataFrame, tasks: pl.DataFrame) -> None:
        """Where arrows start: an instant on the track of the task that made another RUNNING."""
        names = dict(tasks.select("tid", "name").iter_rows())
        for row, t, tid, kind, peer in starts.iter_rows():
            packet = self._packet()
            packet.timestamp = t
            packet.track_event.type = TrackEvent.TYPE_INSTANT
            packet.track_event.track_uuid = _TASK_TRACK + peer
            packet.track_event.name = f"{kind} → {names[tid]}"
            packet.track_event.flow_ids.append(row + 1)
            self._out.write_packet(packet)
