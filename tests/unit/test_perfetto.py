# SPDX-License-Identifier: MIT
"""The Perfetto file, read back with Perfetto's own classes: what trace_processor asks of a file.

Balanced slices in order on declared tracks, and every arrow with one start at or before its one
end; much of it trace_processor itself would put right without a word. What it makes of the file,
test_trace_processor.py looks at.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest
import synthetic
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TracePacket, TrackEvent

from labkit.trace import perfetto
from labkit.trace.errors import WriteFailed
from labkit.trace.intervals import state_intervals


@pytest.fixture(scope="module")
def trace() -> Trace:
    parsed = Trace()
    parsed.ParseFromString(perfetto.to_bytes(synthetic.record()))
    return parsed


def _in_order(trace: Trace) -> list[TracePacket]:
    """As trace_processor reads them: by time, equal times in the file's order."""
    return sorted((p for p in trace.packet if p.HasField("track_event")), key=lambda p: p.timestamp)


def test_tracks_are_declared_before_use(trace: Trace) -> None:
    declared = [p.track_descriptor for p in trace.packet if p.HasField("track_descriptor")]
    tracks = {d.uuid: d for d in declared}
    assert len(tracks) == len(declared)
    assert {p.track_event.track_uuid for p in _in_order(trace)} <= tracks.keys()
    names = {d.thread.thread_name for d in declared if d.HasField("thread")}
    assert {"server 0 [umcg/model]", "worker 4 [umcg/model]"} <= names
    assert {"CPU 0", "CPU 1"} <= {d.name for d in declared}
    assert trace.packet[0].sequence_flags == TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
    assert len({p.trusted_packet_sequence_id for p in trace.packet}) == 1


def test_slices_are_balanced_and_never_overlap(trace: Trace) -> None:
    depth: dict[int, int] = defaultdict(int)
    for packet in _in_order(trace):
        event = packet.track_event
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            depth[event.track_uuid] += 1
            assert depth[event.track_uuid] == 1
        elif event.type == TrackEvent.TYPE_SLICE_END:
            depth[event.track_uuid] -= 1
            assert depth[event.track_uuid] >= 0
    assert not any(depth.values())


def test_every_state_is_a_slice_and_every_event_an_instant(trace: Trace) -> None:
    run = synthetic.record()
    spans = state_intervals(run.events, run.tasks)
    packets = _in_order(trace)
    begins = [
        p
        for p in packets
        if p.track_event.type == TrackEvent.TYPE_SLICE_BEGIN and p.track_event.track_uuid < 2 << 32
    ]
    assert sorted(p.timestamp for p in begins) == sorted(spans["t0"])
    kinds = [p.track_event.name for p in packets if p.track_event.debug_annotations]
    assert sorted(kinds) == sorted(run.events["kind"])


def test_every_arrow_has_one_start_and_one_end(trace: Trace) -> None:
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for i, packet in enumerate(_in_order(trace)):
        for flow in packet.track_event.flow_ids:
            assert flow not in starts
            starts[flow] = i
        for flow in packet.track_event.terminating_flow_ids:
            assert flow not in ends
            ends[flow] = i
    assert starts.keys() == ends.keys()
    assert len(starts) > 100
    assert all(starts[f] < ends[f] for f in starts)


def test_export_writes_the_bytes_or_says_why_not(tmp_path: Path) -> None:
    run = synthetic.record()
    path = perfetto.export(run, tmp_path / "run.pftrace")
    assert path.read_bytes() == perfetto.to_bytes(run)
    with pytest.raises(WriteFailed, match="create it first"):
        perfetto.export(run, tmp_path / "none" / "run.pftrace")
