# SPDX-License-Identifier: MIT
"""What the notebooks stand on: live or recorded, sentences and claims, figures, patches."""

import math

import polars as pl
import pytest
from synthetic import ENVIRONMENT, record, samples

from labkit import course, plots
from labkit.analysis import MissingEvents, MissingSamples, NotComparable
from labkit.course.lab import Lab
from labkit.native import engine
from labkit.plots import Interval, plot_intervals
from labkit.run import Run
from labkit.trace import schema
from labkit.trace.errors import TracingUnavailable
from labkit.trace.kernel import KernelTrace


def run(**changes):
    made = record(**changes)
    return Run(**made.__dict__)


# --- sentences ---


@pytest.mark.parametrize(
    ("unit", "slow", "fast"),
    [("ns", "worse", "better"), ("op/s", "better", "worse"), ("cpu", "more", "less")],
)
def test_the_word_follows_the_data(unit, slow, fast):
    made = run(samples=samples({"a": 200.0, "b": 100.0, "c": 101.0}, unit=unit, spread=0.03))
    assert course.say(made, "a", "b").word == slow
    assert course.say(made, "b", "a").word == fast
    assert course.say(made, "c", "b").word == "no difference"


def test_too_few_values_give_no_verdict():
    assert course.say(run(samples=samples({"a": 2, "b": 1}, n=2)), "a", "b").word == (
        "too few values"
    )


def test_a_prediction_is_held_against_the_interval():
    made = run(samples=samples({"a": 200.0, "b": 100.0}, spread=0.01))
    asked = {p: str(course.say(made, "a", "b", predicted=p)) for p in (2.0, 1.0, 4.0, None, 0)}
    assert asked[2.0].endswith("within the interval.")
    assert asked[1.0].endswith("times off.") and asked[4.0].endswith("times off.")
    assert asked[None].endswith("not written down a prediction.")
    assert asked[0].endswith("a ratio is above 0.")
    assert "predict" not in str(course.say(made, "a", "b"))


def test_a_machine_so_busy_that_nothing_was_done_breaks_no_sentence():
    still = samples({"a": 0.0, "b": 100.0}, unit="op/s")
    said = course.say(run(samples=still), "a", "b", predicted=1.5)
    assert said.ratio == 0 and str(said).endswith("You predicted 1.5.")
    other = course.say(run(samples=still), "b", "a", predicted=1.5)
    assert math.isinf(other.ratio) and str(other).endswith("You predicted 1.5.")
    neither = samples({"a": 0.0, "b": 0.0}, unit="op/s")
    said = course.say(run(samples=neither), "a", "b", predicted=1.5)
    assert said.word == "too few values" and str(said).endswith("You predicted 1.5.")
    both = samples({"a": 300.0, "b": 100.0}, unit="op/s")
    part = both.with_columns(value=pl.when(pl.col("repetition") < 2).then(0.0).otherwise("value"))
    assert course.say(run(samples=part), "a", "b").word == "too few values"


def test_a_sentence_shows_its_figures():
    said = course.say(run(), "umcg/sleep", "pthread/sleep")
    for part in ("umcg/sleep", "pthread/sleep", f"{said.ratio:.3g}", "9 repetitions", "ns"):
        assert part in str(said)
    assert f"**{said.word}**" in said._repr_markdown_()


def test_the_unit_can_be_chosen_and_must_be_there():
    both = pl.concat([samples({"a": 2, "b": 1}), samples({"a": 3, "b": 1}, unit="cpu")])
    made = run(samples=both)
    assert round(course.say(made, "a", "b").ratio) == 2
    assert round(course.say(made, "a", "b", unit="cpu").ratio) == 3
    with pytest.raises(MissingSamples, match=r"op/s; the run has a, b"):
        course.say(made, "a", "b", unit="op/s")
    with pytest.raises(MissingSamples, match="'zzz'"):
        course.say(made, "a", "zzz")


