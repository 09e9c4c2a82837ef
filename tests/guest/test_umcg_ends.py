# SPDX-License-Identifier: MIT
"""Whatever ends a group early: the exception comes, the workers go, the process ends.

Each case is a process of its own, as a hang must not take the other tests with it. Under the
address sanitizer, too: of a product of cases every row and every column. What they need is imported
twice, which takes half a minute in a guest without KVM: so `make test-all` has them.
"""

import itertools
import signal
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pytest
from sanitized import Python, Sanitized
from zygote import Zygote

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def zygotes() -> Iterator[dict[type[Python], Zygote]]:
    """Those that were needed so far."""
    started: dict[type[Python], Zygote] = {}
    yield started
    for zygote in started.values():
        zygote.close()


@pytest.fixture(params=[Python, Sanitized], ids=lambda kind: kind.name)
def process(request: pytest.FixtureRequest, zygotes: dict[type[Python], Zygote]) -> Zygote:
    """What runs programs."""
    kind = request.param
    if kind not in zygotes:
        zygotes[kind] = Zygote(kind())
    return zygotes[kind]


def product(
    *choices: Iterable[str],
    sanitized: Collection[tuple[str, ...]],
    never: Collection[tuple[str, ...]] = (),
) -> list[Any]:
    """Every combination but those of `never`, and those of `sanitized` in both ways."""
    cases = [case for case in itertools.product(*choices) if case not in never]
    assert set(sanitized) <= set(cases)
    return [
        pytest.param(kind, *case, id="-".join((kind.name, *case)))
        for kind, some in ((Python, cases), (Sanitized, sanitized))
        for case in some
    ]


POLICIES = {
    "before it runs one": "worker = server.next_idle()",
    "after it ran one": "server.run(server.next_idle())",
    "with none in its hands": "worker = server.next_idle(); server.put_idle(worker)",
    "with all in its hands": "workers = [server.next_idle() for _ in range(3)]",
}


RAISES = product(
    POLICIES,
    ("sleep", "spin"),
    ("server outside", "server inside"),
    sanitized=[
        ("before it runs one", "sleep", "server outside"),
        ("after it ran one", "sleep", "server inside"),
        ("with none in its hands", "spin", "server outside"),
        ("with all in its hands", "spin", "server inside"),
    ],
    # a worker that computes never gives its place back
    never=(
        ("after it ran one", "spin", "server outside"),
        ("after it ran one", "spin", "server inside"),
    ),
)


@pytest.mark.parametrize(("process", "when", "work", "where"), RAISES, indirect=["process"])
def test_a_policy_that_raises(process: Zygote, when: str, work: str, where: str) -> None:
    server, workers = "group.server() as server", f"group.native_workers({work!r}, 3, idle_us=500)"
    blocks = ", ".join([server, workers] if where == "server outside" else [workers, server])
    ended = process.run(
        f"""
with umcg.Group() as group, {blocks}:
    {POLICIES[when]}
    raise ValueError("the policy is wrong")
""",
    )
    assert ended.code == 1
    assert ended.err.splitlines()[-1] == "ValueError: the policy is wrong"


def test_control_c_in_a_policy(process: Zygote) -> None:
    """Most likely in the very moment in which a worker comes into its hands."""
    ended = process.run(
        """
with (
    umcg.Group() as group,
    group.server() as server,
    group.native_workers("sleep", 3, idle_us=300) as stop,
):
    print("ready", flush=True)
    while True:
        worker = server.next_idle()
        back = server.run(worker)
""",
        interrupt=True,
    )
    assert ended.code == -signal.SIGINT, ended.err
    assert ended.err.splitlines()[-1] == "KeyboardInterrupt"


WORKS = {
    "waits": "umcg.wait()",
    "computes": "while True: pass",
    "sleeps": "time.sleep(10000)",
    "sleeps often": "while True: time.sleep(0.001)",
    "waits for a lock": "lock.acquire()",
}

SERVES = {
    "Group.serve": "group.serve(2)",
    "two servers": "group.serve(2, servers=2)",
    "Server.serve": "\n    with group.server() as server: server.serve(2)",
}


INTERRUPTED = product(
    WORKS,
    SERVES,
    sanitized=[
        ("waits", "Group.serve"),
        ("computes", "two servers"),
        ("sleeps", "Server.serve"),
        ("sleeps often", "two servers"),
        ("waits for a lock", "Group.serve"),
    ],
)


