# SPDX-License-Identifier: MIT
"""What a notebook's user does with a run: look, compare, export, write a page."""

import base64
import html
import json
import re
from pathlib import Path

import polars as pl
import pytest
import synthetic

import labkit
from labkit import plots
from labkit.analysis.compare import NotComparable
from labkit.analysis.requires import MissingEvents, MissingSamples
from labkit.panels import Timeline
from labkit.records import EVENT_SCHEMA, empty
from labkit.run import Run
from labkit.trace import perfetto
from labkit.trace.errors import WriteFailed

RECORDED = Path(__file__).parents[2] / "notebooks/recorded"
MEDIANS = {"umcg/sleep": 800.0, "pthread/sleep": 1000.0}


def a_run(**changes):
    return Run(**vars(synthetic.record(**changes)))


def with_medians(**medians):
    return a_run(samples=synthetic.samples(MEDIANS | medians, n=20))


def test_compare_says_how_the_second_differs_from_the_first():
    before = with_medians()
    after = with_medians(**{"umcg/sleep": 400.0})
    rows = {row["series"]: row for row in labkit.compare(before, after).iter_rows(named=True)}
    assert set(rows) == set(MEDIANS)
    faster = rows["umcg/sleep"]
    assert faster["value_a"] == pytest.approx(800, rel=0.05)
    assert faster["value_b"] == pytest.approx(400, rel=0.05)
    assert faster["ci_low"] < faster["ratio"] < faster["ci_high"] < 0.55
    assert faster["ratio"] == pytest.approx(faster["value_b"] / faster["value_a"])
    same = rows["pthread/sleep"]
    assert same["ci_low"] <= 1 <= same["ci_high"]
    back = {row["series"]: row for row in labkit.compare(after, before).iter_rows(named=True)}
    assert back["umcg/sleep"]["ratio"] == pytest.approx(1 / faster["ratio"])


def test_what_cannot_be_compared_says_why():
    run = with_medians()
    elsewhere = a_run(environment=synthetic.ENVIRONMENT | {"accelerator": "kvm"})
    with pytest.raises(NotComparable, match="accelerator: 'tcg' and 'kvm'"):
        labkit.compare(run, elsewhere)
    with pytest.raises(NotComparable, match="'block' and 'swap'"):
        labkit.compare(run, a_run(spec={"experiment": "swap"}))


def test_the_figure_shows_each_task_and_the_time_asked_for():
    run = a_run()
    whole = run.timeline().svg
    assert all(f">{name}</text>" in whole for name in run.tasks["name"])
    assert "Timeline: umcg/model" in whole
    times = run.events["t"]
    t0, t1 = int(times[100]), int(times[200])
    part = run.timeline("umcg/model", t0, t1).svg
    drawn = [int(row) for row in re.findall(r'data-r="(\d+)"', part)]
    assert drawn and set(drawn) <= set(range(100, 201))
    with pytest.raises(MissingEvents, match="the run has umcg/model"):
        run.timeline("typo")
    with pytest.raises(MissingEvents, match="record it with tracing on"):
        a_run(events=empty(EVENT_SCHEMA)).timeline()


def test_the_widget_is_of_the_series_asked_for():
    run = a_run()
    widget = labkit.timeline(run, "umcg/model")
    assert isinstance(widget, Timeline) and widget.series == "umcg/model"
    assert "umcg/model" in labkit.timeline(run).series
    with pytest.raises(MissingEvents):
        labkit.timeline(run, "typo")