def test_two_runs_are_compared_by_what_was_asked_of_them():
    short, long = (
        run(spec={"experiment": "preempt", "slice_us": us}, samples=samples({"umcg": value}))
        for us, value in ((500, 10.0), (2000, 40.0))
    )
    said = course.say_across(short, long, "umcg", predicted=0.25)
    assert said.word == "better" and round(said.ratio, 1) == 0.2
    assert "umcg (slice_us 500)" in str(said) and "umcg (slice_us 2000)" in str(said)
    with pytest.raises(MissingSamples):
        course.say_across(short, long, "pthread")


def test_sentences_across_boots_are_refused_and_unknown_boots_are_said():
    here, there = run(), run()
    there.environment = dict(ENVIRONMENT) | {"boot_id": "other"}
    with pytest.raises(NotComparable, match="boot: other and b00d"):
        course.say_across(there, here, "umcg/sleep")
    there.environment.pop("boot_id")
    said = str(course.say_across(there, here, "umcg/sleep"))
    assert said.endswith("(Whether both are of one boot was not recorded.)")


def test_an_answer_is_put_beside_the_prediction(capsys):
    course.answer("At most", 1, 1)
    course.answer("At most", 2, 1)
    course.answer("At most", None, 1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "At most: 1. You predicted 1: right."
    assert lines[1] == "At most: 1. You predicted 2."
    assert "not written down" in lines[2]


# --- claims and traces ---


def test_a_claim_that_does_not_hold_raises(capsys):
    course.claim("two and two is four", True)
    assert capsys.readouterr().out == "✓ two and two is four\n"
    with pytest.raises(AssertionError, match="does not hold: a lie"):
        course.claim("a lie", False)


def test_the_protocol_is_checked(capsys):
    made = run()
    course.check(made)
    said = capsys.readouterr().out
    assert said.count("✓") >= 10 and "PASSED" in said
    worker = made.tasks.filter(pl.col("role") == "worker")["tid"][0]
    mine = (pl.col("tid") == worker) & (pl.col("new") == "running")
    broken = made.events.filter(~mine)
    with pytest.raises(AssertionError, match="FAILED"):
        course.check(run(events=broken))
    course.check(run(events=broken, counters={"lost": 1}))
    assert "?" in capsys.readouterr().out


def rows(*given):
    names = ("t", "tid", "kind", "old", "new", "peer")
    return schema.events([dict(zip(names, row, strict=True)) for row in given])


SERVER, FIRST, SECOND = 1, 2, 3
TASKS = schema.tasks(
    [
        {"tid": SERVER, "role": "server", "name": "server 0", "series": "umcg/x"},
        {"tid": FIRST, "role": "worker", "name": "worker 0", "series": "umcg/x"},
        {"tid": SECOND, "role": "worker", "name": "worker 1", "series": "umcg/x"},
    ]
)
#: The first worker blocks, the second runs meanwhile; the second blocks, no other runs.
EVENTS = rows(
    (0, SERVER, "register", "none", "running", 0),
    (10, SERVER, "run", "running", "idle", FIRST),
    (10, FIRST, "run", "idle", "running", SERVER),
    (20, FIRST, "block", "running", "blocked", SERVER),
    (20, SERVER, "block", "idle", "running", FIRST),
    (30, SERVER, "run", "running", "idle", SECOND),
    (30, SECOND, "run", "idle", "running", SERVER),
    (40, SECOND, "block", "running", "blocked", SERVER),
    (40, SERVER, "block", "idle", "running", SECOND),
    (50, SERVER, "run", "running", "idle", SECOND),
    (50, SECOND, "run", "idle", "running", SERVER),
    (60, SECOND, "yield", "running", "idle", SERVER),
    (60, SERVER, "yield", "idle", "running", SECOND),
    (70, SERVER, "run", "running", "idle", FIRST),
    (70, FIRST, "run", "idle", "running", SERVER),
    (80, FIRST, "unregister", "running", "none", SERVER),
)


def test_who_ran_while_a_worker_was_blocked():
    table = course.meanwhile(run(events=EVENTS, tasks=TASKS))
    assert table.rows() == [("umcg/x", 2, 1, 1.0)]


def test_how_many_run_at_once():
    table = course.running_at_once(run(events=EVENTS, tasks=TASKS), "umcg/x")
    assert table["running"].to_list() == [1] and table["share"].to_list() == [1.0]
    both = rows(
        (0, FIRST, "run", "idle", "running", SERVER),
        (10, SECOND, "run", "idle", "running", SERVER),
        (30, FIRST, "yield", "running", "idle", SERVER),
        (40, SECOND, "yield", "running", "idle", SERVER),
        (50, FIRST, "run", "idle", "running", SERVER),
    )
    table = course.running_at_once(run(events=both, tasks=TASKS), "umcg/x")
    assert table.rows() == [(0, 0.2), (1, 0.4), (2, 0.4)]
    servers = course.running_at_once(run(events=EVENTS, tasks=TASKS), "umcg/x", role="server")
    assert servers["running"].to_list() == [0, 1]


def test_transitions_say_who_makes_them():
    table = course.transitions(run(events=EVENTS, tasks=TASKS), "umcg/x")
    by = {tuple(row[:4]): row[4:] for row in table.iter_rows()}
    assert by["worker", "block", "running", "blocked"] == ("kernel", 2)
    assert by["server", "run", "running", "idle"] == ("self", 4)
    assert by["worker", "run", "idle", "running"] == ("server", 4)


@pytest.mark.parametrize(("order", "share"), [((2, 3, 4), 1.0), ((4, 3, 2), 0.0)])
def test_first_come_or_last_come(order, share):
    came = [(t, tid, "umcg_wake", "blocked", "idle", 0) for t, tid in enumerate((2, 3, 4))]
    went = [(10 + t, tid, "umcg_run", "idle", "running", 1) for t, tid in enumerate(order)]
    made = run(events=rows(*came, *went))
    assert course.pairs_in_order(made, "umcg_wake", "umcg_run") == share


def test_nobody_waited_together():
    events = rows(
        (0, 2, "umcg_wake", "blocked", "idle", 0),
        (1, 2, "umcg_run", "idle", "running", 1),
        (2, 3, "umcg_wake", "blocked", "idle", 0),
        (3, 3, "umcg_run", "idle", "running", 1),
    )
    assert math.isnan(course.pairs_in_order(run(events=events), "umcg_wake", "umcg_run"))


def test_the_kernels_rows_of_the_runs_tasks_are_added():
    kernel = rows(
        (15, FIRST, "umcg_block", "running", "blocked", SERVER),
        (15, 98, "umcg_block", "running", "blocked", 99),
        (16, 0, "sched_switch", "none", "none", FIRST),  # the CPU goes idle
        (17, 98, "sched_switch", "none", "none", 99),
    )
    made = course.with_kernel(run(events=EVENTS, tasks=TASKS), KernelTrace(kernel, lost=3))
    assert made.events.height == EVENTS.height + 2
    assert made.events["t"].is_sorted()
    assert made.counters["lost"] == 3


# --- live or recorded ---


@pytest.fixture
def stock(monkeypatch, tmp_path):
    """A machine without UMCG, in a folder with recordings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("labkit.native.engine.enabled", lambda: False)
    (tmp_path / "recorded").mkdir()
    return tmp_path / "recorded"


def test_the_opening_line_says_where_and_why(stock):
    lab = course.begin("02-swap")
    for part in ("Linux", "backend", "accelerator", "CPU", "no UMCG", "Python (UMCG)"):
        assert part in str(lab)
    assert not lab.live
    assert "You are on" in lab._repr_html_()


def test_without_umcg_the_recorded_run_is_shown(stock, capsys):
    run().save(stock / "04-blocking.parquet")
    lab = course.begin("04-blocking")
    shown = lab.run("block", workers=5)
    assert shown.samples.equals(record().samples)
    assert "Recorded 2026-01-01: Linux 6.1.0-model, 2 CPUs, backend UMCG" in capsys.readouterr().out
    lab.run("block", workers=7)
    assert "workers 7 (it has 5)" in capsys.readouterr().out


def test_the_panel_gets_the_recorded_run_and_the_notebook_uses_it(stock):
    run().save(stock / "04-blocking.parquet")
    lab = course.begin("04-blocking")
    panel = lab.panel("block", works=("sleep",))
    assert lab.result(panel).environment == ENVIRONMENT


def test_what_is_not_recorded_is_said(stock, monkeypatch):
    monkeypatch.setattr("labkit.course.lab.REPOSITORY", stock)
    with pytest.raises(course.Missing, match=r"no recorded 99-new-other\.parquet.*Python \(UMCG\)"):
        course.begin("99-new").run("block", name="other")


def test_what_needs_no_umcg_is_measured_anywhere(stock, capsys):
    lab = course.begin("01-price-of-a-hand-off")
    fields = {"methods": ("futex",), "placements": ("pinned",), "value_ms": 1, "repetitions": 1}
    assert lab.run("swap", anywhere=True, **fields).samples.height
    panel = lab.panel("swap", anywhere=True, **fields)
    assert lab.result(panel).samples.height
    assert capsys.readouterr().out.count("Measured here.") == 2


def test_a_notebook_says_what_ended_its_run(stock, monkeypatch):
    """Where it is executed by a program, the panel's own words are not seen."""

    def fails(*_: object) -> None:
        raise engine.PolicyFault("thread 5 is lost")

    monkeypatch.setattr("labkit.api.run", fails)
    lab = course.begin("01-price-of-a-hand-off")
    panel = lab.panel("swap", anywhere=True)
    with pytest.raises(engine.PolicyFault, match="thread 5 is lost"):
        lab.result(panel)
    assert panel.failed is not None and not panel.running
    monkeypatch.undo()
    monkeypatch.setattr("labkit.native.engine.enabled", lambda: False)
    for name, value in (("methods", ("futex",)), ("placements", ("pinned",)), ("value_ms", 1)):
        panel.controls[name].value = value
    assert lab.result(panel).samples.height and panel.failed is None, "it can be run again"


def test_what_is_measured_anywhere_is_not_recorded(stock, monkeypatch):
    lab = live(monkeypatch, stock)
    fields = {"methods": ("futex",), "placements": ("pinned",), "value_ms": 1, "repetitions": 1}
    lab.run("swap", anywhere=True, **fields)
    lab.result(lab.panel("swap", anywhere=True, **fields))
    assert not list(stock.iterdir())


def live(monkeypatch, folder) -> Lab:
    lab = course.begin("03-servers")
    lab.live, lab.environment = True, dict(ENVIRONMENT)
    monkeypatch.setenv("LABKIT_RECORD", str(folder))
    return lab


def own_table():
    return pl.DataFrame({"ran": ["worker 0"], "turn": [1]})


def own_run():
    return run()


@pytest.mark.parametrize("make", [own_table, own_run])
def test_what_is_made_live_is_what_is_shown_later(stock, monkeypatch, capsys, make):
    made = live(monkeypatch, stock).result_of(make)
    assert [path.stem for path in stock.iterdir()] == [
        f"03-servers-{make.__name__}".replace("_", "-")
    ]
    monkeypatch.delenv("LABKIT_RECORD")
    assert capsys.readouterr().out == "Measured here.\n"
    shown = course.begin("03-servers").result_of(make)
    if isinstance(made, pl.DataFrame):
        assert shown.equals(made)
    else:
        assert shown.events.equals(made.events)
    assert "Recorded 2026-01-01" in capsys.readouterr().out


@pytest.mark.parametrize("make", [own_table, own_run])
def test_what_may_not_be_traced_is_shown_as_recorded_and_never_saved_as_new(
    stock, monkeypatch, capsys, make
):
    lab = live(monkeypatch, stock)
    made = lab.result_of(make)
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in stock.iterdir()}

    def refused():
        raise TracingUnavailable("run as root")

    refused.__name__ = make.__name__
    assert type(lab.result_of(refused)) is type(made)
    said = capsys.readouterr().out
    assert "Not measured here: run as root." in said
    assert "Measured here." not in said
    assert "Recorded 2026-01-01: Linux 6.1.0-model" in said
    assert {path: path.stat().st_mtime_ns for path in stock.iterdir()} == before
    assert "unless a cell says that it is not" in str(lab)


