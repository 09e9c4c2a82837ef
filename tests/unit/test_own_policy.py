# SPDX-License-Identifier: MIT
"""A policy in Python for the engine: calls of another thread are carried out by the one that waits.

On any kernel: a thread of the test plays the scheduler and calls the C functions.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from labkit.native._engine import ffi as native_ffi
from labkit.sim._simulator import ffi
from python_policies import Priority
from wrong_policies import Ended, Rubbish

from labkit.experiments.own import Own
from labkit.native import engine
from labkit.sim import ChoiceError


class Stage:
    """One scheduler's structures, and a thread that calls the policy as it would."""

    def __init__(self, policy: Any) -> None:
        self.own = Own(policy)
        self.field = native_ffi.new("struct lab_policy *")
        self.sched = ffi.new("struct umcg_sched *")
        self.running = ffi.new("struct umcg_sched_thread *[]", 2)
        self.sched.servers, self.sched.running, self.sched.now_ns = 2, self.running, 77
        self.threads = [ffi.new("struct umcg_sched_thread *") for _ in range(3)]
        for number, thread in enumerate(self.threads):
            thread.id = thread.seq = number
            thread.state = 1
        self.found: list[Any] = []

    def play(self, *calls: tuple[Any, ...]) -> None:
        """Make these calls, `(name, argument, ...)`, and keep the answers."""
        with engine.choose(self.field[0], self.own) as host:
            assert host is not None
            policy = ffi.cast("struct umcg_policy *", self.field.own)
            self.sched.policy = policy
            self.sched.binding = ffi.cast("void *", self.field.binding)

            def scheduler() -> None:
                for name, *given in calls:
                    self.found.append(getattr(policy, name)(self.sched, *given))

            with host.watched():
                caller = threading.Thread(target=scheduler)
                caller.start()
                try:
                    while caller.is_alive():
                        host.serve(0.01)
                except BaseException:
                    # Who called has its answer, whatever it is.
                    engine.lib.lab_proxy_answer(host.proxy, 0)
                    caller.join()
                    raise
                caller.join()


@pytest.fixture(autouse=True)
def tids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "thread_tid", lambda asked, number: 100 + number)


def test_answers_go_back_to_whom_they_belong() -> None:
    stage = Stage(Priority)
    a, b, c = stage.threads
    b.priority = 5
    stage.play(
        ("init",),
        *(("ready", one, 0) for one in (a, b, c)),
        ("next", 1),
        ("slice", b),
        ("before", b, a),
        ("before", a, b),
        ("stopped", b, 7, 10),
        ("next", 0),
        ("next", 0),
        ("next", 0),
    )
    assert stage.found == [0, None, None, None, b, 3000, True, False, None, a, c, ffi.NULL]


def test_objects_stay_what_they_were() -> None:
    policy = Priority()
    stage = Stage(policy)
    a, b, _ = stage.threads
    a.service_ns, b.service_ns = 12, 34
    stage.play(("init",), ("ready", a, 0), ("ready", b, 0), ("stopped", a, 7, 0))
    first, second = (entry[2] for entry in policy.queue)
    a.service_ns = 99
    assert (first.id, second.id) == (100, 101)
    assert first.service_ns == 12 and "ended" in repr(first)
    with pytest.raises(RuntimeError, match="the run is over"):
        policy.sched.now_ns  # noqa: B018


@pytest.mark.parametrize(
    "policy, calls, says",
    [
        (Rubbish, (("next", 0),), r"policy Rubbish returned 5 from next\(\) to server 0"),
        (Ended, (("stopped", 0, 7, 0), ("next", 1)), r"returned <thread 100 .work., ended>"),
    ],
)
def test_what_is_wrong_with_it_is_said(policy: Any, calls: Any, says: str) -> None:
    stage = Stage(policy)
    made = [
        (name, stage.threads[given[0]], *given[1:]) if name == "stopped" else (name, *given)
        for name, *given in calls
    ]
    with pytest.raises(Exception, match=says) as error:
        stage.play(("init",), *made)
    assert stage.own.blame(error.value) == str(error.value)
    why, said = stage.own.close(error.value)
    assert why == str(error.value) and "queue=[]" in said


def test_what_is_no_policy_is_said_before_anything_runs() -> None:
    with pytest.raises(ChoiceError, match=r"is no policy: it has no ready\(\)"):
        Own(5)


def test_what_a_measurement_uses_stays_until_its_thread_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The caller frees the run and the proxy then."""
    over = []

    class SlowToClose:
        def __getattr__(self, name: str) -> Any:
            return getattr(lib, name)

        def lab_proxy_close(self, *given: Any) -> None:
            time.sleep(0.3)
            lib.lab_proxy_close(*given)
            over.append(True)

    lib = engine.lib
    monkeypatch.setattr(engine, "lib", SlowToClose())
    field = native_ffi.new("struct lab_policy *")
    with engine.choose(field[0], Own(Priority)) as host:
        run = lib.lab_new(native_ffi.new("struct lab_room *", {"threads": 1}))
        assert not engine._watch(run, lambda run: 0, None, None, host)
        assert over
        lib.lab_free(run)