def test_it_opens_in_perfetto_from_a_page_of_its_own(monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    page = a_run().open_in_perfetto()
    try:
        text = page.read_text(encoding="utf-8")
        assert opened == [page.as_uri()]
        inside = re.search(r'atob\("([^"]+)"\)', text)[1]
        assert base64.b64decode(inside) == perfetto.to_bytes(a_run())
        assert "postMessage" in text and "<script src" not in text
    finally:
        page.unlink()


def test_a_notebook_shows_the_button_in_its_cell(monkeypatch):
    shown = []
    monkeypatch.setattr("labkit.trace.perfetto_page.in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    assert a_run().open_in_perfetto() is None
    assert "<button" in shown[0].data
    monkeypatch.setattr("labkit.trace.perfetto_page.MOST_IN_A_CELL", 10)
    with pytest.raises(WriteFailed, match=r"run\.export"):
        a_run().open_in_perfetto()


def test_report_and_export_write_what_they_say(tmp_path):
    run = a_run()
    page = run.report(tmp_path / "page.html")
    assert page == tmp_path / "page.html"
    text = html.unescape(page.read_text(encoding="utf-8"))
    # The figures themselves, not only words: the ratio of the table stands in the page.
    shares = labkit.analysis.df_occupancy(run)["running"]
    assert f"{shares[0]:.1%}" in text
    trace = run.export(tmp_path / "run.pftrace")
    assert trace.stat().st_size > 10 * run.events.height
    for write in (run.report, run.export):
        with pytest.raises(WriteFailed, match="create it first"):
            write(tmp_path / "none" / "file")


def test_every_series_is_shown_however_many_there_are():
    names = [f"umcg-{how}/{n} servers" for how in ("swap", "futex") for n in range(1, 10)]
    run = a_run(samples=synthetic.samples(dict.fromkeys(names, 100.0)))
    assert run.table().height == 18
    for shown in (html.unescape(run._repr_html_()), repr(run)):
        assert [name for name in names if name not in shown] == []
        assert "…" not in shown and "⋮" not in shown
    assert "shape:" not in run._repr_html_()


def test_tables_that_a_cell_ends_with_are_whole_and_have_four_digits():
    values = {f"{how}/{n} cpus": 2685.260417 for how in ("umcg-futex", "futex") for n in range(12)}
    run = a_run(samples=synthetic.samples(values, spread=0), spec={"experiment": "wake"})
    for table in (run.table(), run.ratios(), run.compare(run), labkit.compare(run, run)):
        assert table.height in (12, 24)
        for shown in (repr(table), str(table), table._repr_html_()):
            assert [name for name in table["series"] if name not in shown] == []
            assert "…" not in shown and "⋮" not in shown and "&quot;" not in shown
            assert "2685.0" in shown and "2685.26" not in shown
        assert isinstance(table, pl.DataFrame)
        floats = table.select(pl.selectors.float()).columns
        assert "2685.26" in str(table.get_column(floats[0])[0])


def test_its_table_has_four_digits_and_says_what_its_quartiles_are():
    run = a_run(samples=synthetic.samples({"umcg/sleep": 2685.260417}, n=5))
    median = run.table()["median"][0]
    assert f"{median:.9g}" not in repr(run) + run._repr_html_()
    for shown in (repr(run), run._repr_html_()):
        assert f"{float(f'{median:.4g}')}" in shown
        assert "q1" in shown and "q3" in shown
    assert {"ci_low", "ci_high"} <= set(a_run().ratios().columns)


def test_a_run_is_compared_with_another():
    before, after = with_medians(), with_medians(**{"umcg/sleep": 400.0})
    assert after.compare(before).equals(labkit.compare(before, after))
    row = after.compare(before).filter(series="umcg/sleep").row(0, named=True)
    assert row["ratio"] == pytest.approx(0.5, rel=0.1), "this run over the other"


def test_a_part_of_a_run_is_what_it_has_of_some_series():
    names = ["umcg/sleep", "umcg/sleep/detection", "umcg/sleepless", "pthread/sleep"]
    whole = a_run(
        samples=synthetic.samples(dict.fromkeys(names, 100.0)),
        counters={"lost": 3, "umcg/sleep:probe_cost": 1.25, "pthread/sleep:probe_cost": 1.5},
    )
    part = whole.of("umcg/sleep")
    assert set(part.samples["series"]) == set(names[:2])
    assert part.counters == {"lost": 3, "umcg/sleep:probe_cost": 1.25}
    assert part.spec == whole.spec and part.environment == whole.environment
    assert set(whole.of(series="umcg").samples["series"]) == set(names[:3])
    assert set(whole.of([names[2], names[3]]).samples["series"]) == set(names[2:])
    traced = whole.of("umcg/model")
    assert set(traced.tasks["series"]) == {"umcg/model"} == set(plots.series_of(traced))
    assert traced.events.height and set(traced.events["tid"]) <= set(traced.tasks["tid"])
    assert whole.of(names[3]).events.is_empty()
    with pytest.raises(MissingSamples, match=r"no series 'umcg/slep' \(did you mean 'umcg/sleep"):
        whole.of("umcg/slep")


def test_a_part_of_a_recorded_run_gives_the_figures_of_the_whole():
    for file in sorted(RECORDED.glob("0[2-6]*.parquet")):
        if file.stem.endswith(("queued-wake-up", "turns", "tracepoints")):
            continue
        run = labkit.load(file)
        for series in run.tasks["series"].unique():
            part = run.of(series)
            mine = labkit.analysis.df_occupancy(run).filter(series=series)
            assert labkit.analysis.df_occupancy(part).equals(mine), (file, series)


# That of server alone is in test_server_load.py.
@pytest.mark.parametrize("what", sorted({*plots.OF_ONE_RUN} - {"load_curve"}))
def test_a_figure_is_had_by_name(what):
    drawn = with_medians().plot(what)
    assert drawn.data or drawn.layout.shapes
    made = getattr(plots, f"plot_{what}")(with_medians())
    assert drawn.layout.meta["title"] == made.layout.meta["title"]


def test_every_figure_of_one_run_has_a_name():
    drawn = {name.removeprefix("plot_") for name in plots.__all__ if name.startswith("plot_")}
    assert drawn - {"intervals", "prediction", "sweep", "timeline"} == set(plots.OF_ONE_RUN)
    with pytest.raises(ValueError, match=r"'ratios' \(did you mean 'ratio'\?\); choose"):
        a_run().plot("ratios")


def test_its_headline_says_what_is_missing():
    run = a_run(counters={"lost": 7, "stopped": 1})
    said = run._repr_html_()
    assert "7 events lost" in said and "stopped before it was complete" in said
    run.environment["stopped_because"] = "CPU 1 went <offline>"
    for shown in (repr(run), html.unescape(run._repr_html_())):
        assert "doubt: the run was stopped" in shown and "CPU 1 went <offline>" in shown
    assert "<offline>" not in run._repr_html_()
    assert re.search(r"on 6\.1\.0-model \(tcg\), 18 values, \d+ events of 7 threads", said)


def test_a_run_is_json_but_for_its_tables():
    run = a_run()
    assert json.loads(json.dumps([run.spec, run.environment, run.counters]))


@pytest.mark.parametrize("given", ["a.parquet", Path("a.parquet"), 3])
def test_what_is_no_run_is_said_so(given):
    """And what to do with the name of a file."""
    run = Run(spec={}, environment={})
    hint = "" if given == 3 else r": labkit\.load\(\) opens a file$"
    with pytest.raises(TypeError, match=f"give a run, not .*{hint}"):
        labkit.timeline(given)
    with pytest.raises(TypeError, match=f"give a run, not .*{hint}"):
        run.compare(given)
