# SPDX-License-Identifier: MIT
"""The server can end at any time: while a kernel starts, and after one could not start."""

import asyncio

import psutil
import pytest
from conftest import gone, guest_runs

from labkit.jupyter.kernels import KernelManager


def ours():
    return psutil.Process().children(recursive=True)


def test_the_server_ends_after_a_failed_start(kernel_name, monkeypatch):
    async def scene():
        monkeypatch.setenv("LABKIT_KERNEL", "/nowhere")
        manager = KernelManager()
        with pytest.raises(Exception, match="make -C kernel image"):
            await manager.start_kernel(kernel_name=kernel_name)
        await manager.shutdown_all()
        assert manager.list_kernel_ids() == []

    asyncio.run(scene())


@pytest.mark.vm
def test_the_server_ends_while_a_kernel_starts(kernel_name):
    async def scene():
        manager = KernelManager()
        start = asyncio.create_task(manager.start_kernel(kernel_name=kernel_name))
        while not guest_runs(ours()):
            assert not start.done()
            await asyncio.sleep(0.1)
        processes = ours()
        await manager.shutdown_all()
        with pytest.raises(asyncio.CancelledError):
            await start
        return processes

    assert gone(asyncio.run(scene()))
