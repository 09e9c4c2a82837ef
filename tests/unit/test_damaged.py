# SPDX-License-Identifier: MIT
"""Damaged and foreign files: each is named, none is taken for what it is not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import synthetic
from test_bench import some_results

from labkit.benchmark import results
from labkit.records import TASK_SCHEMA, Record, empty
from labkit.trace import files, seal
from labkit.trace.errors import ForeignFile, SchemaError, TraceError, TruncatedFile

FLIPS = 1000


def flips(whole: bytes, seed: int) -> list[tuple[int, bytes]]:
    """`whole` with one bit flipped, `FLIPS` times; and each bit around its digest."""
    draw = random.Random(seed)
    places = [draw.randrange(8 * len(whole)) for _ in range(FLIPS)]
    around = whole.rindex(b"digest")
    places += range(8 * (around - 16), 8 * (around + 96))
    made = []
    for place in places:
        byte, bit = divmod(place, 8)
        made.append((place, whole[:byte] + bytes([whole[byte] ^ 1 << bit]) + whole[byte + 1 :]))
    return made


def test_every_flipped_bit_of_a_run_is_found(tmp_path: Path) -> None:
    whole = files.save(synthetic.record(), tmp_path / "run.parquet").read_bytes()
    bad = tmp_path / "bad.parquet"
    for place, data in flips(whole, 1):
        bad.write_bytes(data)
        with pytest.raises(TraceError, match=r"again|not a Parquet file|record the run") as caught:
            files.load(bad)
        assert isinstance(caught.value, TruncatedFile | ForeignFile), place


def test_every_flipped_bit_of_a_results_file_is_found(tmp_path: Path) -> None:
    whole = some_results().save(tmp_path / "r.json").read_bytes()
    bad = tmp_path / "bad.json"
    for place, data in flips(whole, 2):
        bad.write_bytes(data)
        with pytest.raises(TraceError) as caught:
            results.load(bad)
        assert isinstance(caught.value, TruncatedFile | ForeignFile), place


def test_the_digest_is_compared_before_anything_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = files.save(synthetic.record(), tmp_path / "run.parquet")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    def parse(*_: object, **__: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(pl, "read_parquet_metadata", parse)
    monkeypatch.setattr(pl, "read_parquet", parse)
    with pytest.raises(TruncatedFile, match="digest"):
        files.load(path)


def test_a_text_that_looks_like_the_digest_is_none(tmp_path: Path) -> None:
    """The key may stand in any text of a run: in a spec, in a name."""
    text = f"labkit.digest\x18\x40{seal.BLANK}"
    tasks = synthetic.record().tasks.with_columns(name=pl.lit(text))
    run = synthetic.record(spec={"experiment": text}, environment={text: text}, tasks=tasks)
    assert files.load(files.save(run, tmp_path / "run.parquet")).spec == run.spec


def foreign(path: Path, **changes: Any) -> Path:
    """A file of format 1, without a digest, with some of its parts changed."""
    run = synthetic.record()
    metadata = {
        "labkit.format": "1",
        "labkit.spec": json.dumps(run.spec),
        "labkit.environment": json.dumps(run.environment),
        "labkit.counters": json.dumps(run.counters),
        "labkit.tasks": files._pack(run.tasks),
        "labkit.samples": files._pack(run.samples),
    }
    run.events.write_parquet(
        path, metadata=metadata | {f"labkit.{k}": v for k, v in changes.items()}
    )
    return path


def test_a_file_of_format_1_still_loads(tmp_path: Path) -> None:
    assert files.load(foreign(tmp_path / "old.parquet")).spec == synthetic.record().spec


@pytest.mark.parametrize("part", ["spec", "environment", "counters"])
@pytest.mark.parametrize("value", ["[]", "null", "1", '"text"'])
def test_what_is_no_object_is_named(tmp_path: Path, part: str, value: str) -> None:
    with pytest.raises(ForeignFile, match=f"labkit.{part} is no JSON object"):
        files.load(foreign(tmp_path / "f.parquet", **{part: value}))


@pytest.mark.parametrize("version", ["-1", "0", "", "one", "1.5"])
def test_a_format_that_was_never_written_is_not_newer(tmp_path: Path, version: str) -> None:
    with pytest.raises(ForeignFile, match="its format is"):
        files.load(foreign(tmp_path / "f.parquet", format=version))


def test_a_counter_that_is_no_number_is_named(tmp_path: Path) -> None:
    with pytest.raises(ForeignFile, match="no number"):
        files.load(foreign(tmp_path / "f.parquet", counters='{"lost": "many"}'))


def two_with_one_tid() -> pl.DataFrame:
    one = {"tid": 7, "role": "worker", "name": "w", "series": "s"}
    return pl.DataFrame([one, one | {"series": "t"}], schema=TASK_SCHEMA)


def test_two_tasks_with_one_tid_are_named(tmp_path: Path) -> None:
    tasks = two_with_one_tid()
    with pytest.raises(ForeignFile, match="tid 7"):
        files.load(foreign(tmp_path / "f.parquet", tasks=files._pack(tasks)))
    with pytest.raises(SchemaError, match="tid 7"):
        files.save(synthetic.record(tasks=tasks), tmp_path / "run.parquet")


def test_tasks_with_nulls_are_named(tmp_path: Path) -> None:
    tasks = pl.DataFrame({"tid": [1], "role": [None], "name": ["a"], "series": ["s"]}, TASK_SCHEMA)
    with pytest.raises(ForeignFile, match="role"):
        files.load(foreign(tmp_path / "f.parquet", tasks=files._pack(tasks)))


def test_panics_of_the_parser_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of format 1 has no digest to tell: what polars makes of it is still an error."""

    def panics(*_: object, **__: object) -> None:
        raise pl.exceptions.PanicException("index out of bounds")

    monkeypatch.setattr(pl, "read_parquet", panics)
    with pytest.raises(TruncatedFile, match="index out of bounds"):
        files.load(foreign(tmp_path / "f.parquet"))


@pytest.mark.parametrize("version", [-1, 0, True, "1", None])
def test_results_of_a_format_that_was_never_written(tmp_path: Path, version: object) -> None:
    document = json.loads(some_results().save(tmp_path / "r.json").read_text(encoding="utf-8"))
    (tmp_path / "r.json").write_text(json.dumps(document | {"format": version}), encoding="utf-8")
    with pytest.raises(ForeignFile, match="format"):
        results.load(tmp_path / "r.json")


def test_an_empty_run_comes_back(tmp_path: Path) -> None:
    run = Record(spec={}, environment={}, tasks=empty(TASK_SCHEMA))
    assert files.load(files.save(run, tmp_path / "run.parquet")).spec == {}
