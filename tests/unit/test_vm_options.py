# SPDX-License-Identifier: MIT
"""What a microVM may be made of."""

import contextlib
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from labkit import checkout, vm
from labkit.cli.commands import app
from labkit.vm import VmOptions, image
from labkit.vm.errors import VmError


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"cpus": 0}, "cpus is 0"),
        ({"cpus": 100_000}, f"allows 1 to {len(os.sched_getaffinity(0))}"),
        ({"memory_mib": 1}, "memory_mib is 1"),
        ({"memory_mib": 1 << 40}, "this machine allows 256 to"),
        ({"accelerator": "xen"}, "choose kvm or tcg"),
        ({"kernel_args": ("two words",)}, "no spaces"),
        ({"ports": (8888, 70000)}, "port 70000: give numbers from 1 to 65535"),
        ({"boot_timeout_s": 0}, "boot_timeout_s is 0"),
    ],
)
def test_bad_values_say_what_is_allowed(fields, says):
    with pytest.raises(ValueError, match=says):
        VmOptions(**fields)


def test_an_image_that_is_not_there(tmp_path):
    with pytest.raises(VmError, match="no such kernel image"):
        image.find(str(tmp_path / "bzImage"))


def test_no_command():
    with pytest.raises(ValueError, match="no command"):
        vm.execute([])


def test_a_foreign_image_ends_with_an_error_and_nothing_running(tmp_path):
    fake = tmp_path / "bzImage"
    fake.write_bytes(b"not a kernel" * 1000)
    before = vm.running()
    with pytest.raises(VmError, match=r"QEMU did not start|ended before"):
        vm.execute(["true"], VmOptions(image=fake, accelerator="tcg", boot_timeout_s=20))
    assert vm.running() == before


def test_a_guest_is_told_which_commit_this_is(monkeypatch):
    """In a guest git looks at every file of the checkout for many seconds, for each run."""
    told = {}

    class Told(Exception):
        pass

    class Session:
        def __init__(self, guest, argv, *, env, **rest):
            told.update(env)
            raise Told

    monkeypatch.setattr(vm, "machine", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(vm, "Session", Session)
    with pytest.raises(Told):
        vm.execute(["true"], VmOptions(accelerator="tcg"))
    assert told[checkout.VARIABLE] == checkout.commit()
    script = "from labkit import environment; print(environment.collect()['commit'])"
    env = {**os.environ, checkout.VARIABLE: "told"}
    said = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert said.stdout == "told\n", said.stderr


@pytest.mark.parametrize(
    ("words", "here"),
    [
        ([], True),
        (["--hang-timeout", "600", "--boot-timeout", "600", "--frozen", "/"], True),
        (["--cpus", "1"], False),
    ],
)
def test_where_linux_has_umcg_already_patience_takes_no_guest(words, here, monkeypatch):
    ran = []
    monkeypatch.setattr("labkit.cli.vm.engine.enabled", lambda: True)
    monkeypatch.setattr("labkit.cli.vm.os.execvp", lambda file, argv: ran.append("here"))
    monkeypatch.setattr("labkit.cli.vm.vm.execute", lambda *_, **__: ran.append("guest") or 0)
    CliRunner().invoke(app, ["vm", "exec", *words, "--", "true"])
    assert ran[0] == ("here" if here else "guest")
