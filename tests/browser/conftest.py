# SPDX-License-Identifier: MIT
"""A JupyterLab with settings of its own on a copy of the notebooks, and a browser."""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect, sync_playwright

from labkit.jupyter import install

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "browser-test"

#: Milliseconds that a guest without KVM on a busy machine may take for anything.
PATIENCE_MS = 600_000


class Lab:
    """The server."""

    def __init__(self, folder):
        self.folder = folder
        shutil.copytree(ROOT / "notebooks", folder / "notebooks")
        own = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
        places = {f"JUPYTER_{name}": str(folder / name.lower()) for name in own}
        self.log = (folder / "server.log").open("w")
        self.keyboard, terminal = pty.openpty()  # Jupyter asks nobody who has no terminal
        self.process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL"),  # it ends with us, however we end
                *(sys.executable, "-X", "faulthandler", "-m", "jupyterlab"),
                *("--no-browser", "--ServerApp.port=0"),
                *(f"--IdentityProvider.token={TOKEN}", "--allow-root", "--debug"),
                str(folder / "notebooks"),
            ],
            env={**os.environ, **places, "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces")},
            stdin=terminal,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        os.close(terminal)
        self.url = None

    def wait(self):
        """Wait until it answers."""
        runtime = self.folder / "runtime_dir"
        while self.process.poll() is None:
            for file in runtime.glob("jpserver-*.json"):
                try:
                    said = json.loads(file.read_text(encoding="utf-8"))
                    socket.create_connection(("127.0.0.1", said["port"])).close()
                except (ValueError, ConnectionRefusedError):  # half written, does not listen yet
                    continue
                self.url = said["url"]
                return
            try:
                self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        raise AssertionError((self.folder / "server.log").read_text(encoding="utf-8"))

    def page(self, notebook):
        return f"{self.url}lab/tree/{notebook}?token={TOKEN}&reset"

    def processes(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def interrupt(self):
        """Ctrl-C, and yes to its question."""
        self.process.send_signal(signal.SIGINT)
        os.write(self.keyboard, b"y\n")
        try:
            self.process.wait(PATIENCE_MS / 1000)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # it says where its threads are
            self.process.wait()
            log = (self.folder / "server.log").read_text(encoding="utf-8").splitlines()
            raise AssertionError("\n".join(["Jupyter did not end:", *log[-100:]])) from None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        os.close(self.keyboard)


@pytest.fixture
def lab(tmp_path):
    install.install()
    server = Lab(tmp_path)
    try:
        server.wait()
        yield server
    finally:
        server.close()


@pytest.fixture
def page(lab):
    """A page that may reach this machine alone; `page.strayed` has what it asked elsewhere."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.strayed = []

        def only_here(route):
            url = route.request.url
            if url.startswith(lab.url) or url.startswith(("data:", "blob:")):
                route.continue_()
            else:
                page.strayed.append(url)
                route.abort()

        page.route("**/*", only_here)

        def connected(opened):
            if not opened.url.startswith(lab.url.replace("http", "ws", 1)):
                page.strayed.append(opened.url)

        page.on("websocket", connected)
        yield page
        browser.close()
