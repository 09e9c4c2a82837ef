# SPDX-License-Identifier: MIT
"""Panels without a page: what the controls ask for, what runs, stops, and is said and shown."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comm
import pytest
import synthetic
from comm.base_comm import BaseComm

import labkit
from labkit import experiments
from labkit.experiments import SPECS, NoUmcgError, SpecError, Update
from labkit.native import checks, engine
from labkit.panels import Panel, live_chart, run_panel
from labkit.panels.controls import values
from labkit.panels.meter import Meter, Reading
from labkit.progress import duration
from labkit.run import Run

SMALL: dict[str, dict[str, Any]] = {
    "swap": {"value_ms": 1, "repetitions": 2, "traced_rounds": 20, "methods": ["futex", "pipe"]},
    "wake": {"workers": 4, "servers": (1, 2), "storms": 3, "repetitions": 2},
    "block": {"workers": 3, "duration_s": 0.05, "repetitions": 2},
    "preempt": {"runaways": 2, "urgent": 1, "duration_s": 0.1, "repetitions": 2},
}

#: Longer than anybody waits: what ends it is Stop.
ENDLESS = {"duration_s": 60.0, "repetitions": 1000, "works": ["sleep"]}


class Recorder(BaseComm):
    """A connection to a page that only notes what is sent."""

    sent: list[dict[str, Any]] = []  # noqa: RUF012

    def publish_msg(self, msg_type: str, data: Any = None, **_: Any) -> None:
        self.sent.append({"type": msg_type, **(data or {})})


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    monkeypatch.setattr(comm, "create_comm", Recorder)
    Recorder.sent.clear()
    yield Recorder.sent
    Recorder.sent.clear()


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("labkit-")]


def alive(panel: Panel, timeout: float = 60) -> None:
    """Wait until the panel has shown what its threads do."""
    seen = threading.Event()
    panel._live.observe(lambda change: change["new"] and seen.set(), "value")
    assert panel._live.value or seen.wait(timeout), "nothing was shown while it ran"


# Controls.


@pytest.mark.parametrize("name", SPECS)
def test_controls_are_the_specs_fields_with_its_defaults(name: str) -> None:
    panel = labkit.panel(name)
    assert list(panel.controls) == [f.name for f in dataclasses.fields(SPECS[name])]
    assert panel.spec() == SPECS[name]()
    for field, control in panel.controls.items():
        assert f"labkit-field-{field}" in control.widget._dom_classes
        assert SPECS[name].params()[field].help, "every field is explained"


@pytest.mark.parametrize("name", SPECS)
def test_every_place_of_every_slider_is_allowed_and_the_ends_are_the_limits(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where memory is no limit, as all of them together ask for 20 GB.
    monkeypatch.setattr(checks, "available_bytes", lambda: 1 << 40)
    panel = labkit.panel(name)
    for field, what in SPECS[name].params().items():
        if what.several or what.policy or what.choices:
            continue
        low, high = what.limits
        offered = [value for _, value in panel.controls[field].widget.options]
        assert offered == sorted(set(offered))
        assert offered[0] == low
        assert offered[-1] == high or field == "servers"
        for value in (offered[0], offered[len(offered) // 2], offered[-1]):
            panel.controls[field].value = value
            assert getattr(panel.spec(), field) == value
        assert panel.controls[field].widget.value == offered[-1]


def test_servers_end_at_this_machines_cpus() -> None:
    cpus = min(64, len(os.sched_getaffinity(0)))
    options = labkit.panel("block").controls["servers"].widget.options
    assert [value for _, value in options] == list(range(1, cpus + 1))


def test_units_are_shown() -> None:
    params = SPECS["preempt"].params() | SPECS["swap"].params()
    assert (params["urgent_every_us"].words, params["urgent_every_us"].unit) == (
        "urgent every",
        "µs",
    )
    assert (params["traced_rounds"].words, params["traced_rounds"].unit) == ("traced rounds", "")
    texts = dict(labkit.panel("block").controls["idle_us"].widget.options)
    assert texts["10 µs"] == 10 and texts["1 ms"] == 1000 and texts["1 s"] == 1_000_000


def test_a_slider_has_even_steps_and_what_was_asked_for() -> None:
    assert values(1, 4, whole=True) == [1, 2, 3, 4]
    assert values(1, 1000, whole=True, also=(37,))[:13] == [*range(1, 9), 10, 15, 20, 30, 37]
    assert values(0.05, 1, whole=False) == [0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0]
    assert values(0, 3, whole=False) == [0, 1, 1.5, 2, 3]


def test_first_values_are_taken_and_wrong_ones_refused() -> None:
    panel = labkit.panel("wake", workers=37, servers=(5,), hows=("futex",))
    assert panel.spec() == SPECS["wake"](workers=37, servers=(5,), hows=("futex",))
    with pytest.raises(
        SpecError, match=r"block has no 'wrokers' \(did you mean 'workers'\?\); it has works"
    ):
        labkit.panel("block", wrokers=3)
    with pytest.raises(SpecError, match="workers is 0; allowed is 1 to 512"):
        labkit.panel("block", workers=0)
    with pytest.raises(
        SpecError, match=r"no experiment 'blocks' \(did you mean 'block'\?\); choose from swap"
    ):
        labkit.panel("blocks")


def test_a_recorded_run_of_another_experiment_is_refused() -> None:
    with pytest.raises(SpecError, match="one of swap, not of block"):
        labkit.panel("block", recorded=synthetic.record(spec={"experiment": "swap"}))


def test_nothing_chosen_cannot_be_run_and_the_panel_says_why() -> None:
    panel = labkit.panel("block", works=("sleep",))
    panel.controls["works"].value = ()
    assert panel._button.disabled
    assert "give one or more of sleep, pipe" in panel._said.value
    with pytest.raises(SpecError):
        panel.start()
    panel.controls["works"].value = ("pipe",)
    assert not panel._button.disabled


# Without UMCG.


def test_without_umcg_only_the_baselines_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "enabled", lambda: False)
    panel = labkit.panel("swap", methods=("umcg-swap",))
    assert panel._button.disabled and panel._stopper.disabled
    assert "no UMCG" in panel._said.value
    with pytest.raises(NoUmcgError):
        panel.start()
    boxes = dict(
        zip(
            SPECS["swap"].params()["methods"].choices,
            panel.controls["methods"]._inputs,
            strict=True,
        )
    )
    assert all(box.disabled == name.startswith("umcg") for name, box in boxes.items())
    boxes["futex"].value = True
    assert not panel._button.disabled
    assert "baselines only" in panel._said.value


def test_with_umcg_everything_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "enabled", lambda: True)
    panel = labkit.panel("swap", methods=("umcg-swap",))
    assert not panel._button.disabled
    assert not any(box.disabled for box in panel.controls["methods"]._inputs)
    assert panel._said.value == ""


def test_a_recorded_run_is_shown_where_there_is_no_umcg(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    recorded = Run(**vars(synthetic.record()))
    monkeypatch.setattr(engine, "enabled", lambda: False)
    panel = labkit.panel("block", recorded=recorded.save(tmp_path / "block.parquet"))
    assert panel.run is None
    assert "recorded" in panel.shown.title.value
    assert panel.shown.timeline.series == "umcg/model"
    assert panel.shown.latency.children[0].data
    assert "umcg/sleep" in panel.shown.table.value
    assert panel.shown.layout.display is None
    monkeypatch.setattr(engine, "enabled", lambda: True)
    assert labkit.panel("block", recorded=recorded).shown.layout.display == "none"


# Running.


@pytest.mark.parametrize("name", SMALL)
def test_run_shows_timeline_distribution_and_table(name: str) -> None:
    panel = labkit.panel(name, **SMALL[name])
    panel._button.click()
    assert panel._button.disabled or not panel.running
    assert panel.wait(300)
    assert panel.run is not None and panel.previous is None
    assert panel.run.spec == panel.spec().to_dict()
    assert panel.shown.timeline.series in panel.shown.timeline.all_series
    assert panel.shown.timeline.drawing["svg"].startswith("<svg")
    assert panel.shown.latency.children[0].data
    assert "Measured values" in panel.shown.table.value
    assert panel._progress.value == panel._progress.max
    assert not panel._button.disabled and panel._stopper.disabled
    assert panel.shown.layout.display is None


def test_stop_stops_the_threads(sent: list[dict[str, Any]]) -> None:
    labkit.block(works=("sleep",), workers=4, duration_s=0.05, repetitions=1)
    panel = labkit.panel("block", workers=4, **ENDLESS)
    panel.start()
    assert not panel._stopper.disabled
    alive(panel)
    assert "operations a second" in panel._live.value
    assert all(slider._inputs[0].disabled for slider in panel.controls.values())
    before = set(os.listdir("/proc/self/task"))
    panel._stopper.click()
    assert panel.wait(300)
    assert not panel.running
    for thread in threading.enumerate():
        if thread.name == "labkit-engine":
            thread.join(300)
    assert len(before) - len(set(os.listdir("/proc/self/task"))) >= 4, "the workers are gone"
    assert not threads()
    assert "Stopped" in panel._said.value
    assert not panel._button.disabled and panel._stopper.disabled
    assert not any(slider._inputs[0].disabled for slider in panel.controls.values())


def test_a_second_run_while_one_runs_is_refused() -> None:
    panel = labkit.panel("block", **ENDLESS)
    panel.start()
    with pytest.raises(RuntimeError, match="running already"):
        panel.start()
    panel._button.click()
    assert "running already" in panel._said.value
    assert len([name for name in threads() if name == "labkit-block"]) == 1
    panel.stop()
    assert panel.wait(300)


def test_closing_stops_the_threads() -> None:
    panel = labkit.panel("block", **ENDLESS)
    panel.start()
    panel.close()
    assert panel.wait(300)
    assert not panel.running


@pytest.fixture
def interruptible() -> Iterator[None]:
    """As in a terminal; a job in the background may have been started with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_does_not_wake_the_wait_stops_the_run(interruptible: None) -> None:
    """As one that comes when the wait is about to sleep: it hits no system call of this thread."""
    panel = labkit.panel("block", **ENDLESS)
    panel.start()
    waiter = threading.get_ident()

    def waits() -> bool:
        frame = sys._current_frames()[waiter]
        while frame is not None and frame.f_code is not Panel.wait.__code__:
            frame = frame.f_back
        return frame is not None

    def interrupt() -> None:
        while not waits():
            os.sched_yield()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        panel.wait()
    helper.join()
    assert not panel.running and not threads()


