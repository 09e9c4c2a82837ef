# SPDX-License-Identifier: MIT
"""Kernels that end with their test, whatever happens, and a way to talk to them."""

import contextlib
import io
import time

import psutil
import pytest
from jupyter_client.manager import KernelManager

from labkit.jupyter import KERNEL_NAME, install

#: What a guest and its Python may take on a busy machine without KVM.
PATIENCE_S = 900


#: What a machine that is busy may take to see a process off.
END_S = 600


def gone(processes):
    """Wait for the end of all of them, which somebody else has brought about; did it come?

    Not psutil's own wait: for it a zombie that nobody collects has not ended.
    """
    end = time.monotonic() + END_S
    while any(map(_lives, processes)):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def guest_runs(processes):
    """Is a microVM among them? Others come and go while it is started."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if "qemu" in process.name():
                return True
    return False


@pytest.fixture(scope="session")
def kernel_name():
    """The kernel, installed as a user installs it."""
    install.install()
    return KERNEL_NAME


class Kernel:
    """One kernel and a client of it."""

    def __init__(self, name, **config):
        self.manager = KernelManager(kernel_name=name, **config)
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE_S)

    def run(self, code, answer=None):
        """Execute `code`; what it printed, and the name of its exception or None."""
        printed = io.StringIO()
        failed = []

        def show(message):
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.write(content["text"])
            if message["msg_type"] == "error":
                failed.append(content["ename"])

        self.client.execute_interactive(
            code,
            output_hook=show,
            stdin_hook=answer and (lambda message: self.client.input(answer)),
            allow_stdin=answer is not None,
            timeout=PATIENCE_S,
        )
        return printed.getvalue().strip(), failed[0] if failed else None

    def processes(self):
        """The kernel's process on this machine and all below it."""
        relay = psutil.Process(self.manager.provisioner.pid)
        return [relay, *relay.children(recursive=True)]

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def start(kernel_name):
    """Start kernels; all of them end with the module."""
    with contextlib.ExitStack() as stack:

        def one():
            kernel = Kernel(kernel_name)
            stack.callback(kernel.close)
            return kernel

        yield one
