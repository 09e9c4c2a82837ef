# SPDX-License-Identifier: MIT
"""A Jupyter server ends after Ctrl-C, also where a page's request is not answered yet."""

import contextlib
import http.client
import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest
from conftest import END_S

from labkit.jupyter import install

#: Part of a server whose request takes a while in one of AnyIO's threads, as a file of a slow disk.
SLOW = """
import time
import anyio
from jupyter_server.base.handlers import JupyterHandler

def slow():
    print("ASKED", flush=True)
    time.sleep(10)

class Slow(JupyterHandler):
    async def get(self):
        await anyio.to_thread.run_sync(slow)
        self.finish("done")

def _jupyter_server_extension_points():
    return [{"module": __name__}]

def _load_jupyter_server_extension(server):
    server.web_app.add_handlers(".*", [("/slow", Slow)])
"""

pytestmark = pytest.mark.timeout(2 * END_S)


def port(server, runtime):
    """Wait until the server says on which port it will listen."""
    while server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            with contextlib.suppress(ValueError):  # half written
                return json.loads(file.read_text(encoding="utf-8"))["port"]
        time.sleep(0.1)
    raise AssertionError("the server ended")


def test_ctrl_c_amid_a_request(tmp_path):
    install.install()
    (tmp_path / "slow_extension.py").write_text(SLOW, encoding="utf-8")
    own = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environment = {**os.environ, **{f"JUPYTER_{name}": str(tmp_path / name) for name in own}}
    keyboard, terminal = pty.openpty()  # the server asks nobody who has no terminal
    server = subprocess.Popen(
        [
            *(sys.executable, "-u", "-m", "jupyter_server", "--no-browser", "--ServerApp.port=0"),
            *("--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True", "--allow-root"),
            "--ServerApp.jpserver_extensions=slow_extension=True",
            f"--ServerApp.root_dir={tmp_path}",
        ],
        env={**environment, "PYTHONPATH": str(tmp_path)},
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=(tmp_path / "log").open("w"),
    )
    try:
        page = http.client.HTTPConnection("127.0.0.1", port(server, tmp_path / "RUNTIME_DIR"))
        while True:
            try:
                page.request("GET", "/slow")  # the answer does not come any more
                break
            except ConnectionRefusedError:  # it says its port before it listens
                assert server.poll() is None
                time.sleep(0.1)
        assert b"ASKED" in server.stdout.readline()
        server.send_signal(signal.SIGINT)
        os.write(keyboard, b"y\n")
        assert server.wait(END_S) == 0
        page.close()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        os.close(keyboard)
        os.close(terminal)
