# SPDX-License-Identifier: MIT
"""A Jupyter kernel provisioner whose kernel lives in a microVM.

Jupyter manages a process on this machine, `labkit.jupyter.relay`, as it manages a local kernel.
What differs: starting takes as long as a boot, and can fail with a reason worth reading.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from queue import Empty
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from tornado.web import HTTPError
from traitlets import Int

from labkit import vm
from labkit.jupyter import DISPLAY_NAME
from labkit.jupyter.announce import Announcer
from labkit.jupyter.relay import STATUS_FD
from labkit.vm import VmOptions

_DEFAULTS = VmOptions()


class KernelStartError(HTTPError):
    """The kernel could not be started; `str()` says why and what to do.

    An HTTPError, because the Jupyter server shows the text of no other exception to the user.
    """

    def __init__(self, message: str) -> None:
        super().__init__(500, message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class VmProvisioner(LocalProvisioner):
    """Starts, signals and ends a kernel in a microVM of its own."""

    cpus: int = Int(_DEFAULTS.cpus, config=True, help="Virtual CPUs of each guest.")  # type: ignore[assignment]
    memory_mib: int = Int(  # type: ignore[assignment]
        _DEFAULTS.memory_mib, config=True, help="Memory of each guest in MiB."
    )
    start_timeout_s: int = Int(  # type: ignore[assignment]
        600, config=True, help="Seconds a kernel may take from the start of its guest to answering."
    )

    _asked_politely = False
    _restarts_itself = False

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Boot a guest and start the kernel in it; returns when the kernel answers.

        Raises:
            KernelStartError: no kernel image, no QEMU, no memory, no answer in time.
        """
        events = getattr(self.parent, "event_logger", None)
        announcer = Announcer(DISPLAY_NAME, self.kernel_id, self.log, events)
        repeated = asyncio.create_task(announcer.repeat())
        try:
            info = await self._launch(cmd, announcer, **kwargs)
            announcer.ready()
            return info
        except KernelStartError as error:
            announcer.failed(str(error))
            if not self._restarts_itself:
                await self.wait()
                raise
            # Jupyter's restarter gives up on a kernel that ends often, but goes on for ever with
            # one whose start raises: leave it one that has ended.
            while await self.poll() is None:  # killed, but not gone yet
                await asyncio.sleep(0.01)
            return self.connection_info
        finally:
            repeated.cancel()

    async def _launch(
        self, cmd: list[str], announcer: Announcer, **kwargs: Any
    ) -> KernelConnectionInfo:
        asked = [*cmd, "--cpus", str(self.cpus), "--memory", str(self.memory_mib)]
        asked += ["--timeout", str(self.start_timeout_s)]
        read, write = os.pipe()
        try:
            kwargs["env"] = {**kwargs["env"], STATUS_FD: str(write)}
            info = await super().launch_kernel(asked, pass_fds=(write,), **kwargs)
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        try:
            async with asyncio.timeout(self.start_timeout_s):
                await self._until_up(read, announcer)
                announcer.waiting("loading Python in the guest")
                await self._until_it_answers(info)
        except TimeoutError:
            self._kill_now()
            text = (
                f"{DISPLAY_NAME} did not answer in {self.start_timeout_s} s; try again when this "
                "machine is less busy, or raise VmProvisioner.start_timeout_s"
            )
            raise KernelStartError(text) from None
        except BaseException:
            self._kill_now()
            raise
        return info

    async def _until_up(self, read: int, announcer: Announcer) -> None:
        """Hand on what the relay says, until the kernel's process runs in the guest."""
        status = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(status), os.fdopen(read, "rb", 0)
        )
        try:
            async for line in status:
                said = json.loads(line)
                if said["state"] == "failed":
                    raise KernelStartError(said["text"])
                if said["state"] == "up":
                    return
                announcer.waiting(said["text"])
        finally:
            transport.close()
        raise KernelStartError(f"{DISPLAY_NAME} ended while it booted; the terminal says more")

    async def _until_it_answers(self, info: KernelConnectionInfo) -> None:
        """Wait until the kernel has loaded its libraries and answers.

        Jupyter allows a kernel 60 s for that, a guest without KVM on a busy machine may take more.
        """
        client = AsyncKernelClient()
        client.load_connection_info(info)
        client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)
        try:
            client.kernel_info()
            while await self.poll() is None:
                with suppress(Empty):
                    await client.get_shell_msg(timeout=0.5)
                    return
        finally:
            client.stop_channels()
            client.context.destroy()
        raise KernelStartError(
            f"{DISPLAY_NAME} ended with code {await self.poll()} before it answered; "
            "the terminal says more"
        )

    def _kill_now(self) -> None:
        if self.process is not None:
            self.process.kill()

    async def wait(self) -> int | None:
        """Wait for the kernel's end; the folder of a guest that was killed goes too."""
        code = await super().wait()
        vm.running()
        return code

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Jupyter asks the kernel to end: this is not the restarter's doing."""
        self._asked_politely = True

    async def cleanup(self, restart: bool = False) -> None:
        """Return what the kernel had; see `launch_kernel` for what is remembered."""
        self._restarts_itself = restart and not self._asked_politely
        self._asked_politely = False
        await super().cleanup(restart=restart)

    def get_shutdown_wait_time(self, recommended: float = 5.0) -> float:
        """Seconds for a complete shutdown: Python under TCG takes its time to end."""
        return max(recommended, 20.0)
