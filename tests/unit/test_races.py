# SPDX-License-Identifier: MIT
"""Stepping through the model and through a trace, and what the widget says of both."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from pathlib import Path

import nbformat
import polars as pl
import pytest
import synthetic

from labkit.model import explain
from labkit.model.invariants import check
from labkit.model.machine import FAULTS, Step, World, apply, steps, violations, world
from labkit.model.retrace import Retrace
from labkit.model.states import FREE, LOCKED
from labkit.model.stepper import Stepper
from labkit.panels import Races
from labkit.run import load

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
RECORDED = NOTEBOOKS / "recorded"


def ask(races: Races, **message: object) -> dict[str, object]:
    """What the page sees after it has asked."""
    races._on_message(None, message, None)
    return dict(races.shown)


@pytest.mark.slow
def test_every_step_of_the_model_has_words() -> None:
    seen = set()
    for seed in range(40):
        rng = random.Random(seed)
        w = world(2, 3, places_pass=seed % 3 == 1, by_rank=seed % 3 == 2)
        for _ in range(1500):
            if not (possible := steps(w)):
                break
            for step in possible:
                assert explain.label(w, step) and "{" not in explain.explain(w, step)
                seen.add(step.action)
            # A place whose permission goes at once is never taken.
            likely = [step for step in possible if step.action != "revoke"]
            w, _ = apply(w, rng.choice(likely if likely and rng.random() < 0.9 else possible))
    # By chance a place is hardly ever taken by rank: a fault's shortest way, and then to the end.
    stepper = Stepper(1, 2, frozenset({"take-unseen"}))
    stepper.seek()
    ways = [*zip(stepper._worlds, stepper.path, strict=False)]
    w = stepper.world
    while taking := [step for step in steps(w) if step.action.startswith("take: ")]:
        ways.append((w, taking[0]))
        w, _ = apply(w, taking[0])
    for w, step in ways:
        assert explain.label(w, step) and "{" not in explain.explain(w, step)
        seen.add(step.action)
    assert seen == set(explain._ACTIONS), "no words for steps that do not exist"
    assert set(explain.FAULTS) == FAULTS
    assert all(name in (violations.__doc__ or "") for name in explain.BROKEN)


def test_back_and_forward_lead_over_the_same_worlds() -> None:
    stepper = Stepper(2, 2)
    stepper.wander(60, seed=3)
    worlds = list(stepper._worlds)
    for at in (0, 17, 60, 59, 1):
        stepper.go(at)
        assert stepper.world == worlds[at]
        assert stepper.rows().filter(pl.col("t") > at * 1000).is_empty()
    stepper.go(10**6)
    assert stepper.at == stepper.length == 60


def test_another_step_than_the_known_one_begins_a_new_way() -> None:
    stepper = Stepper(1, 2)
    stepper.wander(30, seed=1)
    stepper.go(5)
    stepper.take(stepper.path[5])
    assert stepper.length == 30, "the known step keeps what comes after it"
    stepper.go(5)
    other = next(s for s in stepper.possible() if s != stepper.path[5])
    stepper.take(other)
    assert (stepper.at, stepper.length) == (6, 6)
    with pytest.raises(ValueError, match="cannot happen here"):
        stepper.take(other._replace(action="run", target=102))


def test_a_seed_makes_the_same_walk_and_another_another() -> None:
    walks = []
    for seed in (7, 7, 8):
        stepper = Stepper(2, 3)
        assert stepper.wander(200, seed) == 200
        walks.append(stepper.path)
    assert walks[0] == walks[1] != walks[2]
    assert check(stepper.rows(), stepper.tasks).result == "PASSED"


def test_on_finishes_the_operation_and_stops_where_there_is_a_choice() -> None:
    stepper = Stepper(1, 1)
    register = next(s for s in stepper.possible() if s.actor == 101)
    stepper.take(register)
    waking = stepper.possible()[-1]
    assert waking.action == "wake: idle" and len(stepper.possible()) == 2
    stepper.on()
    actors = [step.actor for step in stepper.path]
    assert actors[:4] == [101] * 4, "wake: idle, push, read the slot: nobody comes between"
    assert len(stepper.possible()) > 1
    assert not stepper.world[actors[-1]].todo
    assert stepper.on() == 0, "here is a choice"


@pytest.mark.long
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_the_shortest_way_to_a_fault_is_gone(fault: str) -> None:
    stepper = Stepper(1, 2, frozenset({fault}))
    said = stepper.seek()
    assert stepper.broken() and said.startswith(
        f"{stepper.length} steps from here, and no shorter way"
    )
    assert stepper.seek() == "Something is broken here already."
    whole = stepper.length
    stepper.go(whole - 3)
    assert not stepper.broken()
    stepper.seek()
    assert stepper.length == whole, "from there it is three steps"


def test_where_no_fault_is_the_search_says_how_far_it_looked() -> None:
    stepper = Stepper(1, 1)
    assert stepper.seek().startswith("No way leads to a fault: all ")
    assert stepper.at == 0
    assert stepper.seek(limit=10) == "No fault within the nearest 10 worlds; there are more."


def test_a_trace_of_the_model_is_gone_through_as_the_model_was() -> None:
    stepper = Stepper(2, 3)
    stepper.wander(300, seed=5)
    trace = Retrace(stepper.rows(), stepper.tasks)
    assert trace.length == stepper.rows().filter(pl.col("kind") != "op").height
    at = 0
    for step in range(stepper.length + 1):
        stepper.go(step)
        at = stepper.rows().filter(pl.col("kind") != "op").height
        trace.go(at)
        told = {a.tid: (a.state, a.flags) for a in trace.actors()}
        assert told == {t.tid: (t.state, t.flags) for t in stepper.world.tasks}
        # While a swap is under way, the model has not moved the place yet.
        running = [t for t in stepper.world.of("worker") if (t.state, t.flags) == ("running", 0)]
        following = {a.tid: a.next for a in trace.actors()}
        assert all(following[t.tid] == explain.name_of(stepper.world, t.next) for t in running)
        assert not trace.broken()


def test_a_trace_can_be_gone_back_through() -> None:
    record = synthetic.record()
    trace = Retrace(record.events, record.tasks)
    trace.go(40)
    there = trace.actors(), trace.idle_list(), trace.rows().height
    trace.go(100)
    trace.go(40)
    assert (trace.actors(), trace.idle_list(), trace.rows().height) == there


def test_a_change_that_must_not_be_is_told_where_it_is() -> None:
    record = synthetic.record()
    row = record.events.with_row_index().filter(pl.col("kind") == "yield")["index"][0]
    worse = record.events.with_row_index().with_columns(
        pl.when(pl.col("index") == row).then(pl.lit("blocked")).otherwise("new").alias("new")
    )
    worse = worse.drop("index").cast(dict(record.events.schema))
    trace = Retrace(worse, record.tasks)
    broken = []
    for at in range(trace.length + 1):
        trace.go(at)
        broken += trace.broken()
    assert any("transitions-legal" in text for text in broken)


def test_a_trace_without_changes_is_refused() -> None:
    record = synthetic.record()
    with pytest.raises(ValueError, match="record the run with events"):
        Retrace(record.events.head(0), record.tasks)


def test_the_page_asks_and_sees_the_answer() -> None:
    races = Races(workers=1, fault="no-recheck")
    assert races.shown["choices"][0]["label"] == "register"
    assert ask(races, do="choose", number=0)["at"] == 1
    assert ask(races, do="choose", number=99)["at"] == 1, "a button of a view that is gone"
    shown = ask(races, do="seek")
    assert "Lost wake-up" in shown["broken"][0]
    assert ask(races, do="go", at=2)["broken"] == []
    shown = ask(races, do="new", servers=2, workers=3, fault="")
    assert [a["name"] for a in shown["actors"]][:2] == ["server 0", "server 1"]
    assert len(shown["actors"]) == 5
    assert "choose 1 to 3 servers" in ask(races, do="new", servers=9, workers=3, fault="")["note"]
    assert len(ask(races, do="wander", count=100, seed=2)["table"]["rows"]) == 12
    assert races.shown["svg"].startswith("<svg")


def test_a_mystery_does_not_tell_its_fault() -> None:
    found = {Races(mystery=seed).reveal() for seed in range(20)}
    assert found == FAULTS
    races = Races(mystery=4)
    page = repr(races.options) + repr(races.shown)
    assert not any(fault in page for fault in FAULTS)
    ask(races, do="new", servers=1, workers=2, fault="?")
    assert races.fault == races.reveal() == Races(mystery=4).reveal()
    ask(races, do="seek")
    assert races.shown["broken"], "the fault can be found"


#: How a hint begins that speaks of what kind of model it is.
CLASSES = ("Servers l", "No server")

SEEDS = {Races(mystery=seed).reveal(): seed for seed in range(20)}


@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_a_mystery_says_where_one_sees_that_it_is_another(fault: str) -> None:
    races = Races(mystery=SEEDS[fault])
    assert races.judge(fault).startswith("Right: ")
    for other in FAULTS - {fault}:
        said = races.judge(other)
        assert said.startswith(f"It is not {other}. ") and fault not in said
    with pytest.raises(ValueError, match=r"did you mean 'no-recheck'"):
        races.judge("no-rechek")


def test_what_a_hint_calls_a_step_is_on_its_button() -> None:
    labels = [label for label, _ in explain._ACTIONS.values()]
    for hint in explain._NOT_THERE.values():
        for named in re.findall("“([^”]+)”", hint):
            assert any(label.endswith(named) for label in labels), named


#: What a hint says happens where its fault is not: of a step with the worlds before and after it;
#: None: the step is none that the hint speaks of.
def _looks_again(before: World, step: Step, after: World) -> bool | None:
    if step.action != "sleep: look again" or not before.idle_list:
        return None
    return None if before[step.actor].state != "idle" else after[step.actor].state == "running"


def _compares(before: World, step: Step, after: World) -> bool | None:
    if step.action != "wake: server" or before.passing:
        return None
    server, stamp = before[step.actor].seen
    return None if before[server].stamp == stamp else after[server] == before[server]


def _locks(before: World, step: Step, after: World) -> bool | None:
    return bool(after[step.target].flags & LOCKED) if step.action == "swap" else None


def _kernel_looks_again(before: World, step: Step, after: World) -> bool | None:
    if step.action != "pass: look again" or not before.idle_list:
        return None
    return None if step.target not in before.slots else after[step.target].state == "running"


def _sees_that_it_is_taken(before: World, step: Step, after: World) -> bool | None:
    if step.action != "adopt: lend" or before[step.target].flags & FREE:
        return None
    return after[step.target] == before[step.target]


def _computes(before: World, step: Step) -> bool:
    it = before[step.target]
    return it.mode == "user" and not it.todo


def _sees_that_it_has_left(before: World, step: Step, after: World) -> bool | None:
    if step.action != "take: evict" or _computes(before, step):
        return None
    return after[step.target] == before[step.target]


def _stops(before: World, step: Step, after: World) -> bool | None:
    if step.action != "take: evict" or not _computes(before, step):
        return None
    return after[step.target].mode != "user"


HINTS = {
    "no-recheck": _looks_again,
    "late-wake": _compares,
    "unlocked-swap": _locks,
    "no-look-again": _kernel_looks_again,
    "adopt-unseen": _sees_that_it_is_taken,
    "take-unseen": _sees_that_it_has_left,
    "tenant-goes-on": _stops,
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_what_a_hint_says_is_so_where_the_fault_is_another(fault: str) -> None:
    others = [other for other in FAULTS if explain.why_not(fault, other)[:9] not in CLASSES]
    assert len(others) > 1, "one at least can be taken for it"
    stepper = Stepper(1, 2, frozenset({fault}))
    stepper.seek()
    way = zip(stepper._worlds, stepper.path, stepper._worlds[1:], strict=False)
    wrong = [(w, step) for w, step, then in way if HINTS[fault](w, step, then) is False]
    assert wrong, "on the shortest way to it, it is seen"
    for other in others:
        for w, step in wrong:
            before = replace(w, faults=frozenset({other}))
            then, _ = apply(before, step)
            assert HINTS[fault](before, step, then) is (other != fault), other


def test_notebook_07_names_every_mistake_that_its_mystery_may_be() -> None:
    book = nbformat.read(NOTEBOOKS / "07-races.ipynb", as_version=4)
    cells = {cell.id: cell.source for cell in book.cells}
    asked = cells["exercise-mystery-code"]
    assert set(re.findall(r'"([a-z-]+)"', asked)) == FAULTS
    (seeds,) = re.findall(r"The seeds ([\d, ]+) give the seven mistakes", cells["instructor"])
    assert {Races(mystery=int(seed)).reveal() for seed in seeds.split(",")} == FAULTS


@pytest.mark.parametrize("bad", [{"servers": 0}, {"workers": 9}, {"fault": "typo"}])
def test_what_cannot_be_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"choose 1 to 3 servers|unknown fault typo"):
        Races(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["02-swap", "03-servers-and-workers"])
def test_a_recorded_run_of_the_kernel_can_be_gone_through(name: str) -> None:
    run = load(RECORDED / f"{name}.parquet")
    series = "umcg-worker-swap/pinned" if name == "02-swap" else "umcg/sleep"
    races = Races(run, series=series)
    for _ in range(60):
        shown = ask(races, do="on")
        assert shown["broken"] == [] and shown["note"] == ""
    assert shown["at"] == 60
    assert shown["slot"] == "not recorded"
    ask(races, do="go", at=races.shown["length"])
    assert races.shown["choices"] == []
    running = [a for a in races.shown["actors"] if a["state"] == "RUNNING"]
    assert len(running) <= 1
