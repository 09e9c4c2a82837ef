# SPDX-License-Identifier: MIT
"""A kernel in a guest starts, is interrupted, restarted, shut down and crashes as a local one."""

import os
import subprocess
import sys
import time

import psutil
import pytest
from conftest import PATIENCE_S, gone, guest_runs
from jupyter_client.manager import KernelManager

from labkit import vm

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3600)]

BOOT = "print(open('/proc/sys/kernel/random/boot_id').read())"


@pytest.fixture(scope="module")
def kernel(start):
    return start()


def test_it_runs_on_the_patched_kernel_with_this_machines_files(kernel):
    code = "import os; from labkit.native import engine; print(engine.enabled(), os.getcwd())"
    assert kernel.run(code) == (f"True {os.getcwd()}", None)


def test_input_and_much_output(kernel):
    assert kernel.run("print(input('name? '))", answer="Ada") == ("Ada", None)
    assert len(kernel.run("print('x' * 3_000_000)")[0]) == 3_000_000


def test_an_interrupt_reaches_the_cell_and_nothing_else(kernel):
    kernel.run("kept = 41")
    heard = []

    def interrupt(message):
        text = message["content"].get("text", "").strip()
        if text:
            heard.append(text)
        if text == "asleep":
            kernel.manager.interrupt_kernel()

    # No long sleep: an interrupt in the moment before it would be heard at its end.
    naps = "while True: time.sleep(0.01)"
    for _ in range(4):  # more often than a terminal's Ctrl-C would need to end the machine
        reply = kernel.client.execute_interactive(
            f"import time; print('asleep', flush=True)\n{naps}",
            output_hook=interrupt,
            timeout=PATIENCE_S,
        )
        assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert heard == ["asleep"] * 4
    assert kernel.run("print(kept + 1)") == ("42", None)


def test_a_restart_is_a_new_machine_on_the_same_ports(kernel):
    before, ports = kernel.run(BOOT)[0], kernel.manager.ports
    old = kernel.processes()
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=PATIENCE_S)
    assert gone(old)
    assert kernel.manager.ports == ports
    assert kernel.run(BOOT)[0] != before
    assert kernel.run("kept")[1] == "NameError"


def test_two_at_once_and_a_crash_ends_only_its_own(kernel, start):
    other = start()
    assert kernel.run(BOOT) != other.run(BOOT)
    below = other.processes()
    other.client.execute("open('/proc/sysrq-trigger', 'w').write('c')")
    assert gone(below)
    assert not other.manager.is_alive()
    assert kernel.manager.is_alive()
    assert kernel.run("print(6 * 7)") == ("42", None)
    # What Jupyter's restarter does then:
    other.manager.restart_kernel(now=True)
    other.client.wait_for_ready(timeout=PATIENCE_S)
    assert other.run("print(1)") == ("1", None)
    # And Python alone, as a fault in a C library would end it.
    below = other.processes()
    other.client.execute("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert gone(below)
    assert not other.manager.is_alive()


def test_shutdown_leaves_nothing_behind(kernel):
    processes, machines = kernel.processes(), len(vm.running())
    kernel.manager.shutdown_kernel()
    assert gone(processes)
    assert len(vm.running()) == machines - 1


def test_the_guest_dies_with_the_server(kernel_name):
    """A server that is killed cannot tidy up: what it started must see to that itself."""
    script = (
        "from jupyter_client.manager import KernelManager\n"
        f"KernelManager(kernel_name={kernel_name!r}).start_kernel()"
    )
    with subprocess.Popen([sys.executable, "-c", script]) as server:
        below = []
        while not guest_runs(below):
            assert server.poll() is None
            time.sleep(0.1)
            below = psutil.Process(server.pid).children(recursive=True)
        server.kill()
    assert gone(below)


def test_a_guest_that_takes_too_long_is_ended(kernel_name):
    before = set(psutil.Process().children(recursive=True))
    manager = KernelManager(kernel_name=kernel_name)
    manager.config.VmProvisioner.start_timeout_s = 1
    with pytest.raises(Exception, match=r"did not answer in 1 s; try again"):
        manager.start_kernel()
    assert gone(set(psutil.Process().children(recursive=True)) - before)
