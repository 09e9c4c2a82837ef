# SPDX-License-Identifier: MIT
"""`labkit vm exec` as a user meets it: as if the command ran here, and nothing stays behind.

Needs QEMU, virtme-ng and a kernel image; each test boots a guest of its own (seconds under TCG).
"""

import hashlib
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from labkit.grading import supervise
from labkit.vm import image

pytestmark = pytest.mark.vm

# As from a terminal: what a script starts in the background ignores interrupts.
EXEC = ["env", "--default-signal=INT", sys.executable, "-m", "labkit.cli", "vm", "exec"]
BOOT_S = 600


def guest(*argv, options=(), **keywords):
    keywords.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(
        [*EXEC, *options, "--", *argv], capture_output=True, timeout=BOOT_S, check=False, **keywords
    )


def descendants(pid):
    """Processes below `pid`, however deep."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(status.parent.name)] = int(fields[1])
    found = set()
    front = {pid}
    while front:
        front = {child for child, parent in parents.items() if parent in front} - found
        found |= front
    return found


def gone(pids, within=300.0):
    end = time.monotonic() + within
    while time.monotonic() < end:
        left = [p for p in pids if Path(f"/proc/{p}").exists() and "Z" not in state(p)]
        if not left:
            return True
        time.sleep(0.1)
    return False


def state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


@pytest.mark.quick
def test_outputs_code_folder_and_environment(tmp_path):
    script = 'echo "$PWD $MARK"; echo err >&2; echo kept > made; uname -r; exit 7'
    done = guest("sh", "-c", script, cwd=tmp_path, env={**os.environ, "MARK": "two words"})
    assert done.returncode == 7, done.stderr
    first, release = done.stdout.decode().splitlines()
    assert first == f"{tmp_path} two words"
    assert release.startswith("6.1") and release != os.uname().release
    assert done.stderr == b"err\n"
    assert (tmp_path / "made").read_text(encoding="utf-8") == "kept\n"


@pytest.mark.quick
def test_a_frozen_folder_is_read_and_not_written(tmp_path):
    (tmp_path / "there").write_text("read\n", encoding="utf-8")
    script = f"cat {tmp_path}/there {tmp_path}/there; echo > {tmp_path}/new"
    done = guest("sh", "-c", script, options=["--frozen", str(tmp_path)])
    assert done.stdout == b"read\nread\n", done.stderr
    assert b"Read-only file system" in done.stderr and done.returncode
    assert not (tmp_path / "new").exists()


def test_input_arrives_whole():
    data = os.urandom(1 << 20)
    done = guest("sha256sum", stdin=None, input=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


CLOCK = (
    "import time; a = time.monotonic(); print('ready', flush=True); input(); "
    "print(time.monotonic() - a)"
)


def test_a_second_of_the_guest_is_a_second():
    begin = time.monotonic()
    with subprocess.Popen(
        [*EXEC, "--", sys.executable, "-c", CLOCK], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        inner = time.monotonic()
        time.sleep(3)
        inner = time.monotonic() - inner
        process.stdin.write(b"\n")
        process.stdin.flush()
        guest = float(process.stdout.readline())
        outer = time.monotonic() - begin
    assert 0.99 * inner <= guest <= 1.01 * outer


def test_no_such_command():
    done = guest("no-such-command")
    assert done.returncode == 127
    assert b"no-such-command: no such command" in done.stderr


def start(*argv, options=(), **keywords):
    """A running guest whose command has said `ready`."""
    process = subprocess.Popen(
        [*EXEC, *options, "--", *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **keywords,
    )
    assert process.stdout.readline() == b"ready\n"
    return process


SLEEP = ("sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.1; done")


@pytest.mark.quick
def test_control_c_reaches_the_command():
    process = start(*SLEEP)
    below = descendants(process.pid)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=BOOT_S)
    assert (process.returncode, out) == (9, b"caught\n"), err
    assert gone(below)


def test_control_c_on_a_terminal():
    pid, master = pty.fork()
    if pid == 0:
        os.execvp(EXEC[0], [*EXEC, "--", *SLEEP])
    seen = b""
    while b"ready" not in seen:
        seen += os.read(master, 4096)
    os.write(master, b"\x03")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 9


def test_a_killed_labkit_takes_its_guest_along():
    process = start(*SLEEP)
    below = descendants(process.pid)
    assert len(below) >= 2
    process.kill()
    process.wait()
    assert gone(below)


#: A submission that leaves a guest behind.
LEAVES_A_GUEST = """
import os, subprocess, sys, time
flag = {flag!r}
command = [sys.executable, "-m", "labkit.cli", "vm", "exec", "--memory", "256", "--"]
command += ["sh", "-c", 'touch "$0"; exec sleep 10000', flag]
left = subprocess.Popen(command, start_new_session=True)
while not os.path.exists(flag) and left.poll() is None:
    time.sleep(0.1)