@pytest.mark.parametrize("where", ["_busy", "_interrupts.watch", "before", "after"])
def test_an_interrupted_start_leaves_nothing_running(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    panel = labkit.panel("block", **ENDLESS)
    start = threading.Thread.start

    def interrupted(thread: Any, *_: Any) -> None:
        if where == "after":
            start(thread)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where in ("before", "after"):
            patch.setattr(threading.Thread, "start", interrupted)
        elif where == "_busy":
            busy = panel._busy
            patch.setattr(panel, "_busy", lambda yes: interrupted(None) if yes else busy(yes))
        else:
            patch.setattr(panel._interrupts, "watch", lambda: interrupted(None))
        with pytest.raises(KeyboardInterrupt):
            panel.start()
        assert panel.wait(300) and not panel.running
    assert not panel._button.disabled and panel._stopper.disabled
    panel.start()
    panel.stop()
    assert panel.wait(300)


def test_an_error_is_said_in_words_and_the_panel_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Run:
        raise engine.EngineError("sched_setaffinity: Invalid argument (EINVAL)")

    panel = labkit.panel("swap", **SMALL["swap"])
    with monkeypatch.context() as patch:
        patch.setattr(experiments, "run", fails)
        panel.start()
        assert panel.wait(300)
    assert "The measurement failed: sched_setaffinity: Invalid argument" in panel._said.value
    assert panel.run is None and not panel._button.disabled
    panel.start()
    assert panel.wait(300)
    assert panel.run is not None


def test_the_page_is_told_little_while_it_runs(sent: list[dict[str, Any]]) -> None:
    """However often the experiment reports: two messages an update, an update each UPDATE_S."""
    now = [0.0]
    panel = labkit.panel("block")
    watch = panel._watcher(clock=lambda: now[0])
    sent.clear()
    for i in range(200):  # ten seconds
        now[0] += 0.05
        watch(Update(i // 10, 1000, "pthread/sleep", engine.Progress(100 * i, 8, i % 8)))
    updates, points = 10 / run_panel.UPDATE_S, 10 / live_chart.EVERY_S
    opened = [message for message in sent if message["type"] == "comm_open"]
    later = [message for message in sent if message["type"] != "comm_open"]
    assert len(opened) < 20, "the chart is made once"
    assert 10 < len(later) <= updates * 3 + points * 3 + 10
    assert run_panel.UPDATE_S >= 0.2
    assert max(len(str(message)) for message in later) < 8000


def test_the_chart_shows_the_last_minute() -> None:
    shown = live_chart.LiveChart("hand-offs")
    assert shown.layout.display == "none" and shown.figure is None
    for second in range(200):
        for part in (0.0, 0.4, 0.8):
            rate = None if second == 180 else 1000.0 + second
            shown.add(second + part, Reading("futex", rate, 1.5, 3, second % 4))
    assert shown.layout.display is None
    throughput, cpus, runnable, blocked = shown.figure.data
    assert throughput.name == "hand-offs a second"
    assert [trace.name for trace in (cpus, runnable, blocked)] == [
        "CPUs in use", "runnable", "blocked",
    ]  # fmt: skip
    assert min(throughput.x) >= -live_chart.SHOWN_S and max(throughput.x) == 0
    assert 50 <= len(throughput.x) <= 61, "one point a second"
    assert max(y for y in throughput.y if y is not None) > 1190 and None in list(throughput.y)
    assert set(cpus.y) == {1.5} and set(runnable.y) == {3} and max(blocked.y) == 3
    shown.clear()
    shown.add(500.0, Reading("futex", 5.0, 1.0, 1, 0))
    assert list(shown.figure.data[0].y) == [5.0]


def test_the_last_complete_run_stays_after_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = labkit.panel("block", works=("sleep",), workers=2, duration_s=0.05, repetitions=5)
    panel.start()
    panel.wait()
    whole = panel.run
    assert whole is not None and panel.stopped is None
    half = dataclasses.replace(whole, counters=whole.counters | {"stopped": 1})
    monkeypatch.setattr(experiments, "run", lambda *_: half)
    panel.start()
    panel.wait()
    assert panel.run is whole and panel.stopped is not None
    assert "still the last complete run" in panel._said.value
    assert "This run" in panel.shown.title.value


def test_a_run_is_saved_under_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    panel = labkit.panel("block", works=("sleep",), workers=2, duration_s=0.05, repetitions=1)
    assert panel._saver.disabled
    with pytest.raises(RuntimeError, match="press Run"):
        panel.save()
    panel.start()
    panel.wait()
    for name in ("block.parquet", "block-2.parquet", "block-3.parquet"):
        panel._saver.click()
        assert name in panel._said.value
        assert labkit.load(tmp_path / name).samples.height


def test_reset_is_back_to_the_beginning() -> None:
    panel = labkit.panel("block", workers=37)
    panel.controls["workers"].value = 4
    panel.controls["works"].value = ("pipe",)
    panel._resetter.click()
    assert panel.spec() == SPECS["block"](workers=37)


def test_how_long_it_will_take_is_said_before_and_follows_the_controls() -> None:
    panel = Panel("block", works=("sleep",), duration_s=1.0, repetitions=9)
    spec = panel.spec()
    assert (
        panel._far.value == f"{spec.measurements()} measurements, about {round(spec.seconds())} s"
    )
    panel.controls["duration_s"].value = 20.0
    assert panel._far.value.endswith(f"about {duration(panel.spec().seconds())}")
    assert panel.spec().seconds() > 5 * spec.seconds()


def test_how_far_it_is_stands_beside_the_bar() -> None:
    now = [0.0]
    panel = labkit.panel("swap")
    watch = panel._watcher(clock=lambda: now[0])
    now[0] = 8.0
    watch(Update(4, 12, "futex/pinned", None))
    assert panel._far.value == "4 of 12, 8 s, about 16 s left: futex/pinned"


# Live figures.


def test_rates_come_from_measured_time_alone() -> None:
    now, cpu = [0.0], [0.0]
    meter = Meter(lambda: now[0], lambda: cpu[0])

    def at(t: float, live: engine.Progress | None) -> None:
        now[0] = t
        meter.take(Update(0, 4, "futex", live))

    at(1.0, None)
    at(1.5, engine.Progress(500, 8, 3))
    at(2.0, engine.Progress(1000, 8, 2))
    at(2.0, None)
    at(7.0, None)  # five seconds of something else
    at(7.5, engine.Progress(400, 0, 0))
    cpu[0] = 15.0
    reading = meter.read()
    assert reading.per_s == pytest.approx(1400 / 1.5)
    assert reading.cpu == pytest.approx(2.0)
    assert (reading.runnable, reading.blocked) == (6, 2)
    assert "933" in meter.html(reading)
    again = meter.read()
    assert again.per_s is None
    assert "933" in meter.html(again)


# Comparing.


@pytest.mark.slow
def test_compare_says_what_was_changed() -> None:
    panel = labkit.panel("block", works=("sleep",), workers=2, duration_s=0.05, repetitions=3)
    assert panel._compare_button.disabled
    panel.start()
    panel.wait()
    assert panel._compare_button.disabled
    panel.controls["workers"].value = 4
    panel.start()
    panel.wait()
    assert not panel._compare_button.disabled
    panel._compare_button.click()
    panel._aside.join()
    assert "changed workers: 2 → 4" in panel._comparison.value
    assert "pthread/sleep" in panel._comparison.value
    panel.start()
    panel.wait()
    assert panel._comparison.value == ""
    panel._compare_button.click()
    panel._aside.join()
    assert "nothing was changed" in panel._comparison.value


def test_runs_of_different_machines_are_not_compared() -> None:
    panel = labkit.panel("block")
    run = Run(**vars(synthetic.record()))
    panel.run = run
    panel.previous = dataclasses.replace(run, environment=run.environment | {"cpu": "another"})
    panel._compare_button.disabled = False
    panel._compare_button.click()
    panel._aside.join()
    assert "cannot be compared" in panel._comparison.value
    assert "another" in panel._comparison.value


def test_a_policy_is_chosen_by_name_and_a_wrong_one_is_said() -> None:
    panel = labkit.panel("block")
    control = panel.controls["policy"]
    assert "las" in control.widget.options and control.value == "fifo"
    control.value = "las:quantum_us=500"
    assert panel.spec().policy == "las:quantum_us=500"
    control.value = "lass"
    with pytest.raises(SpecError, match=r"policy: there is no policy 'lass'; did you mean 'las'"):
        panel.spec()
