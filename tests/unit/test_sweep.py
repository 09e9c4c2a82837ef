# SPDX-License-Identifier: MIT
"""Sweeps: on this machine's cores, on a real Dask cluster, interrupted and gone on with."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from test_sim_wrong import source
from typer.testing import CliRunner

from labkit import workload as w
from labkit.cli.commands import app
from labkit.plots import plot_sweep
from labkit.sim import ChoiceError, Costs, SettingError, SimulationError, simulate
from labkit.sim.building import build
from labkit.sweep import cluster, read, sweep
from labkit.sweep.point import SCHEMA
from labkit.trace.errors import ForeignFile, WriteFailed
from labkit.workload import Class, Closed, Compute, Exponential, Poisson, Workload

RUN = CliRunner()
WEB = Workload(
    name="web",
    classes=(
        Class(name="get", arrivals=Poisson(50_000), phases=(Compute(Exponential("20us")),)),
        Class(
            name="put",
            arrivals=Poisson(5_000),
            phases=(Compute(Exponential("50us")),),
            deadline="100us",
        ),
    ),
    duration="5ms",
)
GRID: dict[str, Any] = {"policies": ("fifo", "las:quantum_us=20"), "servers": (2, 4), "seeds": 2}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LABKIT_POLICIES", str(tmp_path / "policies"))
    yield tmp_path


def test_every_combination_is_in_one_file(folder: Path) -> None:
    told: list[tuple[int, int, str]] = []
    costs = Costs.counted()
    table = sweep(
        folder / "s.parquet",
        WEB,
        **GRID,
        loads=(0.5, 1),
        costs=costs,
        progress=lambda *said: told.append(said),
    )
    assert dict(table.schema) == SCHEMA and table["error"].null_count() == table.height
    assert table["key"].n_unique() == 16 and table.height == 32
    assert told[0] == (0, 16, "") and told[-1][:2] == (16, 16) and len(told) == 17
    assert read(folder / "s.parquet").equals(table)
    assert not list(folder.glob("*.part"))
    # Any row is what simulate() gives.
    row = table.filter(
        (pl.col("policy") == "fifo") & (pl.col("load") == 1) & (pl.col("class") == "put")
    ).row(0, named=True)
    run = simulate("fifo", WEB, servers=2, seed=1, costs=costs)
    assert row["come"] == run.counters["fifo/put:come"]
    assert row["late"] == run.counters["fifo/put:late"]
    assert row["p99_ns"] == run.samples.filter(pl.col("series") == "fifo/put/p99")["value"][0]
    half = table.filter((pl.col("load") == 0.5) & (pl.col("class") == "get"))["come"].mean()
    full = table.filter((pl.col("load") == 1) & (pl.col("class") == "get"))["come"].mean()
    assert half == pytest.approx(full / 2, rel=0.2)  # type: ignore[operator]


def test_the_same_sweep_again_simulates_nothing(folder: Path) -> None:
    file = folder / "s.parquet"
    first = sweep(file, WEB, **GRID)
    told: list[tuple[int, int, str]] = []
    again = sweep(file, WEB, **GRID, progress=lambda *said: told.append(said))
    assert told == [(8, 8, "from before")] and again.equals(first)
    # One with more seeds takes what there is; what is not asked for stays in the file.
    more = sweep(file, WEB, **GRID | {"seeds": 3}, progress=lambda *said: told.append(said))
    assert told[1] == (8, 12, "from before") and more["key"].n_unique() == 12
    less = sweep(file, WEB, **GRID | {"seeds": [7]})
    assert less["key"].n_unique() == 4 and read(file)["key"].n_unique() == 16


@pytest.mark.long
def test_another_workload_or_policy_is_another_point(folder: Path) -> None:
    file = folder / "s.parquet"
    grid: dict[str, Any] = {"policies": ("wrong",)}
    build(source(), "wrong")
    first = sweep(file, WEB, **grid)
    assert sweep(file, WEB, **grid)["key"].to_list() == first["key"].to_list()
    build(source(), "wrong")
    assert sweep(file, WEB, **grid)["key"].to_list() == first["key"].to_list()
    build(source(DUMP='umcg_print(s, "!");'), "wrong")
    changed = sweep(file, WEB, **grid)["key"].to_list()
    assert changed != first["key"].to_list()
    longer = dataclasses.replace(WEB, duration="6ms")
    assert sweep(file, longer, **grid)["key"].to_list() != changed


@pytest.mark.long
def test_an_interrupted_sweep_goes_on(folder: Path) -> None:
    """Ctrl-C in the middle: what was finished is not simulated again, the result is the same."""
    long = dataclasses.replace(WEB, duration="400ms")
    w.save(long, folder / "web.json")
    command = [sys.executable, "-m", "labkit.cli", "sweep", "web.json", "-o", "s.parquet"]
    command += ["-p", "fifo", "-p", "lifo", "--seeds", "6", "--jobs", "2"]
    program = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE)
    journal = folder / "s.parquet.part"
    while not journal.exists() or journal.read_text().count("\n") < 3:
        assert program.poll() is None
        time.sleep(0.01)
    program.send_signal(signal.SIGINT)
    _, said = program.communicate(timeout=500)
    assert program.returncode == 130 and b"the same command goes on" in said
    finished = journal.read_text().count("\n")
    assert 3 <= finished < 12 and not (folder / "s.parquet").exists()
    # A line that was cut short is done again.
    with open(journal, "a", encoding="utf-8") as file:
        file.write('[{"key": "abc')
    told: list[tuple[int, int, str]] = []
    grid: dict[str, Any] = {"policies": ("fifo", "lifo"), "seeds": 6}
    table = sweep(folder / "s.parquet", long, **grid, progress=lambda *said: told.append(said))
    assert told[0] == (finished, 12, "from before")
    assert table.equals(sweep(folder / "other.parquet", long, **grid))


def test_a_policy_that_goes_wrong_is_a_row_that_says_so(folder: Path) -> None:
    build(source(NEXT="if (s->random & 1) *(volatile int *)8 = 1;"), "wrong")
    table = sweep(folder / "s.parquet", WEB, policies=("fifo", "wrong"), seeds=2)
    wrong = table.filter(pl.col("error").is_not_null())
    assert set(wrong["policy"]) == {"wrong"} and set(wrong["seed"]) == {1}
    assert wrong["error"][0].startswith("policy wrong crashed (SIGSEGV")
    assert "1 simulations are missing" in plot_sweep(table).layout.title.text


@pytest.mark.long
def test_on_a_dask_cluster_of_two_workers(folder: Path) -> None:
    """A real cluster: a scheduler and two worker processes. A policy of one's own travels along.

    Interrupted, it keeps what has come back, and goes on with the rest.
    """
    distributed = pytest.importorskip("distributed")
    build(source(), "wrong")
    grid = GRID | {"policies": ("las:quantum_us=20", "wrong")}
    here = sweep(folder / "here.parquet", WEB, **grid)
    file = folder / "there.parquet"
    told: list[tuple[int, int]] = []

    def interrupt(done: int, of: int, what: str) -> None:
        told.append((done, of))
        if done == 3:
            raise KeyboardInterrupt

    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        with pytest.raises(KeyboardInterrupt):
            sweep(file, WEB, **grid, dask=address, progress=interrupt)
        assert told == [(0, 8), (1, 8), (2, 8), (3, 8)] and not file.exists()
        told.clear()
        there = sweep(
            file, WEB, **grid, dask=address, progress=lambda done, of, _: told.append((done, of))
        )
        assert told == [(done, 8) for done in range(3, 9)] and file.exists()
        with distributed.Client(cluster) as client:
            ran = client.run(lambda: __import__("os").getpid())
    assert len(ran) == 2 and there.equals(here)


@pytest.mark.slow
def test_no_cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER_S", 0.5)
    with pytest.raises(SimulationError, match="no Dask scheduler answers at tcp://127"):
        sweep(folder / "s.parquet", WEB, policies=("fifo",), dask="tcp://127.0.0.1:1")


@pytest.mark.parametrize(
    "grid, says",
    [
        ({"policies": ("fif",)}, "there is no policy 'fif'; did you mean 'fifo'?"),
        ({"policies": ()}, r"policies is \(\); give one or more"),
        ({"policies": ("fifo", "fifo")}, "policies: 'fifo' stands there twice"),
        ({"policies": (3,)}, "policies: 3 is no name; a sweep takes policies by name"),
        ({"loads": (0,)}, "load is 0; give a number above 0"),
        ({"seeds": 0}, "seeds is 0; give how many, from 1, or a list"),
        ({"jobs": 0}, "jobs is 0; give how many at once, from 1"),
        ({"servers": (0,)}, "servers is 0; give a whole number from 1"),
    ],
)
def test_a_grid_that_cannot_be(folder: Path, grid: dict[str, Any], says: str) -> None:
    with pytest.raises((ChoiceError, SettingError), match=says):
        sweep(folder / "s.parquet", WEB, **{"policies": ("fifo",)} | grid)


def test_a_closed_loop_has_no_load(folder: Path) -> None:
    loop = Class(name="loop", arrivals=Closed(2), phases=(Compute(5),), jobs=4)
    with pytest.raises(SettingError, match="has no open loop"):
        sweep(folder / "s.parquet", Workload(classes=(loop,)), ("fifo",), loads=(2,))


def test_another_file_is_left_alone(folder: Path) -> None:
    (folder / "s.parquet").write_text("mine")
    with pytest.raises(ForeignFile, match="is no sweep"):
        sweep(folder / "s.parquet", WEB, ("fifo",))
    pl.DataFrame({"a": [1]}).write_parquet(folder / "t.parquet")
    with pytest.raises(ForeignFile, match="is Parquet, but no sweep"):
        sweep(folder / "t.parquet", WEB, ("fifo",))
    with pytest.raises(WriteFailed, match="is a folder"):
        sweep(folder, WEB, ("fifo",))
    assert (folder / "s.parquet").read_text() == "mine"


@pytest.mark.long
def test_the_figure(folder: Path) -> None:
    table = sweep(folder / "s.parquet", WEB, **GRID, loads=(0.5, 0.8, 1))
    figure = plot_sweep(table)
    assert {trace.name for trace in figure.data} == {
        f"{policy}, servers {n}" for policy in GRID["policies"] for n in GRID["servers"]
    }
    assert list(figure.data[0].x) == [0.5, 0.8, 1.0]
    row = table.filter(
        (pl.col("class") == "get") & (pl.col("policy") == "fifo") & (pl.col("servers") == 2)
    )
    assert figure.data[0].y[0] == row.filter(pl.col("load") == 0.5)["p99_ns"].median()
    assert "24 simulations, 2 seeds" in figure.layout.meta["caption"]
    assert list(plot_sweep(table, "late", x="servers").data[0].x) == [2, 4]
    with pytest.raises(ValueError, match="y is 'p99'; choose from p50_ns"):
        plot_sweep(table, "p99")
    with pytest.raises(ValueError, match="x is 'seed'; choose from load, servers, policy"):
        plot_sweep(table, x="seed")


@pytest.mark.long
def test_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    w.save(WEB, folder / "web.toml")
    words = ["sweep", "web.toml", "-p", "fifo", "-o", "s.parquet", "--servers", "1,2"]
    made = RUN.invoke(app, [*words, "--loads", "0.5,1", "--figure", "s.html"])
    assert made.exit_code == 0, made.output
    assert "4 simulations in s.parquet" in made.stderr and (folder / "s.html").exists()
    assert RUN.invoke(app, [*words, "--loads", "half"]).exit_code == 2
    assert RUN.invoke(app, [*words, "--costs", "some"]).exit_code == 2
    assert RUN.invoke(app, [*words, "-p", "fif"]).exit_code == 2
    assert RUN.invoke(app, ["sweep", "no.toml", "-p", "fifo", "-o", "s.parquet"]).exit_code == 4
    made = RUN.invoke(app, ["sweep", "web.toml", "-p", "fifo", "-o", "web.toml"])
    assert made.exit_code == 4 and "would be lost" in made.stderr
    build(source(NEXT="*(volatile int *)8 = 1;"), "wrong")
    made = RUN.invoke(app, ["sweep", "web.toml", "-p", "wrong", "-o", "t.parquet"])
    assert made.exit_code == 1 and "in 1 simulations the policy went wrong" in made.stderr