@pytest.mark.parametrize(("process", "work", "serve"), INTERRUPTED, indirect=["process"])
def test_control_c_while_python_workers_are_served(process: Zygote, work: str, serve: str) -> None:
    ended = process.run(
        f"""
lock = threading.Lock()
lock.acquire()

def work():
    try:
        running.release()
        {WORKS[work]}
    finally:
        print("gone", flush=True)

def say():
    for _ in range(2):
        running.acquire()
    print("ready", flush=True)

running = threading.Semaphore(0)
threading.Thread(target=say, daemon=True).start()
with umcg.Group(preemption=True) as group:
    threads = [group.start_worker(work) for _ in range(2)]
    {SERVES[serve]}
""",
        interrupt=True,
    )
    assert ended.code == -signal.SIGINT, ended.err
    assert "KeyboardInterrupt" in ended.err
    if work in ("waits", "sleeps often"):
        assert ended.out.count("gone") == 2


def test_a_service_that_is_left_goes_on_in_the_background(process: Zygote) -> None:
    """Who catches the interrupt may go on: the workers end, the group can be closed."""
    ended = process.run(
        """
def work():
    print("ready", flush=True)
    while True:
        time.sleep(0.001)

group = umcg.Group()
thread = group.start_worker(work)
try:
    group.serve(1)
except KeyboardInterrupt:
    thread.join()
    group.close()
    print("closed")
with umcg.Group() as group:
    group.start_worker(print, "and again")
    group.serve(1)
""",
        interrupt=True,
    )
    assert (ended.code, ended.out) == (0, "ready\nclosed\nand again\n"), ended.err


@pytest.mark.parametrize("serve", ["group.serve(2)", "group.serve(3, servers=2)"])
def test_a_service_that_has_lost_count_says_so(process: Zygote, serve: str) -> None:
    ended = process.run(
        f"""
with umcg.Group() as group:
    group.start_worker(print, "done")
    {serve}
""",
    )
    missing = int(serve[12]) - 1
    assert (ended.code, ended.out) == (1, "done\n")
    assert f"UmcgError: [Errno 3] serve waits for {missing + 1} workers, but {missing}" in ended.err


def test_a_server_that_has_lost_count_says_so(process: Zygote) -> None:
    ended = process.run(
        """
with umcg.Group() as group, group.server() as server:
    group.start_worker(print, "done")
    server.serve(2)
""",
    )
    assert (ended.code, ended.out) == (1, "done\n")
    assert "serve waits for 2 workers, but 1 of them never came" in ended.err


def test_a_worker_that_comes_late_is_waited_for_with_a_word(process: Zygote) -> None:
    ended = process.run(
        """
import warnings

def later():
    while not said:
        time.sleep(0.1)
    group.start_worker(print, "late")

said = []
warnings.showwarning = lambda message, *rest: said.append(str(message))
with umcg.Group() as group:
    threading.Thread(target=later).start()
    group.serve(1)
print(*said)
""",
    )
    assert ended.code == 0, ended.err
    assert ended.out.startswith("late\nserve waits for 1 workers, but 1 of them never came")


@pytest.mark.parametrize("closed", [True, False])
def test_a_worker_that_nobody_serves(process: Zygote, closed: bool) -> None:
    """It keeps no process from ending, and a group from being closed only with an error."""
    ended = process.run(
        f"""
group = umcg.Group()
group.start_worker(print, "never")
if {closed}:
    group.close()
""",
    )
    assert ended.out == ""
    assert ended.code == (1 if closed else 0), ended.err
    if closed:
        assert "1 workers were left when the group was closed" in ended.err


def test_workers_that_were_left_do_not_hide_what_went_wrong(process: Zygote) -> None:
    ended = process.run(
        """
with umcg.Group() as group:
    group.start_worker(umcg.wait)
    raise ValueError("first")
""",
    )
    assert ended.code == 1
    assert "ValueError: first" in ended.err


FORKS = {
    "engine": "engine.load('sleep', umcg=True, workers=2, servers=1, duration_s=0.1, idle_us=500)",
    "swap": "engine.swap('umcg-worker-swap', cpu=None, rounds=50)",
    "python": "python()",
    "experiment": "labkit.swap(methods=('umcg-worker-swap',), value_ms=1, repetitions=2)",
}


FORKED = product(
    FORKS,
    ("engine", "swap", "python"),
    sanitized=[
        ("engine", "python"),
        ("swap", "engine"),
        ("python", "swap"),
        ("experiment", "engine"),
    ],
)


@pytest.mark.parametrize(("process", "parent", "child"), FORKED, indirect=["process"])
def test_a_forked_child_of_a_parent_that_used_it(process: Zygote, parent: str, child: str) -> None:
    ended = process.run(
        f"""
import multiprocessing
import labkit
from labkit.native import engine

def python():
    with umcg.Group() as group:
        group.start_worker(int)
        group.serve(1)

def work():
    {FORKS[child]}
    print("child done", flush=True)

{FORKS[parent]}
child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join()
sys.exit(child.exitcode)
""",
    )
    assert (ended.code, ended.out) == (0, "child done\n"), ended.err
