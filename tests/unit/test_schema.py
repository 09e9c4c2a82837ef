# SPDX-License-Identifier: MIT
from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.records import EVENT_SCHEMA, KINDS, STATES
from labkit.trace import schema
from labkit.trace.errors import ClockMismatch, SchemaError

ROW = {"t": 5, "tid": 7, "kind": "run", "old": "idle", "new": "running"}

rows = st.lists(
    st.fixed_dictionaries(
        {
            "t": st.integers(0, 10**9),
            "tid": st.integers(1, 9),
            "cpu": st.integers(-1, 3),
            "kind": st.sampled_from(KINDS),
            "old": st.sampled_from(STATES),
            "new": st.sampled_from(STATES),
            "flags": st.sampled_from([0, 0x40, 0x80, 0x10000]),
            "peer": st.integers(0, 9),
            "arg": st.integers(-(2**63), 2**63 - 1),
        }
    ),
    max_size=30,
)


def test_events_fills_defaults_and_sorts() -> None:
    table = schema.events([ROW, ROW | {"t": 1}])
    assert dict(table.schema) == EVENT_SCHEMA
    assert table["t"].to_list() == [1, 5]
    assert table.row(0, named=True)["cpu"] == -1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "jump"}, "'jump' is not one of register"),
        ({"new": "asleep"}, "'asleep' is not one of none"),
        ({"tid": 2**40}, "'tid'.*does not fit"),
        ({"t": -1}, "t is negative"),
        ({"cpu": -2}, "cpu is below -1"),
        ({"flags": 1}, "flags holds state bits"),
        ({"peer": -4}, "peer is negative"),
        ({"colour": "red"}, "unknown columns colour"),
    ],
)
def test_a_value_that_does_not_fit_is_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        schema.events([ROW | change])


def test_missing_column_and_unsorted_table_are_named() -> None:
    with pytest.raises(SchemaError, match="columns tid are missing"):
        schema.events([{"t": 1, "kind": "run"}])
    table = schema.events([ROW, ROW | {"t": 9}])
    with pytest.raises(SchemaError, match="not in order"):
        schema.validate(table.reverse())
    with pytest.raises(SchemaError, match="have nulls"):
        schema.validate(table.with_columns(pl.lit(None, dtype=pl.Int16).alias("cpu")))


@pytest.mark.slow
@given(rows, rows)
def test_merge_keeps_every_event_in_order(
    a: list[dict[str, object]], b: list[dict[str, object]]
) -> None:
    first, second = schema.events(a), schema.events(b)
    merged = schema.merge(first, second)
    assert merged.height == first.height + second.height
    assert merged["t"].is_sorted()
    columns = list(EVENT_SCHEMA)
    both = pl.concat([first, second])
    assert merged.sort(columns).equals(both.sort(columns))


def test_merge_refuses_another_clock() -> None:
    a = schema.events([ROW, ROW | {"t": 10**9}])
    b = schema.events([ROW | {"t": 900 * 10**9}])
    with pytest.raises(ClockMismatch, match=r"899\.0 s apart.*CLOCK_MONOTONIC"):
        schema.merge(a, b)


def test_equal_times_keep_their_order() -> None:
    table = schema.events([ROW | {"arg": i} for i in range(50)] + [ROW | {"t": 1}])
    assert table["arg"].to_list() == [0, *range(50)]
