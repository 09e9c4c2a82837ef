# SPDX-License-Identifier: MIT
"""The event table: schema, files, kernel tracepoints, Perfetto export."""
