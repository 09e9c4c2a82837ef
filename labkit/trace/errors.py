# SPDX-License-Identifier: MIT
"""What can be wrong with events and files, by name; every message says what to do."""

from __future__ import annotations


class TraceError(Exception):
    """Base of all errors about events, files and tracing."""


class SchemaError(TraceError, ValueError):
    """A table is not an event table: a column or value does not fit."""


class ClockMismatch(TraceError, ValueError):
    """Two sources of events have no common stretch of time, so they were not on one clock."""


class ForeignFile(TraceError, ValueError):
    """The file is not a labkit run."""


class TruncatedFile(TraceError, ValueError):
    """The file is a labkit run (or Parquet) that was cut short or damaged."""


class NewerFormat(TraceError, ValueError):
    """The file was written by a newer labkit."""


class WriteFailed(TraceError, OSError):
    """The file could not be written; what stood at its place before is untouched."""

    def __str__(self) -> str:
        # Without the "[Errno 28]" that OSError puts before what to do.
        return self.strerror or super().__str__()


class TracingUnavailable(TraceError, RuntimeError):
    """The kernel's tracing cannot be used here."""
