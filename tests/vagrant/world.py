# SPDX-License-Identifier: MIT
"""Vagrant as an ordinary user calls it, on a machine without KVM; see run.py and overlay.rb."""

from __future__ import annotations

import functools
import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from run import PROJECT, UID, USER

HERE = Path(__file__).resolve().parent


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class World:
    """Folders, user and environment that `vagrant` runs with.

    Attributes:
        scratch: everything that is written lies below.
        driver: libvirt's, kvm or qemu.
        index: address of the guest's package index.
        port: JupyterLab's port on this machine.
        times: seconds that each step took, in order.
    """

    scratch: Path
    driver: str
    index: str
    port: int = field(default_factory=free_port)
    times: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home = self.scratch / "home"
        settings = self.home / ".vagrant.d"
        runtime = self.home / "run"
        for folder in (settings, runtime):
            folder.mkdir(mode=0o700)
            self._give(folder)
        shutil.copy(HERE / "overlay.rb", settings / "Vagrantfile")
        debs = self.scratch / "debs"
        shutil.copytree(os.environ["LABTEST_DEBS"], debs)
        self.environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.home),
            "USER": USER if self._ids else os.environ.get("USER", ""),
            "XDG_RUNTIME_DIR": str(runtime),
            # libvirt makes sockets below, whose paths have to stay under 108 characters
            "XDG_CONFIG_HOME": str(self.home),
            "VAGRANT_HOME": str(settings),
            "VAGRANT_DOTFILE_PATH": str(self.home / "dot"),
            "VAGRANT_EXPERIMENTAL": "typed_triggers",
            "VAGRANT_DEFAULT_PROVIDER": "libvirt",
            "VAGRANT_CHECKPOINT_DISABLE": "1",
            "LABTEST_DRIVER": self.driver,
            "LABTEST_SSH_PORT": str(free_port()),
            "LABTEST_INDEX": self.index,
            "UMCG_LAB_DEBS": str(debs),
            "UMCG_LAB_PORT": str(self.port),
            "UMCG_LAB_MEMORY": "3072",
        }

    @property
    def _ids(self) -> dict[str, object]:
        if os.geteuid():
            return {}
        return {"user": UID, "group": UID, "extra_groups": []}

    def _give(self, path: Path) -> None:
        if self._ids:
            os.chown(path, UID, UID)

    def run(self, *argv: str, env: dict[str, str] | None = None, show: bool = True) -> str:
        """Run a command as the user, show what it says (or do not) and return it.

        Raises:
            AssertionError: its exit code is not 0; the output has been shown.
        """
        code, text = self.try_run(*argv, env=env, show=show)
        assert code == 0, f"{' '.join(argv)}: exit code {code}"
        return text

    def try_run(
        self, *argv: str, env: dict[str, str] | None = None, show: bool = True
    ) -> tuple[int, str]:
        """Like `run`, for a command that may fail; its exit code and output."""
        begun = time.monotonic()
        with subprocess.Popen(  # type: ignore[call-overload]
            argv,
            cwd=PROJECT,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **self._ids,
        ) as process:
            said = []
            assert process.stdout
            for line in process.stdout:
                if show and "Progress: " not in line:
                    print(f"  {time.monotonic() - begun:5.0f} s  {line}", end="", flush=True)
                said.append(line)
        return process.returncode, "".join(said)

    def vagrant(self, *argv: str, env: dict[str, str] | None = None) -> str:
        """`vagrant ARG...` on the project; its time is noted."""
        print(f"== {time.strftime('%H:%M:%S')} vagrant {' '.join(argv)}", flush=True)
        begun = time.monotonic()
        try:
            return self.run("vagrant", *argv, "--no-color", env=env)
        finally:
            self.times.append((f"vagrant {argv[0]}", time.monotonic() - begun))

    def guest(self, script: str, show: bool = True) -> str:
        """What a shell script says in the guest, run as the ordinary user there."""
        return self.run(*self._ssh, script, show=show)

    def try_guest(self, script: str) -> tuple[int, str]:
        """Like `guest`, for a script that may fail; its exit code and output."""
        return self.try_run(*self._ssh, script)

    @functools.cached_property
    def _ssh(self) -> tuple[str, ...]:
        """`vagrant ssh` without the seconds and the words of Vagrant itself."""
        said = self.run("vagrant", "ssh-config", "--no-color")
        settings = self.home / "ssh-config"
        settings.write_text(said[said.index("Host default") :], encoding="utf-8")
        return "ssh", "-q", "-F", str(settings), "default"

    def add_box(self, box: Path) -> None:
        """Make `box` known to Vagrant under the name that the project's Vagrantfile asks for."""
        here = shutil.copy(box, self.scratch)
        catalogue = self.scratch / "catalogue.json"
        provider = {"name": "libvirt", "url": f"file://{here}"}
        versions = [{"version": "12.0.0", "providers": [provider]}]
        catalogue.write_text(
            json.dumps({"name": "debian/bookworm64", "versions": versions}), encoding="utf-8"
        )
        self.vagrant("box", "add", str(catalogue))
