# SPDX-License-Identifier: MIT
"""Drivers of real programs, and traces of umcg-run as tables."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labkit import analysis
from labkit.programs import costs, counted, database, events, install, mariadb
from labkit.programs.install import ProgramsError
from labkit.programs.recording import Wish
from labkit.programs.server import Server
from labkit.records import Record
from labkit.trace.errors import TraceError

HEAD = "#umcg-run trace 1; t and arg in ns\nt\tpid\ttid\tkind\twhy\tserver\targ\n"
ROWS = (
    "100\t7\t0\tsleep\t-\t0\t9\n"
    "200\t7\t11\tready\tnew\t-1\t0\n"
    "210\t7\t0\twake\t-\t0\t9\n"
    "220\t7\t11\trun\t-\t0\t20\n"
    "300\t7\t11\tkick\texpired\t0\t0\n"
    "320\t7\t11\tstop\texpired\t0\t100\n"
    "320\t7\t11\tready\texpired\t0\t0\n"
    "330\t7\t11\trun\t-\t0\t10\n"
    "400\t7\t11\trequest\t-\t0\t170\n"
    "410\t7\t11\tstop\tblocked\t0\t80\n"
    "500\t7\t11\tready\twoken\t0\t0\n"
    "510\t7\t11\trun\t-\t0\t10\n"
    "530\t7\t11\tstop\tended\t0\t20\n"
)
TAIL = "#process\t7\tprog\t3 lost\n#thread\t7\t11\t2\tserve\tio\tone\n"


def trace_of(tmp_path, text):
    path = tmp_path / "trace"
    path.write_text(text, encoding="utf-8")
    return events.read(path)


def test_a_trace_becomes_tables(tmp_path):
    trace = trace_of(tmp_path, HEAD + ROWS + TAIL)
    assert trace.lost == 3
    assert trace.entries == {11: "serve"}
    assert trace.tasks.rows() == [
        (9, "server", "server 0", "prog"),
        (11, "worker", "io\tone", "prog"),
    ]
    worker = trace.events.filter(tid=11)
    assert worker["kind"].to_list() == [
        *("register", "run", "preempt", "run", "op", "block", "wake", "run", "unregister"),
    ]
    runs = worker.filter(kind="run")
    assert runs["peer"].to_list() == [9, 9, 9]
    record = Record(spec={}, environment={}, events=trace.events, tasks=trace.tasks)
    places = analysis.df_occupancy(record).filter(tid=11).row(0, named=True)
    assert places["observed_ns"] == 330
    assert places["running"] == pytest.approx(200 / 330)
    assert places["blocked"] == pytest.approx(90 / 330)
    assert analysis.df_latency(record)["max_ns"].to_list() == [170]


def test_a_program_without_threads_has_an_empty_trace(tmp_path):
    trace = trace_of(tmp_path, HEAD)
    assert not trace.events.height and not trace.tasks.height


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "no trace"), ("t,pid\n", "no trace"), (HEAD + ROWS, "incomplete")],
)
def test_what_is_no_trace_is_refused(tmp_path, text, said):
    with pytest.raises(TraceError, match=said):
        trace_of(tmp_path, text)


def test_what_sysbench_prints():
    said = """
    transactions:                        24310  (8102.33 per sec.)
    Latency (ms):
         min:                                    0.25
         max:                                   36.50
         99th percentile:                        3.07
    """
    assert mariadb.samples("selects", said) == [
        ("selects", 8102.33, "op/s", 24310),
        ("selects/p99", pytest.approx(3.07e6), "ns", 24310),
        ("selects/max", pytest.approx(36.5e6), "ns", 24310),
    ]
    with pytest.raises(ProgramsError, match="no summary"):
        mariadb.samples("selects", "FATAL: nothing")


def test_sysbench_is_told_whole_seconds():
    assert "--time=2" in mariadb.Mariadb().sysbench("x.lua", threads=1, seconds=1.5)


def test_the_table_of_goals_says_what_holds():
    plain = {"selects": [100.0] * 7, "selects/p99": [8e6] * 7, "selects/max": [9e6] * 7}
    plain["scans"] = [10.0] * 7
    umcg = plain | {"selects": [130.0] * 7, "selects/p99": [2e6] * 7, "scans": [7.0] * 7}
    rows = [line.split(" | ") for line in database.table(plain, umcg)[2:]]
    assert [(row[0], row[3].split()[0], row[-1]) for row in rows] == [
        ("| selects/p99", "0.25", "holds |"),
        ("| selects", "1.30", "holds |"),
        ("| selects/max", "1.00", "holds |"),
        ("| scans", "0.70", "missed |"),
    ]
    assert rows[0][1:3] == ["8.0 ms", "2.0 ms"]


def test_what_is_missing_is_said_before_a_machine_is_booted(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["database", "--icount"])
    monkeypatch.setattr(database, "umcg_run", lambda: "umcg-run")
    monkeypatch.setattr(database.counted.vm, "execute", lambda *_: pytest.fail("booted"))
    monkeypatch.setenv("UMCG_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert database.main() == 1
    assert "make programs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"program": ()}, "which program"),
        ({"program": ("x",), "how": "fast"}, "choose umcg or plain"),
        ({"program": ("x",), "servers": 257}, "0 to 256"),
        ({"program": ("x",), "seconds": -1.0}, "0 or more"),
    ],
)
def test_wishes_that_cannot_be(wrong, said):
    with pytest.raises(ValueError, match=said):
        Wish(**wrong)


def test_a_name_alone_has_a_driver():
    assert Wish(("mariadb",)).driver is mariadb.Mariadb
    assert Wish(("mariadb", "--help")).driver is None


def test_links_stay_inside(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "conf").write_text("ours", encoding="utf-8")
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr" / "conf").symlink_to("/etc/conf")
    (tmp_path / "usr" / "other").symlink_to("/nowhere/at/all")
    install._keep_links_inside(tmp_path)
    assert (tmp_path / "usr" / "conf").read_text(encoding="utf-8") == "ours"
    assert os.readlink(tmp_path / "usr" / "other") == "/nowhere/at/all"


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("UMCG_CACHE", str(tmp_path))
    with pytest.raises(ProgramsError, match="make programs"):
        install.find("no-such-program")


SERVES = """
import os, signal, socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen()
print("serving", flush=True)
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(1000)
"""


class Small(Server):
    name = "small"
    how = "good"

    def command(self):
        if self.how == "short":
            return ["sh", "-c", "echo cannot serve; exit 3"]
        return [sys.executable, "-I", "-c", SERVES, self.socket, self.how]


def gone(server):
    """Neither its folder nor a process of its group is left."""
    until = time.monotonic() + 300
    while time.monotonic() < until:
        try:
            os.killpg(server.pid, 0)
        except ProcessLookupError:
            return not server.folder.exists()
        time.sleep(0.01)
    return False


@pytest.mark.slow
def test_nothing_is_left_after_success():
    with Small() as server:
        assert "serving" in server.said()
    assert server.status == -signal.SIGTERM
    assert gone(server)


@pytest.mark.slow
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_after_an_error(error):
    with pytest.raises(error), Small() as server:
        raise error
    assert gone(server)


@pytest.mark.slow
def test_who_does_not_end_is_killed(monkeypatch):
    monkeypatch.setattr("labkit.programs.server.STOP_S", 0.1)
    server = Small()
    server.how = "stubborn"
    with server:
        pass
    assert server.status == -signal.SIGKILL
    assert gone(server)


def test_what_ends_at_once_says_why():
    server = Small()
    server.how = "short"
    with pytest.raises(ProgramsError, match="cannot serve"):
        server.__enter__()
    assert gone(server)


@pytest.mark.slow
def test_a_client_that_fails_is_quoted():
    with Small() as server, pytest.raises(ProgramsError, match=r"(?s)ended with 4.*alas.*serving"):
        server.client(["sh", "-c", "echo alas; exit 4"])
    assert gone(server)


def test_a_killed_driver_takes_its_server_along(tmp_path):
    driver = f"""
