# SPDX-License-Identifier: MIT
"""`labkit show`, `compare`, `check`: what the command line says of saved runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
import synthetic
from typer.testing import CliRunner

import labkit
from labkit.cli import console
from labkit.cli.commands import COMMANDS, app
from labkit.model import invariants
from labkit.records import Record
from labkit.trace import files
from labkit.workload import Class, Compute, Poisson, Workload

RECORDED = Path(__file__).resolve().parents[2] / "notebooks" / "recorded"


def call(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.stdout, done.stderr


def saved(record: Record, file: Path) -> Path:
    return files.save(record, file)


def test_a_run_is_shown_with_ratios_and_doubts() -> None:
    code, out, err = call("show", RECORDED / "02-swap.parquet")
    assert code == 0, err
    assert "umcg-swap/pinned" in out and "over the baseline" in out
    assert "doubt: measured for less than 100 ms a value" in out
    code, out, _ = call("show", RECORDED / "02-swap.parquet", "--metadata")
    assert (
        code == 0 and "accelerator: tcg icount" in out and "value_ms:" in out and "lost: 0" in out
    )


def test_what_is_shown_as_json_is_json_also_without_an_interval(tmp_path: Path) -> None:
    samples = synthetic.samples({"umcg/x": 1.0, "pthread/x": 2.0}, n=2)
    file = saved(synthetic.record(samples=samples), tmp_path / "a.parquet")
    code, out, _ = call("show", file, "--json")
    document = json.loads(out, parse_constant=lambda name: pytest.fail(name))
    assert code == 0 and document["ratios"][0]["ci_low"] is None
    assert document["table"][0]["median"] and "only 2 repetitions" in str(document["doubts"])


def test_runs_of_one_boot_are_compared_by_their_values(tmp_path: Path) -> None:
    environment = synthetic.ENVIRONMENT | {"boot_id": "one"}
    samples = synthetic.samples({"umcg/x": 100.0, "pthread/x": 200.0}, n=9, spread=0.01)
    a = synthetic.record(samples=samples, environment=environment)
    half = samples.with_columns(value=pl.col("value") / 2)
    b = synthetic.record(samples=half, environment=environment)
    first, second = saved(a, tmp_path / "a.parquet"), saved(b, tmp_path / "b.parquet")
    code, out, err = call("compare", first, second)
    assert code == 0, err
    assert "second run over first" in out and "0.50" in out and "better" in out
    code, out, _ = call("compare", first, second, "--json")
    found = json.loads(out)
    assert found["compared"] == "values"
    assert found["changes"][0]["ratio"] == pytest.approx(0.5)


def test_runs_of_two_boots_are_compared_by_their_ratios(tmp_path: Path) -> None:
    samples = synthetic.samples({"umcg/x": 100.0, "pthread/x": 200.0}, n=9, spread=0.01)
    made = []
    for name, factor in (("a", 1.0), ("b", 3.0)):
        scaled = samples.with_columns(value=pl.col("value") * factor)
        environment = synthetic.ENVIRONMENT | {"boot_id": name}
        record = synthetic.record(samples=scaled, environment=environment)
        made.append(saved(record, tmp_path / f"{name}.parquet"))
    code, out, err = call("compare", *made)
    assert code == 0, err
    assert "ratios to the baseline" in out and "no difference" in out
    code, _, err = call("compare", *made, "--baseline", "nobody")
    assert code == 2 and "no series 'nobody'" in err


def test_what_does_not_compare_is_said_in_one_line(tmp_path: Path) -> None:
    code, _, err = call("compare", RECORDED / "02-swap.parquet", RECORDED / "05-waking.parquet")
    assert code == 2 and "different experiments" in err and len(err.splitlines()) == 1
    code, _, err = call("compare", "a.json", "b.json")
    assert code == 2 and "labkit bench compare a.json b.json" in err


def test_a_good_trace_passes_and_a_wrong_one_fails(tmp_path: Path) -> None:
    code, out, _ = call("check", RECORDED / "02-swap.parquet")
    assert code == 0 and "PASSED: no violation" in out and "holds" in out
    said = [line for line in out.splitlines() if line.startswith("holds")]
    assert len(said) == len(invariants.INVARIANTS)
    assert all(line.endswith(".") for line in said), said
    run = files.load(RECORDED / "02-swap.parquet")
    run.events = run.events.filter(
        ~((pl.col("kind") == "swap") & (pl.int_range(pl.len()) % 7 == 0))
    )
    file = saved(run, tmp_path / "wrong.parquet")
    code, out, _ = call("check", file)
    assert code == 1 and "FAILED" in out and "times not" in out
    code, out, _ = call("check", file, "--json")
    document = json.loads(out)
    assert code == 1 and document["result"] == "FAILED" and document["violations"]


TRACE = Path(__file__).resolve().parent / "traces" / "trace-cmd-report.txt"


def test_an_imported_trace_is_shown_by_where_time_went(tmp_path: Path) -> None:
    text = tmp_path / "trace.txt"
    text.write_text(TRACE.read_text(encoding="utf-8") + "what is this\n", encoding="utf-8")
    run = labkit.import_trace(text)
    file = run.save(tmp_path / "a.parquet")
    code, out, err = call("show", file)
    assert code == 0, err
    assert run.table()["name"][0] in out and "running" in out and "recorded by another tool" in out
    assert "note: not understood: 1; the first is" in out
    code, out, _ = call("show", file, "--json")
    assert code == 0 and len(json.loads(out)["table"]) == run.table().height


def test_the_protocol_is_not_asked_of_threads_in_a_trace_without_wake_ups(tmp_path: Path) -> None:
    text = tmp_path / "trace.txt"
    lines = TRACE.read_text(encoding="utf-8").splitlines(keepends=True)
    text.write_text("".join(line for line in lines if "sched_wak" not in line), encoding="utf-8")
    run = labkit.import_trace(text)
    tasks = run.tasks.with_columns(role=pl.lit("thread").cast(run.tasks.schema["role"]))
    code, out, _ = call("check", files.save(replace(run, tasks=tasks), tmp_path / "a.parquet"))
    assert code == 0 and "UNDECIDED: no task" in out and "holds" not in out
    run.tasks = tasks.with_columns(role=pl.lit("worker").cast(run.tasks.schema["role"]))
    code, out, _ = call("check", run.save(tmp_path / "b.parquet"))
    assert code == 1 and "FAILED: " in out, "of UMCG's tasks it is"


def test_simulations_are_compared_whatever_the_boot_and_one_of_a_seed_is_enough(
    tmp_path: Path,
) -> None:
    work = Class(name="get", arrivals=Poisson(100_000), phases=(Compute("8us"),))
    run = labkit.simulate("fifo", Workload(classes=(work,), duration="1ms"), servers=1)
    file = run.save(tmp_path / "a.parquet")
    code, out, err = call("compare", file, file)
    assert code == 0 and "second run over first" in out, err
    assert run.compare(run)["ratio"].to_list() == [1.0] * run.table().height
    code, out, _ = call("show", file)
    assert code == 0 and "doubt" not in out and "no virtual time" in out


def test_who_measures_is_told_what_is_doubtful() -> None:
    small = ("run", "swap", "--methods", "futex", "--value-ms", "1", "--repetitions", "1")
    code, out, err = call(*small)
    assert code == 0, err
    assert "doubt: only 1 repetition, take 5 or more" in out
    assert "doubt: measured for less than 100 ms a value" in out
    doubts = json.loads(call(*small, "--json")[1])["doubts"]
    assert any("less than 100 ms" in said for said in doubts)


def test_every_command_is_there_and_a_wrong_name_says_what_was_meant() -> None:
    code, out, _ = call("--help")
    assert code == 0
    for name, (_, what) in COMMANDS.items():
        assert f"  {name} " in out and what in " ".join(out.split())
        assert call(name, "--help")[0] == 0
    code, _, err = call("shwo")
    assert code == 2 and "did you mean 'show'?" in err
    code, _, err = call("run", "swp")
    assert code == 2 and "did you mean 'swap'?" in err


def test_every_error_with_a_code_is_one_that_there_is() -> None:
    from importlib import import_module

    for name in console.CODES:
        module, _, error = name.rpartition(".")
        kind = getattr(import_module(module), error)
        assert issubclass(kind, Exception) and kind.__module__ == module, name
