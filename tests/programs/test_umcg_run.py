# SPDX-License-Identifier: MIT
"""Python under umcg-run: its own programs do the same as without."""

import shutil
import signal
import sys

import pytest
from alike import run, scheduled, umcg_run

PROGRAMS = {
    "threads": """
import threading
total, lock = [0], threading.Lock()
def work(i):
    for _ in range(50):
        with lock:
            total[0] += i
    assert sum(range(20000)) == 199990000
threads = [threading.Thread(target=work, args=(i,)) for i in range(12)]
[t.start() for t in threads]
[t.join() for t in threads]
print(total)
""",
    "queues": """
import queue, threading, time
from concurrent.futures import ThreadPoolExecutor
q, results = queue.Queue(3), []
def serve():
    while (item := q.get()) is not None:
        time.sleep(0.0005)
        results.append(item * item)
servers = [threading.Thread(target=serve) for _ in range(4)]
[t.start() for t in servers]
[q.put(i) for i in range(60)]
[q.put(None) for _ in servers]
[t.join() for t in servers]
with ThreadPoolExecutor(6) as pool:
    print(sum(results), sum(pool.map(len, ["x" * i for i in range(40)])))
""",
    "sockets": """
import socket, socketserver, threading
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())
class Server(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 32
with Server(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    answers = []
    def ask(i):
        with socket.create_connection(server.server_address) as s, s.makefile("rw") as f:
            for k in range(5):
                print(f"request {i} {k}", file=f, flush=True)
                answers.append(f.readline())
    clients = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    [t.start() for t in clients]
    [t.join() for t in clients]
    server.shutdown()
print(sorted(answers))
""",
    "processes": """
import os, subprocess, sys, threading
results = []
def run(i):
    out = subprocess.run(["sh", "-c", f"echo {i}; exit {i}"], capture_output=True, text=True)
    results.append((out.stdout, out.returncode))
threads = [threading.Thread(target=run, args=(i,)) for i in range(5)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(results))
def in_child():
    t = threading.Thread(target=lambda: results.append(1))
    t.start(); t.join()
    os._exit(len(results))
pid = os.fork()
if not pid:
    in_child()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
    "multiprocessing": """
import multiprocessing, sys
def square(x):
    return x * x
if __name__ == "__main__":
    for method in "fork", "spawn":
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(square, range(10)))
    sys.exit(7)
""",
    "signals": """
import os, signal, threading, time
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
stop = threading.Event()
threads = [threading.Thread(target=stop.wait) for _ in range(3)]
[t.start() for t in threads]
os.kill(os.getpid(), signal.SIGUSR1)
while not seen:
    time.sleep(0.001)
stop.set()
[t.join() for t in threads]
print(seen, flush=True)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(100)
""",
    "uncaught": """
import threading
threading.excepthook = lambda args: print("caught", args.exc_type.__name__)
def fail():
    raise KeyError(1)
t = threading.Thread(target=fail)
t.start(); t.join()
raise SystemExit(3)
""",
}

# The standard library is enough, and its own processes start as it did.
PYTHON = [sys.executable, "-I", "-S"]

WAYS = [["-n1"], ["-n2", "-plas"], ["-n4", "-psteal", "--main"]]


@pytest.fixture
def program(tmp_path, request):
    path = tmp_path / f"{request.param}.py"
    path.write_text(PROGRAMS[request.param], encoding="utf-8")
    return path


@pytest.mark.parametrize("program", PROGRAMS, indirect=True)
def test_the_same_as_plain(program):
    python = [*PYTHON, program]
    plain = run(*python)
    assert plain[0] in (0, 3, 7, -signal.SIGTERM), plain
    for way in WAYS:
        assert run(umcg_run(), *way, *python) == plain, way


@pytest.mark.parametrize("program", ["threads"], indirect=True)
def test_its_threads_are_scheduled(program):
    code, out, said = run(umcg_run(), "--stats", *PYTHON, program)
    assert (code, out) == (0, "[3300]\n")
    assert scheduled(said) == 12


@pytest.mark.parametrize("program", ["threads"], indirect=True)
@pytest.mark.parametrize(
    "tool", [("strace", "-f", "-o", "/dev/null"), ("gdb", "-q", "-batch", "-ex", "run", "--args")]
)
def test_under_a_tool_that_traces(program, tool):
    """The tool is what umcg-run runs: it traces the program with its threads."""
    if not shutil.which(tool[0]):
        pytest.skip(f"{tool[0]} is not installed")
    code, out, said = run(umcg_run(), "--stats", *tool, *PYTHON, program)
    assert code == 0 and "[3300]\n" in out, said
    assert scheduled(said) >= 12
