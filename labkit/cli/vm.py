# SPDX-License-Identifier: MIT
"""`labkit vm`: a command, or a shell, in a microVM. Imports neither tables nor figures."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from labkit import vm
from labkit.cli import console
from labkit.cli.console import Json
from labkit.names import counted
from labkit.native import engine
from labkit.vm import VmOptions

app = console.new_app(
    help="A microVM with the patched kernel on this machine's own files.", no_args_is_help=True
)

_DEFAULTS = VmOptions()  # allowed on any machine
Cpus = Annotated[int, typer.Option(help="Virtual CPUs.")]
Memory = Annotated[int, typer.Option(metavar="MIB", help="Memory of the guest.")]
Accel = Annotated[
    str | None,
    typer.Option(metavar="kvm|tcg", help="Without it: KVM where a boot has proved it."),
]
Image = Annotated[
    Path | None,
    typer.Option(help="The kernel (bzImage); without: $LABKIT_KERNEL, then the project's."),
]
KernelArg = Annotated[
    list[str] | None,
    typer.Option("--append", metavar="WORD", help="A word for the kernel's command line."),
]
Frozen = Annotated[
    list[Path] | None,
    typer.Option(
        "--frozen",
        metavar="FOLDER",
        exists=True,
        file_okay=False,
        help="A folder that does not change meanwhile: read once, and not to be written in the "
        "guest; Python starts in half the time from one.",
    ),
]
BootTimeout = Annotated[
    float, typer.Option(metavar="SECONDS", help="Time that the guest may take to boot.")
]
HangTimeout = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", help="Time without a sign of life until the guest counts as hung."
    ),
]


def _execute_here(argv: list[str]) -> NoReturn:
    """Instead of a guest, where this kernel has UMCG already."""
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        console.note(f"labkit vm: {argv[0]}: {error.strerror}")
        raise typer.Exit(127 if isinstance(error, FileNotFoundError) else 126) from None


def _asks_nothing(machine: VmOptions) -> bool:
    """Would any Linux with UMCG do? Patience and what is read once matter to guests alone."""
    any_guest = replace(
        machine,
        frozen=(),
        boot_timeout_s=_DEFAULTS.boot_timeout_s,
        hang_timeout_s=_DEFAULTS.hang_timeout_s,
    )
    return any_guest == _DEFAULTS


def _execute(argv: list[str], **options: Any) -> None:
    with console.errors():
        try:
            machine = VmOptions(**options)
        except ValueError as error:
            console.fail(console.USAGE, str(error))
        if engine.enabled() and _asks_nothing(machine):
            _execute_here(argv)
        try:
            with console.waiting() as say:
                code = vm.execute(argv, machine, say=say)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = 128 + 13
        raise typer.Exit(code)


@app.command(
    "exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
def vm_exec(
    command: Annotated[list[str], typer.Argument(metavar="-- CMD [ARG]...", help="What to run.")],
    cpus: Cpus = _DEFAULTS.cpus,
    memory: Memory = _DEFAULTS.memory_mib,
    accelerator: Accel = None,
    image: Image = None,
    append: KernelArg = None,
    frozen: Frozen = None,
    boot_timeout: BootTimeout = _DEFAULTS.boot_timeout_s,
    hang_timeout: HangTimeout = _DEFAULTS.hang_timeout_s,
) -> None:
    """Run a command in a fresh guest. Same files, same folder, its own exit code."""
    _execute(
        command,
        cpus=cpus,
        memory_mib=memory,
        accelerator=accelerator,
        image=image,
        kernel_args=tuple(append or ()),
        frozen=tuple(folder.resolve() for folder in frozen or ()),
        boot_timeout_s=boot_timeout,
        hang_timeout_s=hang_timeout,
    )


@app.command("shell")
def vm_shell(
    cpus: Cpus = _DEFAULTS.cpus,
    memory: Memory = _DEFAULTS.memory_mib,
    accelerator: Accel = None,
    image: Image = None,
) -> None:
    """Open a shell in a fresh guest; leaving it ends the guest."""
    shell = os.environ.get("SHELL", "/bin/sh")
    _execute([shell], cpus=cpus, memory_mib=memory, accelerator=accelerator, image=image)


@app.command("status")
def vm_status(as_json: Json = False) -> None:
    """Say what a guest would get and which guests run."""
    with console.errors():
        try:
            image = str(vm.image.find())
            missing = ""
        except vm.VmError as error:
            image, missing = "", str(error)
        known = vm.accel.cached()
        accelerator = known[0] if known else "not tried yet"
        if not os.access("/dev/kvm", os.R_OK | os.W_OK):
            accelerator = "tcg"
        running = vm.running()
        if as_json:
            console.print_json(
                {
                    "image": image or None,
                    "missing": missing or None,
                    "accelerator": accelerator,
                    "running": running,
                }
            )
            return
        print(f"kernel       {image or missing}")
        print(f"accelerator  {accelerator}{f' ({known[1]})' if known else ''}")
        for guest in running:
            print(
                f"running      pid {guest['pid']}: {counted(int(str(guest['cpus'])), 'CPU')}, "
                f"{guest['memory_mib']} MiB, {guest['accelerator']}"
            )
        if not running:
            print("running      none")