# --- figures ---


def test_a_close_up_shows_so_many_changes():
    view = course.close_up(run(), changes=30, begin=0.5)
    assert "Every one of" in view.drawing["notice"]
    shown = int(view.drawing["notice"].split()[3])
    assert 30 <= shown <= 36  # rows of one instant stay together
    whole = course.close_up(run(), changes=10**6)
    assert whole.window[0] == 0


def test_a_storm_is_shown_from_the_call_to_the_last_that_ran():
    """The second of three; a worker that was not asleep yet is called later, by itself."""
    called, both = (100, 1_000, 1_500, 2_000), (FIRST, SECOND)
    crowds = (both, both, (FIRST,), both)
    made = [
        row
        for call, tids in zip(called, crowds, strict=True)
        for i, tid in enumerate(tids)
        for row in (
            (call + 40 * (i + 1), tid, "run", "idle", "running", SERVER, 0),
            (call + 40 * (i + 1), tid, "op", "running", "running", 0, 40 * (i + 1)),
            (call + 40 * (i + 1) + 9, tid, "block", "running", "blocked", SERVER, 0),
        )
    ]
    names = ("t", "tid", "kind", "old", "new", "peer", "arg")
    events = schema.events([dict(zip(names, row, strict=True)) for row in made])
    begin = events["t"][0]
    t0, t1 = course.storm(run(events=events, tasks=TASKS), "umcg/x").window
    assert (t0, t1) == (1_000 - 4 - begin, 1_080 + 4 - begin)
    with pytest.raises(MissingEvents, match="no thread was woken"):
        course.storm(run(events=EVENTS, tasks=TASKS), "umcg/x")


