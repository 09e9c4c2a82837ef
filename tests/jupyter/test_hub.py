# SPDX-License-Identifier: MIT
"""JupyterHub with the teacher's configuration: two users at once, each with a guest of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import websocket
from conftest import END_S, PATIENCE_S, gone, guest_runs

from labkit.vm import image

CONFIG = Path(__file__).resolve().parents[2] / "notebooks" / "teaching" / "jupyterhub_config.py"
USERS = ("ada", "edsger")

#: What only this test needs: users without accounts, and a token to ask the hub with.
OWN = """
load_subconfig({config!r})
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r} + "/{{username}}"
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.JupyterHub.services = [{{"name": "test", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [
    {{"name": "all", "services": ["test"],
      "scopes": ["admin:users", "admin:servers", "access:servers", "tokens"]}}
]
c.Spawner.args = [*c.Spawner.args, "--allow-root"]
"""

#: What a student's cell finds out about where it runs.
CELL = """
from pathlib import Path
from labkit.native import engine
print(engine.enabled(), Path("/proc/sys/kernel/random/boot_id").read_text().strip())
"""


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Hub:
    """The hub, its proxy and all that they start."""

    def __init__(self, folder: Path) -> None:
        self.homes = folder / "homes"
        self.homes.mkdir()
        self.token = secrets.token_hex(16)
        port, hub_port, proxy_port = free_ports(3)
        self.url = f"http://127.0.0.1:{port}"
        config = folder / "config.py"
        config.write_text(
            OWN.format(
                config=str(CONFIG),
                homes=str(self.homes),
                port=port,
                hub_port=hub_port,
                proxy_port=proxy_port,
                token=self.token,
            ),
            encoding="utf-8",
        )
        self.log = folder / "hub.log"
        tools = Path(sys.executable).parent
        # As the guide says: a kernel image that is in nobody's home.
        own = {"LABKIT_KERNEL": str(image.find()), "PATH": f"{tools}:{os.environ['PATH']}"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                # It ends with us, however we end.
                ["setpriv", "--pdeathsig", "TERM", tools / "jupyterhub", "-f", config],
                cwd=folder,
                env={**os.environ, **own},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def ask(self, how: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"token {self.token}"}
        return requests.request(how, self.url + path, headers=headers, timeout=PATIENCE_S, **more)

    def until(self, holds: Any, what: str) -> Any:
        """Wait for the first true answer."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            try:
                if found := holds():
                    return found
            except (requests.RequestException, ValueError):
                pass
            time.sleep(0.2)
        raise AssertionError(f"{what} did not come:\n{self.log.read_text(encoding='utf-8')}")

    def server(self, user: str) -> None:
        """Have the user's JupyterLab started."""
        self.ask("POST", f"/hub/api/users/{user}").raise_for_status()
        self.ask("POST", f"/hub/api/users/{user}/server").raise_for_status()

        def ready() -> bool:
            said = self.ask("GET", f"/hub/api/users/{user}").json()
            return bool(said["servers"].get("", {}).get("ready"))

        self.until(ready, f"the JupyterLab of {user}")

    def kernel(self, user: str) -> str:
        """Start "Python (UMCG)" for the user; its id."""
        made = self.ask("POST", f"/user/{user}/api/kernels", json={"name": "python-umcg"})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def run(self, user: str, kernel: str, code: str) -> str:
        """What a cell prints."""
        url = f"{self.url.replace('http', 'ws', 1)}/user/{user}/api/kernels/{kernel}/channels"
        header = [f"Authorization: token {self.token}"]
        printed = ""
        with closing(websocket.create_connection(url, header=header, timeout=PATIENCE_S)) as line:
            head = {"msg_id": "1", "msg_type": "execute_request", "session": "s", "version": "5.3"}
            content = {"code": code, "silent": False, "allow_stdin": False}
            asked = {"header": head, "parent_header": {}, "metadata": {}, "content": content}
            line.send(json.dumps({**asked, "channel": "shell"}))
            while True:
                told = json.loads(line.recv())
                if told.get("parent_header", {}).get("msg_id") != "1":
                    continue
                assert told["msg_type"] != "error", told["content"]
                if told["msg_type"] == "stream":
                    printed += told["content"]["text"]
                idle = told["content"].get("execution_state") == "idle"
                if told["msg_type"] == "status" and idle:
                    return printed

    def processes(self, user: str) -> list[psutil.Process]:
        """All that runs for a user: its JupyterLab and what that has started."""
        home = str(self.homes / user)
        found = []
        for one in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if one.cwd().startswith(home):
                    found += [one, *one.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        return list(dict.fromkeys(found))


@pytest.fixture
def hub(tmp_path: Path, kernel_name: str) -> Iterator[Hub]:
    assert shutil.which("configurable-http-proxy"), "pip install -e '.[hub]'"
    started = Hub(tmp_path)
    everybody: list[psutil.Process] = []
    try:
        started.until(lambda: started.ask("GET", "/hub/api/").ok, "the hub")
        yield started
    finally:
        if started.process.poll() is None:
            everybody = psutil.Process(started.process.pid).children(recursive=True)
            started.process.send_signal(signal.SIGTERM)
            started.process.wait(END_S)
        for one in everybody:
            if one.is_running():
                one.kill()


def memory_mib(processes: list[psutil.Process]) -> dict[str, float]:
    """What each kind of them has for itself, in MiB."""
    found: dict[str, float] = {}
    for one in processes:
        kind = "guest" if "qemu" in one.name() else "JupyterLab and relay"
        found[kind] = found.get(kind, 0) + one.memory_full_info().pss / 2**20
    return found


@pytest.mark.vm
@pytest.mark.classroom
@pytest.mark.timeout(3600)
def test_two_users_at_once_have_a_guest_each(hub: Hub) -> None:
    for user in USERS:
        hub.server(user)
    kernels = {user: hub.kernel(user) for user in USERS}
    said = {user: hub.run(user, kernels[user], CELL).split() for user in USERS}
    assert [enabled for enabled, _ in said.values()] == ["True", "True"], "UMCG in each"
    assert len({boot for _, boot in said.values()}) == 2, "two guests"
    for user in USERS:
        copy = (hub.homes / user / "course" / "08-your-own-scheduler.ipynb").read_text()
        assert "your code here" in copy and "BEGIN SOLUTION" not in copy
        assert guest_runs(hub.processes(user))
        # Said, and written down in the guide; not held against a figure.
        print(user, {kind: round(mib) for kind, mib in memory_mib(hub.processes(user)).items()})
    mine = hub.processes("ada")
    hub.ask("DELETE", "/hub/api/users/ada/server").raise_for_status()
    assert gone(mine), "nothing of a user is left when its server is stopped"
    assert hub.run("edsger", kernels["edsger"], "print(6 * 7)").strip() == "42"
    rest = psutil.Process(hub.process.pid).children(recursive=True)
    hub.process.send_signal(signal.SIGTERM)
    hub.process.wait(END_S)
    assert gone(rest), "nothing is left when the hub ends"
