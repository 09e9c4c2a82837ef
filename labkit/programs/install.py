# SPDX-License-Identifier: MIT
"""Servers and clients from Debian's packages, unpacked into a folder of their own.

They are not installed: nothing of this machine changes, no service is enabled or started, no user
is made, root is not needed. `python -m labkit.programs.install` is `make programs`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: Package and a program that it has; libraries that they need come with them.
PACKAGES = {
    "mariadb-server-core": "mariadbd",
    "mariadb-client-core": "mariadb",
    "sysbench": "sysbench",
    "memcached": "memcached",
    "libmemcached-tools": "memcslap",
    "redis-server": "redis-server",
    "redis-tools": "redis-benchmark",
    "nginx": "nginx",
    "apache2-utils": "ab",
    "openjdk-17-jdk-headless": "java",
    "nodejs": "node",
}

#: Languages, of which this machine's own will do.
LANGUAGES = ("openjdk-17-jdk-headless", "nodejs")

_INST = re.compile(r"^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) ", re.MULTILINE)


class ProgramsError(RuntimeError):
    """A program is missing or did not work; the message says what to do."""


def folder() -> Path:
    """Where they are: `programs` beside the built kernels, see `UMCG_CACHE`."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("UMCG_CACHE") or Path(home) / "umcg-lab") / "programs"


def missing() -> list[str]:
    """Packages of `PACKAGES` that are not there."""
    return [name for name, program in PACKAGES.items() if _look_for(program) is None]


def find(program: str) -> str:
    """The path of a program of `PACKAGES`: unpacked, or this machine's own.

    Raises:
        ProgramsError: it is not there.
    """
    path = _look_for(program)
    if path is None:
        raise ProgramsError(
            f"{program} is not here: `make programs` fetches it and unpacks it in {folder()}"
        )
    return path


def environment() -> dict[str, str]:
    """This process' environment, in which unpacked programs find their libraries and scripts."""
    names = dict(os.environ)
    names["LUA_PATH"] = f"{folder()}/usr/share/sysbench/?.lua;;"
    own = [str(path) for path in sorted(folder().glob("usr/lib/*-linux-gnu*"))]
    before = names.get("LD_LIBRARY_PATH", "")
    names["LD_LIBRARY_PATH"] = ":".join([*own, *([before] if before else [])])
    return names


def _look_for(program: str) -> str | None:
    own = folder() / "usr"
    places = [str(own / "sbin"), str(own / "bin"), *os.environ.get("PATH", os.defpath).split(":")]
    found = shutil.which(program, path=":".join([*places, "/usr/sbin"]))
    if found is None and program == "java":
        return next((str(path) for path in own.glob("lib/jvm/*/bin/java")), None)
    return found


def install() -> None:
    """Fetch what is missing and unpack it. Nothing is half there if that fails.

    Raises:
        ProgramsError: no Debian, or a package cannot be had; says what to do.
    """
    wanted = missing()
    if not wanted:
        return
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ProgramsError(
            f"not a Debian system; install by hand the equivalents of: {' '.join(wanted)}"
        )
    # A language that is here stays out of it: its newer packages would pull others along.
    every = [name for name in PACKAGES if name in wanted or name not in LANGUAGES]
    print(f"Unpacking Debian packages in {folder()}: {' '.join(every)}", flush=True)
    folder().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder().parent, prefix="programs.") as name:
        fresh = Path(name) / "root"
        fresh.mkdir()
        for package in _fetch(every, Path(name)):
            subprocess.run(["dpkg-deb", "-x", str(package), str(fresh)], check=True)
        _keep_links_inside(fresh)
        if folder().exists():
            folder().rename(Path(name) / "old")
        fresh.rename(folder())
    if missing():
        raise ProgramsError(f"unpacked, and not found: {' '.join(missing())}")


def _fetch(names: list[str], into: Path) -> list[Path]:
    """The archives of packages, and of what they need and this machine has not."""
    asked = ["apt-get", "install", "-s", "--no-install-recommends", *names]
    said = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if said.returncode:
        raise ProgramsError(
            f"apt-get does not know all of {' '.join(names)}; "
            f"after `sudo apt-get update` it may. It said: {said.stderr.strip()[-400:]}"
        )
    found = [f"{package}={version}" for package, version in _INST.findall(said.stdout)]
    # What is installed here already apt does not list, and the folder may be all there is.
    listed = {entry.partition("=")[0] for entry in found}
    found += [name for name in names if name not in listed]
    done = subprocess.run(["apt-get", "-q", "download", *found], cwd=into)
    if done.returncode:
        raise ProgramsError("the packages cannot be fetched; `sudo apt-get update`, then again")
    return sorted(into.glob("*.deb"))


def _keep_links_inside(root: Path) -> None:
    """Links to `/etc/...` and the like mean the unpacked file, where there is one."""
    for path in root.rglob("*"):
        if not path.is_symlink():
            continue
        target = os.readlink(path)
        inside = root / target.lstrip("/")
        if target.startswith("/") and inside.exists():
            path.unlink()
            path.symlink_to(os.path.relpath(inside, path.parent))


def main() -> int:
    """`make programs`."""
    try:
        install()
    except ProgramsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"servers and clients are in {folder()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
