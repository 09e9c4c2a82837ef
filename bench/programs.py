# SPDX-License-Identifier: MIT
"""programs: Debian's servers with plain threads and under umcg-run, and what their clients get."""

from contextlib import ExitStack

from labkit.benchmark.suite import Bench, Contrast, Suite
from labkit.programs import POLICY, ProgramsError
from labkit.programs.recording import DRIVERS, umcg_run
from labkit.programs.server import Server

#: Options of umcg-run by the head of a series; none: plain threads.
WAYS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "umcg-las": (f"--policy={POLICY}",),
    "umcg-rr": ("--policy=rr",),
}

#: Seconds that clients work each time, where they can be told.
SECONDS = 2.0

WORDS = {
    "mariadb": "MariaDB, point selects beside scans",
    "mariadb-writes": "MariaDB, transactions that read and write",
    "memcached": "memcached",
    "redis": "redis with threads for its I/O",
    "nginx": "nginx with files read in threads",
}

#: What clients of each measure, by name: unit and words.
MEASURED = {
    "mariadb": {
        "selects": ("op/s", "selects"),
        "selects/p99": ("ns", "99th percentile of the selects"),
        "selects/max": ("ns", "longest select"),
        "scans": ("op/s", "scans"),
    },
    "mariadb-writes": {
        "transactions": ("op/s", "transactions"),
        "transactions/p99": ("ns", "99th percentile of the transactions"),
    },
    "memcached": {"get": ("op/s", "requests")},
    "redis": {
        "set": ("op/s", "requests to set"),
        "get": ("op/s", "requests to get"),
        "get/p99": ("ns", "99th percentile of getting"),
    },
    "nginx": {
        "get": ("op/s", "requests"),
        "get/p99": ("ns", "99th percentile of the requests"),
    },
}

#: Claimed of the policy `las` where short requests wait beside long ones.
CLAIMED = {"selects/p99": 0.3, "selects": 1.2, "selects/max": 1.5, "scans": 0.75}


def measure(bench: Bench) -> None:
    """What the clients measure, as `HEAD/PROGRAM/NAME`: rates in op/s, latencies in ns."""
    for name, driver in DRIVERS.items():
        try:
            _measure(bench, name, driver)
        except ProgramsError as error:
            bench.note(f"{name} was left out: {error}")


def _measure(bench: Bench, name: str, driver: type[Server]) -> None:
    with ExitStack() as running:
        servers = {
            head: running.enter_context(driver([umcg_run(), *options] if options else []))
            for head, options in WAYS.items()
        }
        for repetition, series in bench.rounds([f"{head}/{name}" for head in WAYS]):
            head = series.removesuffix(f"/{name}")
            for what, value, unit, n in servers[head].work(SECONDS * min(1.0, bench.rigor.scale)):
                bench.sample(f"{series}/{what}", repetition, value, unit, n)


SUITE = Suite(
    name="programs",
    order=11,
    title="Real programs",
    question="What do clients of unmodified servers get when umcg-run schedules the servers' "
    "threads by a policy, instead of the kernel?",
    refuted_by="MariaDB under las: a 99th percentile of point selects beside scans of more than "
    "0.3 times that of plain threads, a longest select of more than 1.5 times theirs, less than "
    "1.2 times as many selects, or less than 0.75 times as many scans.",
    measure=measure,
    contrasts=[
        Contrast(
            f"{head}/{name}/{what}",
            f"plain/{name}/{what}",
            unit,
            f"{WORDS[name]}, {words} under {head.removeprefix('umcg-')}",
            "plain threads",
            limit=CLAIMED.get(what, 0.0) if (name, head) == ("mariadb", "umcg-las") else 0.0,
        )
        for name in DRIVERS
        for what, (unit, words) in MEASURED[name].items()
        for head in WAYS
        if head != "plain"
    ],
    spec={"ways": {head: list(options) for head, options in WAYS.items()}, "seconds": SECONDS},
    help="Where all requests are alike a policy has nothing to choose, and umcg-run only costs. "
    "Where short ones wait beside long ones, las lets a request go first that has had little so "
    "far; who has had much waits, with ageing and a bound.",
    by_name=True,
)
