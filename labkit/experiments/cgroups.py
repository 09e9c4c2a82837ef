# SPDX-License-Identifier: MIT
"""Cgroups with CPU weights for threads of this process, gone when done."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path


class NoCgroups(OSError):
    """This machine gives no cgroups with CPU weights; `str()` says why."""


class Weights:
    """A context: cgroups by name and `cpu.weight`; threads enter one through its descriptor."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = dict(weights)
        self._fds: dict[str, int] = {}
        self._mounted: Path | None = None

    def door(self, name: str) -> int:
        """Descriptor of that cgroup's `cgroup.threads`: who writes its number there is in it."""
        return self._fds[name]

    def __enter__(self) -> Weights:
        """Make them.

        Raises:
            NoCgroups: no cgroup v2 with the CPU controller, or no permission.
        """
        try:
            self._make()
        except (OSError, subprocess.CalledProcessError) as error:
            self._remove()
            raise NoCgroups(str(error)) from error
        return self

    def __exit__(self, *exc: object) -> None:
        self._remove()

    def _make(self) -> None:
        root = Path("/sys/fs/cgroup")
        if not (root / "cgroup.controllers").exists():
            root = self._mounted = Path(tempfile.mkdtemp(prefix="labkit-cgroup-"))
            subprocess.run(
                ["mount", "-t", "cgroup2", "cgroup2", str(root)], check=True, capture_output=True
            )
        own = (
            Path("/proc/self/cgroup")
            .read_text(encoding="utf-8")
            .rpartition("0::")[2]
            .split("\n")[0]
        )
        self._home = root / own.lstrip("/")
        if "cpu" not in (root / "cgroup.controllers").read_text(encoding="utf-8").split():
            raise NoCgroups("the CPU controller is not in cgroup v2")
        (root / "cgroup.subtree_control").write_text("+cpu", encoding="utf-8")
        self._top = root / f"labkit-weights-{os.getpid()}"
        self._top.mkdir()
        (self._top / "cgroup.procs").write_text(str(os.getpid()), encoding="utf-8")
        for name in self._weights:
            (self._top / name).mkdir()
            (self._top / name / "cgroup.type").write_text("threaded", encoding="utf-8")
        (self._top / "cgroup.subtree_control").write_text("+cpu", encoding="utf-8")
        for name, weight in self._weights.items():
            (self._top / name / "cpu.weight").write_text(str(weight), encoding="utf-8")
            self._fds[name] = os.open(self._top / name / "cgroup.threads", os.O_WRONLY)

    def _remove(self) -> None:
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
        if hasattr(self, "_top"):
            with contextlib.suppress(OSError):
                (self._home / "cgroup.procs").write_text(str(os.getpid()), encoding="utf-8")
            for folder in (*(self._top / name for name in self._weights), self._top):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        if self._mounted:
            subprocess.run(["umount", str(self._mounted)], check=False, capture_output=True)
            with contextlib.suppress(OSError):
                self._mounted.rmdir()
