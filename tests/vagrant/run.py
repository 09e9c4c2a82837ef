# SPDX-License-Identifier: MIT
"""Run the Vagrant test in a world of its own.

The test runs in a PID namespace: when it ends, however it ends, the kernel ends whatever it has
started (QEMU, libvirtd, virtlogd, ssh). As root it also gets an ordinary user, who exists only
in that world: libvirt has no session for root.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import wheels

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]

#: The user's name, and a number that no distribution gives out.
USER, UID = "umcg-lab-test", 64242

#: First process of the namespace: looks after orphans, so it stays.
_INSIDE = """
for file in passwd group; do
    [ ! -f "$1/$file" ] || mount --bind "$1/$file" /etc/$file || exit
done
shift
"$@"
exit $?
"""


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("UMCG_CACHE") or Path(base) / "umcg-lab")


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for everything the test writes, where the user can get at it."""
    with tempfile.TemporaryDirectory(prefix="lab-", dir="/var/tmp") as name:
        scratch = Path(name)
        home = scratch / "home"
        home.mkdir()
        if os.geteuid() == 0:
            scratch.chmod(0o755)
            os.chown(home, UID, UID)
            passwd = Path("/etc/passwd").read_text(encoding="utf-8")
            (scratch / "passwd").write_text(
                f"{passwd}{USER}:x:{UID}:{UID}::{home}:/bin/sh\n", encoding="utf-8"
            )
            group = Path("/etc/group").read_text(encoding="utf-8")
            (scratch / "group").write_text(f"{group}{USER}:x:{UID}:\n", encoding="utf-8")
        yield scratch


def _say(command: list[str]) -> str:
    """Run a command; what it wrote to stdout. Interrupted, its whole process group is ended."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0) as process:
        try:
            said, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return said


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def main() -> int:
    """Build packages and box if need be, then test; the test's exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    make = ["make", "-s", "-C", str(PROJECT / "kernel")]
    _say([*make, "deb"])
    where = dict(line.split("=", 1) for line in _say([*make, "where"]).splitlines())
    box = _say([str(HERE / "box.sh"), str(_cache() / "vagrant")]).strip()
    index = wheels.fetch(PROJECT, _cache() / "vagrant")

    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
    with _scratch() as scratch:
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", *user, "--mount", "--pid"]
        command += [
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            _INSIDE,
            "sh",
            str(scratch),
        ]
        command += [sys.executable, "-m", "pytest", "-q", "-s", str(HERE), *sys.argv[1:]]
        environment = {
            **os.environ,
            "LABTEST_SCRATCH": str(scratch),
            "LABTEST_BOX": box,
            "LABTEST_DEBS": where["DEBS"],
            "LABTEST_WHEELS": str(index),
        }
        with subprocess.Popen(command, env=environment, cwd=PROJECT) as test:
            try:
                return test.wait()
            finally:
                # Ends the namespace and everything in it, if it has not ended itself.
                test.kill()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{' '.join(map(str, error.cmd))}: exit code {error.returncode}")
    except KeyboardInterrupt:
        sys.exit(130)
