# SPDX-License-Identifier: MIT
"""The kernel's installation, and what is said where it cannot start; no guest is booted."""

import json

import psutil
import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

from labkit import vm
from labkit.jupyter import install, relay
from labkit.vm import VmError

CONNECTION = {"transport": "tcp", "ip": "127.0.0.1", "shell_port": 5, "key": "secret"}


def settings(prefix):
    return json.loads(
        (prefix / "etc/jupyter/jupyter_server_config.json").read_text(encoding="utf-8")
    )


def test_it_can_be_installed_again_and_again(tmp_path):
    where = install.install(tmp_path)
    again = install.install(tmp_path)
    assert where == again
    spec = KernelSpec.from_resource_dir(str(where))
    assert spec.display_name == "Python (UMCG)"
    assert (where / "logo-svg.svg").is_file()
    assert settings(tmp_path)["MultiKernelManager"]["default_kernel_name"] == "python-umcg"


def test_other_settings_stay(tmp_path):
    file = tmp_path / "etc/jupyter/jupyter_server_config.json"
    file.parent.mkdir(parents=True)
    file.write_text(
        '{"ServerApp": {"port": 9999}, "MultiKernelManager": {"shared_context": true}}',
        encoding="utf-8",
    )
    install.install(tmp_path)
    assert settings(tmp_path)["ServerApp"]["port"] == 9999
    assert settings(tmp_path)["MultiKernelManager"]["shared_context"] is True


def test_what_was_installed_goes_again(tmp_path):
    install.install(tmp_path)
    assert install.uninstall(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert install.uninstall(tmp_path) == []


def test_settings_of_others_outlive_the_installation(tmp_path):
    file = tmp_path / "etc/jupyter/jupyter_server_config.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"ServerApp": {"port": 9999}}', encoding="utf-8")
    install.install(tmp_path)
    changed = settings(tmp_path)
    changed["MultiKernelManager"]["default_kernel_name"] = "another"
    file.write_text(json.dumps(changed), encoding="utf-8")
    assert file in install.uninstall(tmp_path)
    assert settings(tmp_path) == {
        "ServerApp": {"port": 9999},
        "MultiKernelManager": {"default_kernel_name": "another"},
    }


def test_without_an_image_plain_python_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setenv("LABKIT_KERNEL", str(tmp_path / "bzImage"))
    install.install(tmp_path)
    assert settings(tmp_path)["MultiKernelManager"]["default_kernel_name"] == "python3"
    assert "make -C kernel image" in install.problem()


@pytest.mark.parametrize(
    ("variable", "says"), [("LABKIT_KERNEL", "make -C kernel image"), ("PATH", "make deps")]
)
def test_a_start_that_cannot_be_says_what_to_do(kernel_name, monkeypatch, variable, says):
    monkeypatch.setenv(variable, "/nowhere")
    manager = KernelManager(kernel_name=kernel_name)
    with pytest.raises(Exception, match=says) as raised:
        manager.start_kernel()
    assert raised.value.log_message  # what the Jupyter server shows its user
    assert not manager.is_alive()
    assert psutil.Process().children(recursive=True) == []


def test_the_restarter_sees_a_dead_kernel_and_no_exception(kernel_name, monkeypatch):
    """It counts dead kernels and gives up, but would try for ever what raises."""
    monkeypatch.setenv("LABKIT_KERNEL", "/nowhere")
    manager = KernelManager(kernel_name=kernel_name)
    with pytest.raises(Exception, match="make -C kernel image"):
        manager.start_kernel()
    manager.restart_kernel(now=True)
    assert not manager.is_alive()
    with pytest.raises(Exception, match="make -C kernel image"):
        manager.restart_kernel(now=False)
    manager.shutdown_kernel(now=True)


def test_the_guests_connection_has_its_own_address():
    inside = relay.guest_connection(CONNECTION)
    assert inside == {**CONNECTION, "ip": vm.agent.ADDRESS}


@pytest.mark.parametrize("change", [{"transport": "ipc"}, {"ip": "0.0.0.0"}])
def test_only_tcp_on_the_loopback(change):
    with pytest.raises(VmError, match=r"needs TCP on 127\.0\.0\.1"):
        relay.guest_connection({**CONNECTION, **change})
