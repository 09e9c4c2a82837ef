# SPDX-License-Identifier: MIT
from __future__ import annotations

import random

import pytest

from labkit.model.explore import explore, walk
from labkit.model.invariants import check
from labkit.model.machine import Step, apply, steps, violations, world
from labkit.model.states import TRANSITIONS, is_legal, who

one_worker = pytest.mark.parametrize(
    ("servers", "workers"), [(1, 1), pytest.param(2, 1, marks=pytest.mark.long)]
)


@pytest.mark.slow
@pytest.mark.parametrize(("servers", "workers"), [(1, 1), (1, 2)])
def test_every_reachable_world_is_sound(servers: int, workers: int) -> None:
    seen = explore(world(servers, workers), limit=50_000)
    assert seen.complete
    assert not seen.findings


@pytest.mark.long
def test_two_servers_are_sound_as_far_as_looked() -> None:
    seen = explore(world(2, 2), limit=8_000)
    assert seen.worlds == 8_000
    assert not seen.findings


@one_worker
def test_places_that_pass_on_are_sound(servers: int, workers: int) -> None:
    seen = explore(world(servers, workers, places_pass=True), limit=50_000)
    assert seen.complete
    assert not seen.findings


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_the_invariants_hold_on_walks_with_places_that_pass_on(seed: int) -> None:
    w, events, tasks = walk(world(2, 4, places_pass=True), 20_000, random.Random(seed))
    assert not steps(w)
    verdict = check(events, tasks)
    assert verdict.result == "PASSED", str(verdict)
    assert {"umcg_pass", "umcg_adopt"} <= set(events["kind"])


@one_worker
def test_ranks_are_sound(servers: int, workers: int) -> None:
    seen = explore(world(servers, workers, by_rank=True), limit=50_000)
    assert seen.complete
    assert not seen.findings


@pytest.mark.long
def test_ranks_of_two_workers_are_sound_as_far_as_looked() -> None:
    seen = explore(world(1, 2, by_rank=True), limit=30_000)
    assert seen.worlds == 30_000 or seen.complete
    assert not seen.findings


@pytest.mark.slow
def test_the_invariants_hold_on_walks_with_ranks() -> None:
    taken = 0
    for seed in range(6):
        _, events, tasks = walk(world(2, 4, by_rank=True), 6_000, random.Random(seed))
        verdict = check(events, tasks)
        assert verdict.result == "PASSED", str(verdict)
        taken += events["kind"].cast(str).to_list().count("umcg_take")
    assert taken > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        ("take-unseen", "runs-without-place"),
        ("tenant-goes-on", "runs-without-place"),
    ],
)
def test_a_fault_of_ranks_is_found(fault: str, broken: str) -> None:
    seen = explore(world(1, 2, frozenset({fault}), by_rank=True))
    assert [f.violation for f in seen.findings] == [broken]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "broken"),
    [
        ("no-look-again", "worker-beside-free-place"),
        ("adopt-unseen", "two-workers-on-a-server"),
    ],
)
def test_a_fault_of_passing_places_is_found(fault: str, broken: str) -> None:
    seen = explore(world(1, 2, frozenset({fault}), places_pass=True))
    assert [f.violation for f in seen.findings] == [broken]


@pytest.mark.parametrize(
    ("fault", "workers", "broken"),
    [
        ("no-recheck", 1, "lost-wake-up"),
        ("late-wake", 1, "server-and-worker-both-run"),
        ("unlocked-swap", 2, "worker-without-server"),
    ],
)
def test_a_fault_is_found_and_its_path_replays(fault: str, workers: int, broken: str) -> None:
    start = world(1, workers, frozenset({fault}))
    seen = explore(start)
    assert [f.violation for f in seen.findings] == [broken]
    w = start
    for step in seen.findings[0].path:
        assert not violations(w)
        w, _ = apply(w, step)
    assert violations(w) == [broken]


def test_a_step_that_cannot_happen_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot happen here"):
        apply(world(1, 1), Step(1, "run", 101))


@pytest.mark.parametrize("bad", [{"servers": 0}, {"workers": -1}, {"faults": frozenset({"typo"})}])
def test_an_impossible_world_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"at least one server|unknown fault typo"):
        world(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(20))
def test_random_walks_stay_sound_with_many_tasks(seed: int) -> None:
    rng = random.Random(seed)
    w = world(3, 6)
    for _ in range(800):
        possible = steps(w)
        if not possible:
            break
        w, _ = apply(w, rng.choice(possible))
        assert not violations(w)


def test_a_walk_ends_with_everybody_gone() -> None:
    w, events, _ = walk(world(2, 4), 50_000, random.Random(1))
    assert not steps(w)
    assert all(t.state == "none" for t in w.tasks)
    assert {"register", "run", "yield", "swap", "block", "wake", "preempt", "wait"} <= set(
        events["kind"]
    )


@pytest.mark.long
def test_every_transition_the_model_makes_is_in_the_table() -> None:
    made = set()
    for seed in range(30):
        _, events, tasks = walk(world(2, 4), 2000, random.Random(seed))
        roles = dict(tasks.select("tid", "role").iter_rows())
        made |= {
            (roles[tid], kind, old, new)
            for tid, kind, old, new in events.select("tid", "kind", "old", "new").iter_rows()
            if kind != "op" and old != new
        }
    assert all(is_legal(*m) for m in made)
    assert len(made) >= 18


def test_who_may_make_a_transition() -> None:
    assert who("worker", "block", "running", "blocked") == "kernel"
    assert who("server", "yield", "idle", "running") == "worker"
    assert who("worker", "block", "idle", "blocked") is None
    assert len(set(TRANSITIONS)) == len(TRANSITIONS)
    assert not is_legal("worker", "register", "none", "none")