os.kill(os.getpid(), 9)
"""


def test_a_graded_submission_leaves_no_guest(tmp_path, monkeypatch):
    # It has a home of its own, where no kernel is.
    monkeypatch.setenv("LABKIT_KERNEL", str(image.find()))
    before, flag = descendants(os.getpid()), tmp_path / "booted"
    ran = supervise.run([("exercise", LEAVES_A_GUEST.format(flag=str(flag)))], BOOT_S)
    assert ran.end == "its process was ended by SIGKILL", ran.said
    assert flag.exists(), f"there was a guest: {ran.said}"
    assert descendants(os.getpid()) <= before


def test_a_panic_is_an_error_with_the_last_kernel_lines():
    script = "echo 2 > /proc/sys/vm/panic_on_oom; exec tail /dev/zero"
    done = guest("sh", "-c", script, options=("--memory", "256"))
    assert done.returncode == 125
    assert b"the guest's kernel panicked" in done.stderr
    assert b"guest: " in done.stderr and b"Kernel panic" in done.stderr


def test_out_of_memory_says_so():
    done = guest("tail", "/dev/zero", options=("--memory", "256"))
    assert done.returncode == 125
    assert b"ran out of memory (256 MiB)" in done.stderr
    assert b"Out of memory" in done.stderr


def test_a_hang_is_noticed_and_ended():
    process = start(*SLEEP, options=("--hang-timeout", "20"))
    below = descendants(process.pid)
    for pid in below:
        if "qemu" in Path(f"/proc/{pid}/comm").read_text(encoding="utf-8"):
            os.kill(pid, signal.SIGSTOP)
    _, err = process.communicate(timeout=BOOT_S)
    assert process.returncode == 125
    assert b"the guest hangs" in err
    assert b"QEMU's monitor does not answer" in err
    assert gone(below)


def test_a_guest_that_is_silent_says_where_its_cpus_are():
    # What sends its signs of life is the shell's parent.
    done = guest("sh", "-c", "kill -STOP $PPID; sleep 1000", options=("--hang-timeout", "20"))
    assert done.returncode == 125
    assert b"the guest hangs" in done.stderr
    places = re.findall(rb"guest: CPU (\d) is in the kernel, at \w+\+0x\w+, .*", done.stderr)
    assert places == [b"0", b"1"], done.stderr


@pytest.mark.quick
@pytest.mark.parametrize("options", [("--cpus", "0"), ("--memory", "1"), ("--accelerator", "xen")])
def test_bad_options_do_not_boot(options):
    done = guest("true", options=options)
    assert done.returncode == 2
    assert b"labkit: " in done.stderr


def test_a_runtime_folder_of_any_letters_and_a_big_file_as_input(tmp_path):
    data = os.urandom(5_000_000)
    (tmp_path / "big").write_bytes(data)
    with (
        tempfile.TemporaryDirectory(prefix="é x'y ") as runtime,  # short: sockets are in it
        open(tmp_path / "big", "rb") as big,
    ):
        done = guest("sha256sum", stdin=big, env={**os.environ, "XDG_RUNTIME_DIR": runtime})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
