# SPDX-License-Identifier: MIT
"""The Jupyter server's kernels, with an end for those that have not started yet."""

from __future__ import annotations

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager


class KernelManager(AsyncMappingKernelManager):
    """Shuts down also while a kernel starts, and after one could not start.

    The class it extends counts such kernels in, does not find them, and then leaves the server and
    all its kernels running. With a local kernel that takes bad luck: it starts in no time.
    """

    async def _async_shutdown_all(self, now: bool = False) -> None:
        for kernel_id, start in list(self._pending_kernels.items()):
            if kernel_id not in self:
                del self._pending_kernels[kernel_id]
                start.cancel()  # the provisioner then ends the guest
        await super()._async_shutdown_all(now=now)

    shutdown_all = _async_shutdown_all  # type: ignore[assignment]
