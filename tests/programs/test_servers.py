# SPDX-License-Identifier: MIT
"""Servers of Debian under umcg-run: the same answers to the same clients, and a clean end."""

import hashlib
import http.client
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alike import run, scheduled, umcg_run

from labkit import analysis
from labkit.benchmark import guest, judge, suite
from labkit.programs.install import ProgramsError, environment, find
from labkit.programs.mariadb import Mariadb
from labkit.programs.memcached import Memcached
from labkit.programs.nginx import Nginx
from labkit.programs.redis import Redis
from labkit.run import load

WAYS = [["-n1", "-plas"], ["-n2", "-prr"]]
#: Three servers in one test take minutes on a slow machine.
pytestmark = [pytest.mark.timeout(3000), pytest.mark.long]


def needs(*programs):
    for program in programs:
        try:
            find(program)
        except ProgramsError as error:
            pytest.skip(str(error))


def together(ask, clients):
    """What `ask(i)` returned to each of so many threads at once."""
    found = [None] * clients

    def one(i):
        found[i] = ask(i)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def alike(server, talk, threads):
    """`talk(server)` is the same under umcg-run, where at least so many threads are scheduled."""
    with server() as plain:
        wanted = talk(plain)
    for way in WAYS:
        with server([umcg_run(), "--strict", "--stats", *way]) as umcg:
            assert talk(umcg) == wanted, way
            umcg.stop()
            assert umcg.status == plain.status, umcg.said()
            assert scheduled(umcg.said()) >= threads, umcg.said()


def talks(connect, requests):
    """Send each request over one connection; the answers' last lines close them."""
    with connect() as connection, connection.makefile("rwb") as file:
        answers = []
        for request, lines in requests:
            file.write(request)
            file.flush()
            answers += [file.readline() for _ in range(lines)]
        return answers


def test_memcached():
    needs("memcached", "memcslap")

    def talk(server):
        def ask(i):
            puts = [(f"set k{i}-{n} 0 0 4\r\nv{n:03d}\r\n".encode(), 1) for n in range(20)]
            gets = [(f"get k{i}-{n}\r\n".encode(), 3) for n in range(20)]
            return talks(
                lambda: socket.create_connection(("127.0.0.1", server.port)),
                [*puts, *gets, (b"incr none 1\r\n", 1)],
            )

        answers = together(ask, 6)
        return answers, [(name, n) for name, _, _, n in server.work(0)]

    alike(Memcached, talk, 4)


def test_redis():
    needs("redis-server", "redis-benchmark")

    def talk(server):
        def connect():
            made = socket.socket(socket.AF_UNIX)
            made.connect(server.socket)
            return made

        def ask(i):
            own = [(f"SET k{i}-{n} {n * n}\r\n".encode(), 1) for n in range(20)]
            own += [(f"GET k{i}-{n}\r\n".encode(), 2) for n in range(20)]
            shared = [(b"INCR all\r\n", 1)] * 20
            answers = talks(connect, own + shared)
            # Whose turn it was decides what each of these says.
            return answers[: -len(shared)]

        answers = together(ask, 6)
        every = talks(connect, [(b"GET all\r\n", 2)])
        return answers, every, [(name, n) for name, _, _, n in server.work(0)]

    alike(Redis, talk, 2)


