# SPDX-License-Identifier: MIT
"""A policy that is wrong ends in a report that names the thread, its last holder, and the dump."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from wrong_policies import (
    LATER,
    LOSES,
    Ended,
    Fifo,
    Loses,
    Raises,
    Rubbish,
    Sleeps,
    Slow,
    Spins,
    Twice,
    source,
)

from labkit.experiments.own import Own
from labkit.sim import BuildError, ChoiceError, PolicyError, simulate
from labkit.sim.building import build, compile_file
from labkit.sim.errors import SimulationError
from labkit.workload import Class, Closed, Compute, Sleep, Trace, Workload, Yield

WORK = Workload(
    classes=(
        Class(name="work", arrivals=Closed(5), jobs=50, phases=(Compute("10us"), Sleep("10us"))),
    )
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LABKIT_POLICIES", str(tmp_path / "policies"))
    yield tmp_path / "policies"


def report(**parts: str) -> str:
    build(source(**parts), "wrong")
    with pytest.raises(PolicyError) as error:
        simulate("wrong", WORK, watchdog_s=0.5)
    assert error.value.sentence == str(error.value).splitlines()[0]
    return str(error.value)


@pytest.mark.parametrize(
    "parts, says",
    [
        (
            {"READY": LOSES},
            "policy wrong has lost a thread: it is ready, a server sleeps, and next() does not"
            " return it; thread 6 (work) is ready since ",
        ),
        (
            {"NEXT": f"if ({LATER} && s->running[!server]) return s->running[!server];"},
            "policy wrong returned a thread from next() that runs already, to server ",
        ),
        (
            {
                "NEXT": f"if ({LATER}) return all->last->state == UMCG_SCHED_BLOCKED ?"
                " all->last : NULL;"
            },
            "policy wrong returned a thread from next() that is not ready, to server ",
        ),
        (
            {"NEXT": f"if ({LATER}) return (void *)(uintptr_t)0x10;"},
            "policy wrong returned a pointer from next() that is no thread (0x10, to server ",
        ),
        (
            {"NEXT": f"if ({LATER}) return (void *)((char *)all->last + 8);"},
            "policy wrong returned a pointer from next() that is no thread (0x",
        ),
        (
            {"NEXT": f"if ({LATER}) *(volatile int *)8 = 1;"},
            "policy wrong crashed (SIGSEGV: it used memory that is not there), in next()",
        ),
        ({"NEXT": f"if ({LATER}) abort();"}, "policy wrong crashed (SIGABRT), in next()"),
        (
            {"READY": f"if ({LATER}) for (volatile int i = 0; ; i++) ;"},
            "policy wrong does not come back: it spins or sleeps, in ready(); thread ",
        ),
        (
            {"NEXT": f"if ({LATER}) for (;;) sleep(1000);"},
            "policy wrong does not come back: it spins or sleeps, in next()",
        ),
        (
            {"NEXT": f'if ({LATER}) umcg_error(s, "no idea what to do");'},
            "policy wrong reported an error: no idea what to do",
        ),
        (
            {"NEXT": f"if ({LATER}) umcg_kick(s, 7, UMCG_KICK_WAKE);"},
            "policy wrong kicked server 7; there are 0 to 1",
        ),
        (
            {"NEXT": f"if ({LATER}) {{ umcg_kick(s, server, UMCG_KICK_WAKE); return NULL; }}"},
            "policy wrong is asked for a next thread again and again while virtual time stands",
        ),
    ],
)
def test_what_is_wrong_is_named(parts: dict[str, str], says: str) -> None:
    text = report(**parts)
    assert text.startswith(says), text
    assert "server 0 " in text and "server 1 " in text
    assert (
        ("thread " in text and "had it last" in text) or "has it" in text or "has not run" in text
    )
    assert "wrong says: asked " in text


def test_a_lost_thread_is_named_with_its_last_holder() -> None:
    text = report(READY=LOSES)
    assert "thread 6 (work) is ready since" in text.splitlines()[0]
    assert "server 1 had it last" in text.splitlines()[0] or "server 0 had it" in text


def test_the_last_of_a_long_queue_is_not_lost() -> None:
    """Most of those before it have ended: it has waited for more than ten turns of each left."""
    burst = Class(name="burst", arrivals=Trace((0,) * 1000), phases=(Compute("10ms"),))
    run = simulate("fifo", Workload(classes=(burst,)), servers=1, watchdog_s=0.3)
    assert run.counters["fifo/burst:done"] == 1000


def test_one_that_is_passed_over_for_ever_is_found_unless_that_is_meant() -> None:
    """Threads 0 to 4 compete for one server; number 4 is put first in line, and never taken."""
    hog = Workload(
        classes=(
            Class(name="hog", arrivals=Closed(5), phases=(Compute("1ms"), Yield()), jobs=10**5),
        )
    )
    passing = source(
        NEXT="if (all->queue.first && umcg_thread_of(all->queue.first)->id == 4 &&"
        " all->queue.length > 1) umcg_list_put(&all->queue, umcg_list_get(&all->queue));"
    )
    build(passing, "wrong")
    with pytest.raises(PolicyError, match="passes a ready thread over again and again"):
        simulate("wrong", hog, servers=1, watchdog_s=0.5, events=0)
    build(passing.replace(".dump = dump", ".dump = dump, .flags = UMCG_MAY_STARVE"), "wrong")
    run = simulate("wrong", hog, servers=1, watchdog_s=0.5, events=0)
    assert run.counters["wrong/hog:done"] == 10**5


@pytest.mark.parametrize("dump", ["*(volatile int *)8 = 1;", "for (;;) sleep(1);"])
def test_a_dump_that_goes_wrong_too_ends_the_report(dump: str) -> None:
    text = report(NEXT=f"if ({LATER}) *(volatile int *)8 = 1;", DUMP=dump)
    assert text.startswith("policy wrong crashed") and "wrong says: asked " in text


def test_what_a_policy_prints_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    text = source(NEXT='if (all->turns == 1) printf("here I am\\n");')
    build(text.replace("#include <stdlib.h>", "#include <stdlib.h>\n#include <stdio.h>"), "wrong")
    simulate("wrong", WORK)
    assert "here I am\n" in capfd.readouterr().out


def test_a_file_without_a_policy_or_of_another_version(tmp_path: Path) -> None:
    file, made = tmp_path / "x.c", tmp_path / "x.so"
    file.write_text("int x;\n", encoding="utf-8")
    compile_file(file, made)
    with pytest.raises(ChoiceError, match="is a shared object without a policy in it"):
        simulate(str(made), WORK)
    file.write_text(
        source().replace(
            "#include <umcg-queue.h>",
            "#include <umcg-queue.h>\n#undef UMCG_POLICY_ABI\n#define UMCG_POLICY_ABI 77U",
        ),
        encoding="utf-8",
    )
    compile_file(file, made)
    with pytest.raises(ChoiceError, match="was compiled for version 77 of the policy interface"):
        simulate(str(made), WORK)


def test_errors_have_the_texts_own_lines(folder: Path) -> None:
    build(source(), "wrong")
    with pytest.raises(BuildError) as error:
        build("int a;\nint f(void)\n{\n\treturn b;\n}\n", "wrong", line=2, file="cell wrong")
    assert "cell wrong:5:9: error: " in str(error.value) and str(folder) not in str(error.value)
    assert simulate("wrong", WORK).counters["wrong/work:done"] == 50  # the one before


@pytest.mark.parametrize(
    "name, text, says",
    [
        ("fifo", "", "'fifo' is the name of a policy that comes with labkit; give another"),
        ("a b", "", "'a b' is no name for a policy; give letters, digits and _"),
        ("right", source(), "the text defines the policy 'wrong' and is to be named 'right'"),
        ("none", "int x;", "is a shared object without a policy in it"),
    ],
)
def test_names(name: str, text: str, says: str) -> None:
    with pytest.raises(ChoiceError, match=says):
        build(text, name)


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler -O2")
    with pytest.raises(BuildError, match="there is no C compiler 'no-such-compiler', which CC"):
        build(source(), "wrong")


LONG = """
from labkit.sim import simulate
from labkit.workload import Class, Closed, Compute, Workload
job = Class(name="job", arrivals=Closed(4), phases=(Compute(10),), jobs=10**12)
told = []
def tell(now_ns, events):
    if not told:
        print("begun", flush=True)
    told.append(now_ns)