import sys, time
sys.path[:0] = {sys.path!r}
from labkit.programs.server import Server
class Small(Server):
    def command(self):
        return ["sleep", "1000"]
    def ready(self):
        # Not setpriv any more, which has told the kernel.
        return open(f"/proc/{{self.pid}}/comm").read() == "sleep\\n"
with Small() as server:
    print(server.pid, server.folder, flush=True)
    time.sleep(1000)
"""
    process = subprocess.Popen([sys.executable, "-c", driver], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pid, folder = process.stdout.readline().split()
    process.kill()
    process.wait()
    until = time.monotonic() + 300
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < until:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            if stat.read().split()[2] == "Z":
                break
        time.sleep(0.01)
    else:
        assert not os.path.exists(f"/proc/{pid}")
    # Nobody was left to do it.
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "before", ["", "import labkit.records", "import labkit.programs.recording"]
)
def test_record_is_a_function_whatever_is_imported(before):
    program = (
        f"{before}\nimport labkit\nassert callable(labkit.record)\n"
        "from labkit.records import KINDS\nimport labkit.run\n"
        "try:\n    labkit.record('x', how='fast')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "how is 'fast'; choose umcg or plain\n", done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("-n", "300", "--", "x"), 2, "choose 0 to 256"),
        ((), 2, "PROGRAM"),
        (("-o", "/nowhere/x.parquet", "--", "memcached"), 4, "/nowhere"),
    ],
)
def test_wrong_use_of_the_command_is_said(words, code, said):
    labkit = Path(sys.executable).with_name("labkit")
    done = subprocess.run([labkit, "record", *words], capture_output=True, text=True)
    assert done.returncode == code and said in done.stderr


@pytest.mark.parametrize(
    ("measurement", "words", "passed"),
    [
        (costs, ["2", "las", "--pass-on", "--nice=1"], ["2", "las", "--pass-on", "--nice=1"]),
        (costs, [], [str(costs.REPETITIONS), "rr", "--pass-on"]),
        (database, ["2", "las --pass-on", "rr"], ["2", "las --pass-on", "rr"]),
    ],
)
def test_a_counted_measurement_is_asked_the_same_in_its_guest(
    measurement, words, passed, monkeypatch
):
    monkeypatch.setattr(measurement, "umcg_run", lambda: "umcg-run")
    monkeypatch.setattr(measurement, "find", lambda name: name)
    monkeypatch.setattr(counted, "boot", lambda script, words: words)
    monkeypatch.setattr(sys, "argv", ["it", "--icount", *words])
    assert measurement.main() == passed


@pytest.mark.parametrize("measurement", [costs, database])
@pytest.mark.parametrize("word", ["0", "-1", "x"])
def test_a_measurement_of_no_repetitions_is_refused(measurement, word, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["it", word])
    with pytest.raises(SystemExit) as ended:
        measurement.main()
    assert ended.value.code == 2
    assert "usage: " in capsys.readouterr().err
