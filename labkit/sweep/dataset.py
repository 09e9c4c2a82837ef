# SPDX-License-Identifier: MIT
"""The file of a sweep: finished points beside it while it runs, one Parquet file when it is done.

`NAME.parquet.part` is a journal, one line of JSON a point. A sweep that is interrupted goes on from
it; a line that was cut short is done again.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import polars as pl

from labkit.sweep.point import SCHEMA, frame
from labkit.trace.errors import ForeignFile
from labkit.trace.files import check_target, write_atomically

Rows = list[dict[str, Any]]

#: Key of the Parquet metadata that marks a sweep, and the version of its columns.
_MARK = "labkit.sweep"
FORMAT = "1"


def read(path: str | os.PathLike[str]) -> pl.DataFrame:
    """The table of a sweep's file; columns `labkit.sweep.point.SCHEMA`.

    Raises:
        FileNotFoundError: there is no such file.
        ForeignFile: it is something else, or of another version.
    """
    source = Path(path)
    data = source.read_bytes()
    try:
        format_ = pl.read_parquet_metadata(io.BytesIO(data)).get(_MARK)
        table = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ForeignFile(f"{source} is no sweep: {reason}; give another file") from None
    if format_ != FORMAT or dict(table.schema) != SCHEMA:
        raise ForeignFile(f"{source} is Parquet, but no sweep of this labkit; give another file")
    return table


class Dataset:
    """The finished points of a sweep, kept from the moment that each is finished.

    Raises:
        ForeignFile: what stands there is no sweep; it is untouched.
        WriteFailed: it cannot be written there.
    """

    def __init__(self, path: Path) -> None:
        check_target(path)
        self.path = path
        self.journal = path.with_name(path.name + ".part")
        self.points: dict[str, Rows] = {}
        self._begin = ""
        if path.exists():
            for row in read(path).iter_rows(named=True):
                self.points.setdefault(row["key"], []).append(row)
        if self.journal.exists():
            self._read_journal()

    def _read_journal(self) -> None:
        text = self.journal.read_text(encoding="utf-8")
        # A line that was cut short must not swallow the next one.
        self._begin = "" if text.endswith("\n") or not text else "\n"
        for line in text.splitlines():
            try:
                rows = json.loads(line)
                self.points[rows[0]["key"]] = rows
            except (ValueError, LookupError, TypeError):
                continue

    def add(self, rows: Rows) -> None:
        """Keep the rows of one point, at once."""
        self.points[rows[0]["key"]] = rows
        with open(self.journal, "a", encoding="utf-8") as file:
            file.write(f"{self._begin}{json.dumps(rows)}\n")
            file.flush()
            os.fsync(file.fileno())
        self._begin = ""

    def close(self, order: list[str]) -> pl.DataFrame:
        """Write the Parquet file, the points of `order` first, and forget the journal.

        Points of earlier sweeps into the same file stay.
        """
        keys = list(dict.fromkeys([*order, *self.points]))
        table = frame([row for key in keys for row in self.points[key]])
        buffer = io.BytesIO()
        table.write_parquet(buffer, compression="zstd", metadata={_MARK: FORMAT})
        write_atomically(self.path, buffer.getbuffer())
        self.journal.unlink(missing_ok=True)
        return table.filter(pl.col("key").is_in(order))
