# SPDX-License-Identifier: MIT
"""What pip installs in the guest, fetched by this machine's pip and handed on over plain HTTP.

A guest under TCG spends five to ten seconds a package on encryption and on index pages with
thousands of files for other systems: a quarter of an hour in all. So this machine's pip resolves
and fetches first, with its own settings; the guest then resolves and installs as ever, out of an
index that has those files alone.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

#: Debian 12's Python. pip can choose for another patch level than its own, hardly for more.
PYTHON = "3.11.2"

#: The versions that the guest's installation takes.
CONSTRAINTS = "constraints.txt"

#: How a guest with user networking reaches this machine's loopback.
GATEWAY = "10.0.2.2"


def requirements(project: Path) -> list[str]:
    """What labkit needs to be installed, to be built and to run in JupyterLab."""
    said = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    needed = [*said["project"]["dependencies"], *said["project"]["optional-dependencies"]["lab"]]
    return sorted(["uv", *needed, *said["build-system"]["requires"]])


def add(wheel: Path, index: Path) -> None:
    """Its folder in the index: page, wheel, and its metadata alone, so that it is got once."""
    # A wheel is called NAME-VERSION-..., with _ in NAME for what is not a letter.
    folder = index / wheel.name.split("-")[0].lower().replace("_", "-").replace(".", "-")
    folder.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as packed:
        (metadata,) = (
            n for n in packed.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)
        )
        (folder / f"{wheel.name}.metadata").write_bytes(packed.read(metadata))
    link = f'<a href="{wheel.name}" data-core-metadata="true" data-dist-info-metadata="true">'
    page = f"<!DOCTYPE html><html><body>{link}{wheel.name}</a></body></html>"
    (folder / "index.html").write_text(page, encoding="utf-8")
    wheel.rename(folder / wheel.name)


def fetch(project: Path, into: Path) -> Path:
    """An index as a folder of folders, one a package; made once for one list of requirements."""
    if not PYTHON.startswith("{}.{}.".format(*sys.version_info)):
        sys.exit(
            "the Vagrant test has to run in Python 3.11, as the guest does:"
            " rm -r .venv && make deps PYTHON=python3.11"
        )
    wanted = requirements(project)
    pinned = (project / CONSTRAINTS).read_text(encoding="utf-8")
    key = hashlib.sha256(repr([PYTHON, wanted, pinned]).encode()).hexdigest()
    index = into / f"wheels-{key[:12]}"
    if index.is_dir():
        return index
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tmp.", dir=into) as name:
        loaded, made = Path(name) / "loaded", Path(name) / "index"
        command = [sys.executable, "-m", "pip", "download", "-qq", "--dest", str(loaded)]
        command += ["--python-version", PYTHON, "--only-binary", ":all:"]
        command += ["-c", str(project / CONSTRAINTS)]
        subprocess.run([*command, *wanted], check=True)
        for wheel in loaded.iterdir():
            add(wheel, made)
        made.chmod(0o755)
        for old in into.glob("wheels-*"):
            shutil.rmtree(old)
        made.rename(index)
    return index


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing; pip says what it gets."""


@contextmanager
def served(index: Path) -> Iterator[str]:
    """The address of that index as the guest sees it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(index)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{GATEWAY}:{server.server_port}/"
    finally:
        server.shutdown()
