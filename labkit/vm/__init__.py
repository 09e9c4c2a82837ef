# SPDX-License-Identifier: MIT
"""A microVM with the patched kernel on this machine's own file system."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from labkit import checkout
from labkit.vm import accel, image
from labkit.vm.errors import VmError
from labkit.vm.options import VmOptions, this_python
from labkit.vm.qemu import machine, need_programs, running
from labkit.vm.session import Session

__all__ = ["VmError", "VmOptions", "accel", "check", "execute", "image", "running", "this_python"]


def check() -> None:
    """Can a guest be started here? Takes milliseconds, starts none.

    Raises:
        VmError: no kernel image, no QEMU or no virtme-ng; says what to do.
    """
    need_programs()
    image.find()


def execute(
    argv: Sequence[str],
    options: VmOptions | None = None,
    *,
    env: dict[str, str] | None = None,
    cwd: str | None = None,
    files: tuple[int, int, int] = (0, 1, 2),
    say: Callable[[str], None] = lambda text: None,
    patient: bool = False,
    owner: int | None = None,
) -> int:
    """Boot the patched kernel, run `argv` in it, end the machine.

    The guest sees this machine's files, the command gets this process' environment and folder,
    and its stdin, stdout, stderr and signals are this process' own (terminals stay terminals).

    Args:
        argv: the command and its arguments.
        options: the machine; None for the defaults.
        env: the command's environment; None: this process'.
        cwd: the folder it runs in; None: the current one.
        files: descriptors to use as stdin, stdout, stderr.
        say: called with a line about what is being waited for, with "" when that is over.
        patient: SIGINT is the command's alone; otherwise the third one, or one during the boot,
            ends the machine.
        owner: a process descriptor (`os.pidfd_open`); the machine ends when that process does.

    Returns:
        The exit code as a shell sees it: 128 + n after signal n, 127 no such command.

    Raises:
        VmError: the machine failed (not the command): no kernel, no boot, hang, panic, memory.
    """
    if not argv:
        raise ValueError("no command to run in the guest; for example: labkit vm exec -- uname -r")
    options = options or VmOptions()
    accelerator = accel.choose(options, say)
    say(f"booting the guest ({accelerator})")
    environment = dict(os.environ if env is None else env)
    environment[checkout.VARIABLE] = checkout.commit()
    environment["LABKIT_ACCELERATOR"] = "tcg icount" if options.icount else accelerator
    with machine(options, accelerator) as guest:
        session = Session(
            guest,
            argv,
            env=environment,
            cwd=cwd or os.getcwd(),
            files=files,
            say=say,
            patient=patient,
            owner=owner,
        )
        try:
            return session.run()
        finally:
            say("")
