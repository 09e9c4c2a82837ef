# SPDX-License-Identifier: MIT
"""The life of the virtual machine: up, use, halt, up, provision, destroy; run by run.py.

With LABTEST_BRIEF in the environment it is up, use, destroy.
"""

from __future__ import annotations

import difflib
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
import wheels  # noqa: E402
from server import CellFailed, Server  # noqa: E402
from world import World  # noqa: E402

from labkit.vm import VmOptions, accel  # noqa: E402

#: What a second `vagrant provision` must not even write again: files, this boot, the service.
STATE = r"""
show="-type f -printf %T@\t%s\t%m\t%u\t%p\n"
{
	sudo find /boot /etc /usr/local /var/lib/dpkg/status -xdev $show
	sudo find /var/cache/umcg-lab $show
	find . \( -path '*/site-packages/*' -o -name __pycache__ -o -name .cache \) -prune -o $show
} | sort -k 5
stat -c '%Y %n' umcg-lab/.venv/lib/python3*/site-packages
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
    with wheels.served(Path(os.environ["LABTEST_WHEELS"])) as index:
        world = World(Path(scratch), driver, index)
        yield world
    for what, seconds in world.times:
        print(f"{seconds:6.0f} s  {what}")


def link(said: str, port: int) -> str:
    """The token in the link that `vagrant up` printed."""
    found = re.findall(rf"http://localhost:{port}/lab\?token=([0-9a-f]+)", said)
    assert len(found) == 1, "vagrant up did not print the link of JupyterLab"
    return str(found[0])


def size(world: World) -> tuple[int, int]:
    """CPUs and memory of the machine, in GiB, upwards: its kernel keeps some for itself."""
    cpus, kib = world.guest(
        "nproc; sed -n 's/MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo"
    ).split()
    return int(cpus), -(-int(kib) // 2**20)


def run_notebook(world: World, server: Server) -> None:
    """All its cells, in the kernel that it names, as a browser runs them."""
    begun = time.monotonic()
    notebook = server.get(f"contents/{NOTEBOOK}")["content"]
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert "For the instructor" not in repr(notebook), "the students' version, not the master"
    said = ""
    with server.kernel(notebook["metadata"]["kernelspec"]["name"]) as kernel:
        for number, cell in enumerate(cells, 1):
            print(f"  {NOTEBOOK}: cell {number} of {len(cells)}", flush=True)
            try:
                said += kernel.run("".join(cell["source"]))
            except CellFailed:  # the exercise is not solved yet
                assert "raises-exception" in cell["metadata"].get("tags", ())
    assert "Measured here." in said and "Recorded" not in said, said
    world.times.append((NOTEBOOK, time.monotonic() - begun))


def runs_here(world: World, server: Server, kernel_name: str) -> None:
    """Fails unless that kernel is a process of the machine itself, on the patched Linux."""
    boot = "/proc/sys/kernel/random/boot_id"
    ask = "import os, labkit.umcg; from pathlib import Path\n"
    ask += f"print(os.uname().release, labkit.umcg.enabled(), Path('{boot}').read_text())"
    with server.kernel(kernel_name) as kernel:
        release, enabled, where = kernel.run(ask).split()
    assert re.fullmatch(r"6\.1\.\d+-umcg", release) and enabled == "True", (release, enabled)
    assert where == world.guest(f"cat {boot}").strip(), f"{kernel_name} runs in another machine"


def fails_and_says_why(world: World, token: str) -> str:
    """A step that fails ends `vagrant`, says which it was, why, and what to do; the new token."""
    world.guest("sudo rm /etc/umcg-lab/token")
    code, said = world.try_run("vagrant", "provision", "--provision-with", "link", "--no-color")
    assert code, "link.sh has failed, vagrant has not"
    assert "link.sh: could not open JupyterLab: it is not installed completely" in said
    assert "`vagrant provision` does what is missing" in said

    said = world.vagrant("provision", "--provision-with", "jupyter,link")
    assert "UMCG Lab: make JupyterLab's token" in said
    renewed = link(said, world.port)
    assert renewed != token
    return renewed


def own_volumes(world: World) -> list[str]:
    """The machine's disks; the box's, which Vagrant keeps for the next machine, is none of them."""
    said = world.run("virsh", "-c", "qemu:///session", "vol-list", "default", show=False)
    # A heading and a rule, then a name and a path on each line.
    names = [line.split()[0] for line in said.splitlines()[2:] if line.strip()]
    return [name for name in names if "VAGRANTSLASH" not in name]


def may_trace(world: World) -> bool:
    """May the ordinary user trace: do notebooks 05 and 12 measure, instead of showing?"""
    ask = "from labkit.trace.kernel import tracefs; print(tracefs())"
    found = world.guest(f"umcg-lab/.venv/bin/python -c '{ask}'")
    return found.strip() == "/sys/kernel/tracing"


def later_life(world: World, server: Server, token: str) -> None:
    """Halt, up with another size, a second provisioning, one that fails."""
    world.vagrant("halt")
    said = world.vagrant("up", env={"UMCG_LAB_CPUS": "3"})
    assert size(world) == (3, 3)
    assert link(said, world.port) == token
    assert server.get("status")["kernels"] == 0
    assert may_trace(world), "not after a boot without provisioning"

    # What somebody has changed in the machine stays, what is as it was stays, too.
    master = f"umcg-lab/notebooks/{NOTEBOOK}"
    assert world.guest(f"cmp {master} /vagrant/notebooks/{NOTEBOOK} && echo same").strip() == "same"
    for changed in (f"course/{NOTEBOOK}", "notebooks/README.md"):
        world.guest(f"echo >>umcg-lab/{changed}")
    before = world.guest(STATE, show=False)
    said = world.vagrant("provision")
    assert "UMCG Lab: " not in said, "a step that had nothing to do did something"
    after = world.guest(STATE, show=False)
    assert after == before, "\n".join(difflib.unified_diff(before.splitlines(), after.splitlines()))
    assert link(said, world.port) == token

    token = fails_and_says_why(world, token)
    assert Server(world.port, token).get("status")["kernels"] == 0


@pytest.mark.timeout(7200)
def test_the_life_of_the_machine(world: World) -> None:
    world.add_box(Path(os.environ["LABTEST_BOX"]))
    for wrong in ("UMCG_LAB_CPUS", "UMCG_LAB_MEMORY", "UMCG_LAB_PORT"):
        code, said = world.try_run("vagrant", "status", env={wrong: "some"})
        assert code and f"{wrong}=some: give a whole number" in said, said

    token = link(world.vagrant("up"), world.port)
    server = Server(world.port, token)
    assert server.get("status")["kernels"] == 0
    page = requests.get(f"{server.address}/lab?token={token}", timeout=120)
    assert page.ok and "<title>JupyterLab</title>" in page.text
    assert world.guest("stat -c '%a %U' /etc/umcg-lab/token").split() == ["600", "vagrant"]
    server_process = "$(systemctl show -p MainPID --value umcg-lab)"
    assert world.guest(f"ps -o user= -p {server_process}").strip() == "vagrant"
    refused = requests.get(f"{server.address}/api/status", timeout=60)
    assert refused.status_code == 403, "JupyterLab lets in whoever asks"
    assert size(world) == (2, 3)
    run_notebook(world, server)
    for name in ("python3", "python-umcg"):
        runs_here(world, server, name)

    # In the machine the lab is local: nothing is missing because no microVM can be had.
    doctor = world.guest("umcg-lab/.venv/bin/labkit doctor")
    assert "lack" not in doctor
    nested = world.guest("umcg-lab/.venv/bin/labkit vm exec -- uname -r")
    assert nested.strip().endswith("-umcg")
    missing, _ = world.try_guest("command -v qemu-system-x86_64")
    assert missing, "there is a QEMU in the machine"

    assert may_trace(world)
    if not os.environ.get("LABTEST_BRIEF"):
        later_life(world, server, token)

    assert own_volumes(world), "nothing that destroy could leave behind"
    world.vagrant("destroy", "--force")
    domains = world.run("virsh", "-c", "qemu:///session", "list", "--all", "--name")
    assert not domains.strip()
    assert own_volumes(world) == []
