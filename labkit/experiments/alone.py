# SPDX-License-Identifier: MIT
"""One experiment at a time on a machine, on the CPUs it began with: else it measures others, too.

The lock is the kernel's (flock) on a file of this user, so that it goes with the process however
that ends, and holds among threads of one process as it does among processes.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit import environment


class Busy(RuntimeError):
    """Another experiment runs on this machine; `str()` names it."""


class Disturbed(RuntimeError):
    """The CPUs changed while an experiment ran; `str()` says how."""


def lock_file() -> Path:
    """The file whose lock an experiment holds while it measures: $LABKIT_LOCK, or one a user.

    Who gives parts of a machine to several, each with CPUs of its own, gives each its own file.
    """
    if given := os.environ.get("LABKIT_LOCK"):
        return Path(given)
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    # In a guest, which has the host's variables, that folder is not there.
    return (
        Path(base if os.path.isdir(base) else tempfile.gettempdir())
        / f"labkit-experiment-{os.getuid()}.lock"
    )


@contextmanager
def alone(name: str) -> Iterator[None]:
    """Nobody else of this user measures on this machine meanwhile; `name` is what others are told.

    Raises:
        Busy: somebody does.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(lock_file(), flags, 0o600)
    except OSError as error:
        raise Busy(
            f"cannot make sure that no other experiment runs: {lock_file()}: {error.strerror}; "
            "set LABKIT_LOCK to a file of your own"
        ) from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno != errno.EWOULDBLOCK:
                raise
            other = os.pread(file, 200, 0).decode(errors="replace") or "one that just begins"
            raise Busy(
                f"another experiment is running on this machine: {other}; two at once would "
                "measure each other: wait for its end, or stop it"
            ) from None
        try:
            os.ftruncate(file, 0)
            os.pwrite(file, f"{name} (process {os.getpid()})".encode(), 0)
            yield
        finally:
            # Not only by closing: a child that was forked meanwhile has the file open, too.
            os.ftruncate(file, 0)
            fcntl.flock(file, fcntl.LOCK_UN)
    finally:
        os.close(file)


class Cpus:
    """The CPUs that this thread may use, as they were when this was made."""

    def __init__(self) -> None:
        self._had = environment.cpus()

    def check(self) -> None:
        """Are they still the same? They change with affinity, cpuset, and CPUs on and off line.

        Raises:
            Disturbed: they are not.
        """
        have = environment.cpus()
        if have != self._had:
            had, now = (", ".join(map(str, cpus)) for cpus in (self._had, have))
            raise Disturbed(
                f"the CPUs that may be used changed from {had} to {now} while it ran: leave "
                "cpuset, affinity and CPUs as they are, and run again"
            )