def test_figures_say_their_origin():
    made = run()
    for figure in (course.values(made), course.ratios(made), course.tail(made, "op")):
        words = figure.layout.meta["caption"]
        assert "kernel 6.1.0-model" in words and "commit 0123456" in words
    with pytest.raises(MissingSamples, match="furlong"):
        course.values(made, "furlong")


def test_tables_show_every_row_plainly():
    rows = pl.DataFrame({"who": ["worker <0>"] * 60, "kept": [True] * 60, "ns": [1.23456] * 60})
    shown = course.table(rows, "a caption").data
    assert shown.count("worker &lt;0&gt;") == 60 and shown.count("yes") == 60
    assert "1.235" in shown and "a caption" in shown
    verdict = course.verdicts([course.say(run(), "umcg/sleep", "pthread/sleep")]).data
    assert "better" in verdict and "pthread/sleep" in verdict


def test_dots_tell_what_is_not_distinguishable():
    dots = [
        Interval("a", 0.5, 0.4, 0.6),
        Interval("c", 1.1, 0.9, 1.3),
        Interval("d", 2.0, math.nan, math.nan),
    ]
    figure = plot_intervals(dots, run(), "Ratio", "ratio", ratio=True)
    symbols = {y: one.marker.symbol for one in figure.data for y in one.y}
    assert symbols == {0: "circle", 1: "circle-open", 2: "circle-open"}
    assert list(figure.layout.yaxis.ticktext) == ["a", "c", "d"]
    assert figure.layout.meta["caption"] == plots.caption(run())
    said = [text for one in figure.data for text in one.text]
    assert said[0] == "a: 0.5 (0.4 to 0.6)"


@pytest.mark.parametrize("dots", [[], [Interval("a", 0.0, 0.0, 0.0)]])
def test_dots_must_be_above_zero(dots):
    with pytest.raises(ValueError, match="above 0"):
        plot_intervals(dots, run(), "t", "u")


# --- patches ---


def test_the_series_is_read_from_the_repository():
    series = course.patches()
    assert [patch.number for patch in series] == list(range(1, len(series) + 1))
    assert all(patch.subject and "[PATCH" not in patch.subject for patch in series)
    assert all(patch.message and "diff --git" not in patch.message for patch in series)
    assert sum(patch.files.added for patch in series) > 1000
    assert any(file.is_added_file for patch in series for file in patch.files)


def test_without_the_repository_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("labkit.course.series.REPOSITORY", tmp_path)
    with pytest.raises(course.Missing, match="open the notebook in the repository"):
        course.patches()