def test_mariadb():
    needs("mariadbd", "mariadb", "sysbench")

    def talk(server):
        server.sql(
            "CREATE TABLE sbtest.counts (id INT PRIMARY KEY, n INT) ENGINE=InnoDB;"
            "INSERT INTO sbtest.counts VALUES (1, 0), (2, 0)"
        )
        add = "UPDATE sbtest.counts SET n = n + 1 WHERE id = {};"
        both = "BEGIN;" + add.format(1) + add.format(2) + "COMMIT;"
        together(lambda _: server.sql(both * 10), 4)
        scans = together(
            lambda i: server.sql(
                "SELECT COUNT(*), SUM(k), MAX(pad) FROM sbtest.sbtest1"
                f" WHERE c LIKE '%{i}a%' OR k % 7 = {i}"
            ),
            4,
        )
        assert all(n for _, _, _, n in server.work(1))
        return scans, server.sql("SELECT * FROM sbtest.counts")

    alike(Mariadb, talk, 12)


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def test_nginx():
    needs("nginx")

    def talk(server):
        def ask(i):
            connection, answers = Unix(server.socket), []
            for name in (*"0123", "none"):
                connection.request("GET", f"/{name}")
                answer = connection.getresponse()
                answers.append((answer.status, hashlib.sha256(answer.read()).hexdigest()))
            return answers

        return together(ask, 6)

    alike(Nginx, talk, 4)


@pytest.mark.parametrize("how", ["umcg", "plain"])
def test_memcached_as_a_run(tmp_path, how):
    """`labkit record -- memcached`, as the command does it on this kernel."""
    needs("memcached", "memcslap")
    command = [Path(sys.executable).with_name("labkit"), "record", "-o", tmp_path / "run.parquet"]
    code, _, said = run(*command, *(["--plain"] if how == "plain" else []), "--", "memcached")
    assert code == 0, said
    made = load(tmp_path / "run.parquet")
    assert made.counters["status"] == 0
    assert made.samples["n"].to_list() == [2400]
    role = "worker" if how == "umcg" else "thread"
    threads = made.tasks.filter(role=role)
    assert threads.height >= 4
    places = analysis.df_occupancy(made).filter(role=role)
    assert (places["running"] > 0).any() and (places["blocked"] > 0).any()
    assert made.timeline().save(tmp_path / "run.svg").stat().st_size
    if how == "umcg":
        # One or more of every request, as what comes in parts is read in parts.
        assert made.counters["requests"] >= 2400
        assert analysis.df_latency(made)["n"].sum() == made.counters["requests"]


@pytest.mark.parametrize(
    "test",
    [
        ("threads", "--thread-yields=20", "--thread-locks=2", "--events=60"),
        ("mutex", "--mutex-num=8", "--mutex-locks=500", "--mutex-loops=10"),
        ("memory", "--memory-total-size=8M", "--memory-block-size=64K"),
    ],
    ids=lambda test: test[0],
)
def test_sysbench(test):
    needs("sysbench")

    def events(*wrapper):
        command = [*wrapper, find("sysbench"), *test, "--threads=5", "--time=0", "run"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        assert done.returncode == 0, done.stderr
        assert not wrapper or scheduled(done.stderr) == 5
        return re.findall(r"total number of events: +(\d+)", done.stdout)

    plain = events()
    assert plain
    for way in WAYS:
        assert events(umcg_run(), "--stats", *way) == plain, way


def test_what_cannot_be_wrapped_is_refused():
    """ldconfig is static."""
    assert run("/sbin/ldconfig", "--version")[0] == 0
    code, out, said = run(umcg_run(), "--strict", "/sbin/ldconfig", "--version")
    assert code == 4 and not out and "static" in said
    assert run(umcg_run(), "/sbin/ldconfig", "--version")[0] == 0


def test_the_suite_of_bench(tmp_path, capsys):
    """Every contrast gets its values, from every program and under every policy."""
    needs("mariadbd", "sysbench", "memcached", "memcslap", "redis-server", "redis-benchmark")
    needs("nginx", "ab")
    (one,) = suite.load(["programs"])
    # Shown, not captured: pytest then truncates a file without a name, which 9p cannot.
    with capsys.disabled():
        made = guest.measure(tmp_path / "results.json", "smoke", ["programs"])
    assert made.failures == [] and made.suites["programs"].notes == []
    found = judge.judge(one.contrasts, made.suites["programs"], made.environment)
    assert {finding.contrast for finding in found} == set(one.contrasts)
