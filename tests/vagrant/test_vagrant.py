# SPDX-License-Identifier: MIT
"""The life of the virtual machine: up, use, halt, up, provision, destroy; run by run.py."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import requests  # noqa: E402
from run import PROJECT  # noqa: E402
from server import Server  # noqa: E402
from world import World  # noqa: E402

from labkit.vm import VmOptions, accel  # noqa: E402

#: What a second `vagrant provision` must leave as it is: files, this boot, the running service.
STATE = r"""
sudo find /boot /etc /usr/local /var/lib/dpkg/status -xdev -type f -exec sha256sum {} + | sort -k 2
cd umcg-lab
find . .venv/etc .venv/share \( -path ./.venv -o -name __pycache__ \) -prune \
    -o -type f -exec sha256sum {} + | sort -k 2
cat /proc/sys/kernel/random/boot_id
systemctl show -p MainPID -p ActiveEnterTimestampMonotonic umcg-lab
"""

NOTEBOOK = "00-quickstart.ipynb"


@pytest.fixture
def world() -> Iterator[World]:
    scratch = os.environ.get("LABTEST_SCRATCH")
    if not scratch:
        pytest.fail("this test needs a world of its own: make test-vagrant")
    # An ordinary user may use KVM where a boot has proved it; the user made for root may not.
    driver = "kvm" if os.geteuid() and accel.choose(VmOptions()) == "kvm" else "qemu"
    world = World(Path(scratch), driver)
    yield world
    for what, seconds in world.times:
        print(f"{seconds:6.0f} s  {what}")


def link(said: str, port: int) -> str:
    """The token in the link that `vagrant up` printed."""
    found = re.findall(rf"http://localhost:{port}/lab\?token=([0-9a-f]+)", said)
    assert len(found) == 1, "vagrant up did not print the link of JupyterLab"
    return str(found[0])


def run_notebook(world: World, server: Server) -> None:
    begun = time.monotonic()
    notebook = server.get(f"contents/{NOTEBOOK}")["content"]
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    assert cells
    with server.kernel() as kernel:
        where = kernel.run(
            "import os, labkit.umcg; print(os.uname().release, labkit.umcg.enabled())"
        )
        assert re.fullmatch(r"6\.1\.\d+-umcg True", where.strip()), where
        for number, cell in enumerate(cells, 1):
            print(f"  {NOTEBOOK}: cell {number} of {len(cells)}", flush=True)
            kernel.run(cell)
    world.times.append((NOTEBOOK, time.monotonic() - begun))


@pytest.mark.timeout(14400)
def test_the_life_of_the_machine(world: World) -> None:
    world.add_box(Path(os.environ["LABTEST_BOX"]))

    token = link(world.vagrant("up"), world.port)
    server = Server(world.port, token)
    assert server.get("status")["kernels"] == 0
    refused = requests.get(f"{server.address}/api/status", timeout=60)
    assert refused.status_code == 403, "JupyterLab lets in whoever asks"
    assert world.guest("nproc").strip() == "2"
    run_notebook(world, server)

    # In the machine the lab is local: nothing is missing because no microVM can be had.
    doctor = world.guest("umcg-lab/.venv/bin/labkit doctor")
    assert "lack" not in doctor
    nested = world.guest("umcg-lab/.venv/bin/labkit vm exec -- uname -r")
    assert nested.strip().endswith("-umcg")

    world.vagrant("halt")
    said = world.vagrant("up")
    assert link(said, world.port) == token
    assert server.get("status")["kernels"] == 0

    # What somebody has changed in the machine stays, what is as it was stays, too.
    world.guest(f"echo >>umcg-lab/notebooks/{NOTEBOOK}")
    before = world.guest(STATE)
    said = world.vagrant("provision")
    assert world.guest(STATE) == before
    assert link(said, world.port) == token

    # A step that fails says which it was and what to do.
    code, said = world.try_run(
        "vagrant",
        "ssh",
        "-c",
        "sudo UMCG_LAB_USER=nobody-of-that-name /vagrant/labkit/provision/jupyter.sh",
    )
    assert code and "jupyter.sh: could not" in said and "UMCG_LAB_USER" in said

    world.vagrant("destroy", "--force")
    domains = world.run("virsh", "-c", "qemu:///session", "list", "--all", "--name")
    assert not domains.strip()
    left = world.run("virsh", "-c", "qemu:///session", "vol-list", "default")
    assert "umcg" not in left and PROJECT.name not in left