simulate("fifo", Workload(classes=(job,)), events=0, progress=tell)
"""


def _children(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupt_ends_the_simulation_at_once(number: int) -> None:
    """And so does the end of the parent, whatever it is."""
    program = subprocess.Popen(
        [sys.executable, "-c", LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert program.stdout is not None and program.stdout.readline() == b"begun\n"
    children = _children(program.pid)
    assert children
    program.send_signal(number)
    _, said = program.communicate(timeout=500)
    assert number == signal.SIGKILL or b"KeyboardInterrupt" in said
    deadline = time.monotonic() + 300
    while any(os.path.exists(f"/proc/{pid}") for pid in children):
        assert time.monotonic() < deadline, "the simulator's process is still there"
        time.sleep(0.01)


def test_whose_parent_died_before_the_guard_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who adopted the process is not taken for its parent."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    monkeypatch.setattr("labkit.sim.process.os.getpid", lambda: gone.pid)
    job = Class(name="job", arrivals=Closed(4), phases=(Compute(10),), jobs=10**12)
    with pytest.raises(SimulationError):
        simulate("fifo", Workload(classes=(job,)), events=0)


def test_stop_gives_what_there_is() -> None:
    stop = threading.Event()
    told: list[tuple[int, int]] = []

    def tell(now_ns: int, events: int) -> None:
        told.append((now_ns, events))
        stop.set()

    job = Class(name="job", arrivals=Closed(4), phases=(Compute(10),), jobs=10**12)
    run = simulate("fifo", Workload(classes=(job,)), events=0, stop=stop, progress=tell)
    assert run.counters["stopped"] == 1 and run.counters["fifo/job:done"] > 0
    assert told and told[0][1] > 0


def test_an_exception_of_a_python_policy_is_the_callers() -> None:
    with pytest.raises(ZeroDivisionError, match="mine") as error:
        simulate(Raises, WORK)
    assert error.traceback[-1].name == "next"


def test_an_exception_in_init_is_the_callers_too() -> None:
    class Bad(Fifo):
        def init(self) -> None:
            raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        simulate(Bad, WORK)


@pytest.mark.parametrize(
    "policy, says",
    [
        (Spins, r"policy Spins does not come back from next\(\) within 0.5 s: it spins or sleeps"),
        (Sleeps, r"policy Sleeps does not come back from next\(\) within 0.5 s"),
        (
            Loses,
            r"policy Loses has lost a thread: .*thread 3 \(work\) is ready since .*had it last",
        ),
        (Twice, r"policy Twice returned a thread from next\(\) that runs already, to server"),
        (
            Rubbish,
            r"policy Rubbish returned 5 from next\(\) to server 0; it has to return a thread",
        ),
        (Ended, r"policy Ended returned <thread 3 \(work\), ended> from next\(\) to server"),
        (Slow, r"policy Slow returned 'long' from slice\(\); it has to return whole ns"),
    ],
)
def test_a_python_policy_that_is_wrong(policy: Any, says: str) -> None:
    with pytest.raises(PolicyError, match=says) as error:
        simulate(policy, WORK, watchdog_s=0.5)
    if policy in (Spins, Sleeps):
        assert "in next\n" in str(error.value) and "thread 3 (work)" in str(error.value)
    if policy in (Spins, Sleeps, Loses, Twice):
        assert f"{policy.__name__} says: queue=[" in str(error.value)


def test_a_spinning_python_policy_in_another_thread() -> None:
    found: list[BaseException] = []

    def run() -> None:
        try:
            simulate(Spins, WORK, watchdog_s=0.5)
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert isinstance(found[0], PolicyError) and "spins or sleeps" in str(found[0])


def test_something_that_is_no_policy() -> None:
    with pytest.raises(ChoiceError, match=r"is no policy: it has no ready\(\)"):
        simulate(object(), WORK)


class _Needs(Fifo):
    def __init__(self, size: int) -> None:
        super().__init__()


@pytest.mark.parametrize(
    "attributes, says",
    [
        ({"next": None}, r"policy Odd has next = None; it has to be a function, next\(server\)$"),
        ({"before": None}, r"has before = None; it has to be a function, before\(a, b\), or not"),
        ({"slice": 1000}, r"has slice = 1000; it has to be a function, slice\(thread\), or not"),
        ({"stopped": None}, r"a function, stopped\(thread, why, ran_ns\), or not be there"),
        ({"init": 1}, r"has init = 1; it has to be a function, init\(\), or not be there"),
        ({"dump": "all"}, r"has dump = 'all'; it has to be a function, dump\(\), or not be there"),
        ({"before": lambda self, a: 1}, r"has before\(self, a\); it is called as before\(a, b\)"),
        ({"dump": lambda self, fd: ""}, r"has dump\(self, fd\); it is called as dump\(\)"),
        ({"may_starve": "no"}, "has may_starve = 'no'; give True or False"),
        ({"may_idle": None}, "has may_idle = None; give True or False"),
        ({"name": 5}, "has name = 5; give a text"),
    ],
)
@pytest.mark.parametrize("made", [False, True], ids=["class", "object"])
def test_what_in_a_python_policy_cannot_be(
    attributes: dict[str, Any], says: str, made: bool
) -> None:
    """The simulator and the kernel (`Own`) say the same."""
    odd = type("Odd", (Fifo,), attributes)
    policy = odd() if made else odd
    says = says.replace("(self, ", "(") if made else says
    for host in (lambda: simulate(policy, WORK), lambda: Own(policy)):
        with pytest.raises(ChoiceError, match=says):
            host()


def test_a_python_policy_that_cannot_be_made() -> None:
    with pytest.raises(ChoiceError, match=r"policy _Needs cannot be made without arguments; give"):
        simulate(_Needs, WORK)
    assert simulate(_Needs(5), WORK).counters


def test_static_functions_and_partial_ones_are_functions() -> None:
    class Static(Fifo):
        @staticmethod
        def before(a: Any, b: Any) -> bool:
            return False

        @classmethod
        def slice(cls, thread: Any) -> int:
            return 5000

    assert simulate(Static, WORK).counters == simulate(Static(), WORK).counters
