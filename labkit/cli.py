# SPDX-License-Identifier: MIT
"""UMCG Lab: scheduling experiments on User-Managed Concurrency Groups.

`labkit doctor` says what works here, `labkit demo` shows everything once.

Exit codes: 0 done; 1 a measurement failed; 2 wrong usage or a value that is not allowed; 3 not
possible on this kernel; 4 a file cannot be read or written; 125 the microVM failed; 130
interrupted. `labkit vm exec` and `labkit vm shell` end with their command's own code.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_type_hints

import typer
from typer.core import TyperGroup

import labkit
from labkit import console, demo, measure, vm
from labkit.bench.command import app as bench_app
from labkit.doctor import doctor as diagnose
from labkit.environment import NO_UMCG
from labkit.experiments import SPECS, Spec, SpecError
from labkit.experiments import run as run_experiment
from labkit.native import engine
from labkit.run import Run, load
from labkit.trace.files import check_target
from labkit.vm import VmOptions

app = typer.Typer(
    name="labkit",
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
vm_app = typer.Typer(help="A microVM with the patched kernel on this machine's own files.")


class _Experiments(TyperGroup):
    """`labkit run`: says which experiments there are when it is given none of them."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        if found is None:
            names = ", ".join(self.commands)
            console.fail(console.USAGE, f"there is no experiment {cmd_name!r}; choose from {names}")
        return found


run_app = typer.Typer(
    cls=_Experiments,
    help="Run one experiment. --help of each lists its options and their units.",
)
jupyter_app = typer.Typer(help="The kernel Python (UMCG) for JupyterLab.")
trace_app = typer.Typer(help="Work with recorded runs.")
app.add_typer(run_app, name="run", no_args_is_help=True)
app.add_typer(vm_app, name="vm", no_args_is_help=True)
app.add_typer(jupyter_app, name="jupyter", no_args_is_help=True)
app.add_typer(trace_app, name="trace", no_args_is_help=True)
app.add_typer(bench_app, name="bench")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"labkit {labkit.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
    ] = False,
) -> None:
    pass


Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout and nothing else.")]


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine can do for the lab. Code 3: it cannot run UMCG at all."""
    with console.errors():
        diagnosis = diagnose()
        if as_json:
            console.print_json(diagnosis.to_dict())
        else:
            print(diagnosis, flush=True)
        if not diagnosis.can_run_umcg:
            raise typer.Exit(console.UNAVAILABLE)


def _field_help(spec: type[Spec]) -> dict[str, str]:
    """What the spec's docstring says about each field."""
    text = inspect.getdoc(spec) or ""
    attributes = text.split("Attributes:", 1)[-1]
    found = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", attributes, re.MULTILINE)
    return {name: " ".join(body.split()) for name, body in found}


def _parse(name: str, text: str, kind: Any) -> Any:
    """A tuple field from `a,b,c`."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if kind == tuple[int, ...]:
        try:
            return tuple(int(word) for word in words)
        except ValueError:
            raise SpecError(f"{name} is {text!r}; give whole numbers separated by commas") from None
    return tuple(words)


def _show(run: Run, file: Path | None, as_json: bool) -> None:
    if as_json:
        document = {
            "spec": run.spec,
            "environment": run.environment,
            "samples": run.samples.to_dicts(),
            "counters": run.counters,
            "file": str(file) if file else None,
        }
        console.print_json(document)
        return
    demo.show_table(run)
    if run.environment["umcg_missing"]:
        console.note(f"note: {NO_UMCG}")
    if file:
        console.note(f"saved {file}")


def _run_command(name: str, spec: type[Spec]) -> Callable[..., None]:
    """The command of one experiment: an option for each field of its spec."""
    hints = get_type_hints(spec)
    helps = _field_help(spec)
    parameters = []
    for field in dataclasses.fields(spec):
        kind, default = hints[field.name], field.default
        if isinstance(default, tuple):
            kind, default = str, ",".join(map(str, default))
        option = typer.Option("--" + field.name.replace("_", "-"), help=helps.get(field.name))
        parameters.append(
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=default,
                annotation=Annotated[kind, option],
            )
        )
    output = Annotated[
        Path | None, typer.Option("--output", "-o", help="Save the run in this .parquet file.")
    ]
    parameters += [
        inspect.Parameter(
            "output", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=output
        ),
        inspect.Parameter(
            "as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json
        ),
    ]

    def command(*, output: Path | None, as_json: bool, **fields: Any) -> None:
        with console.errors():
            for key, value in fields.items():
                if isinstance(value, str):
                    fields[key] = _parse(key, value, hints[key])
            wanted = spec(**fields)
            if output is not None:
                _check_output(output)
            with console.progress(name) as show:
                run = run_experiment(wanted, show)
            if output is not None:
                run.save(output)
            _show(run, output, as_json)

    # "swap: the price of ..."
    text = (inspect.getmodule(spec).__doc__ or "").strip().partition(": ")[2]
    command.__doc__ = text[:1].upper() + text[1:]
    command.__name__ = name
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _check_output(path: Path) -> None:
    """Before minutes of measuring: can it be written at all?"""
    check_target(path)
    if not path.absolute().parent.is_dir():
        console.fail(console.FILE, f"{path.absolute().parent}: no such folder")
    if not os.access(path.absolute().parent, os.W_OK):
        console.fail(console.FILE, f"{path.absolute().parent}: no permission to write")


for _name, _spec in SPECS.items():
    _command = _run_command(_name, _spec)
    _short = re.split("[,;.]", _command.__doc__ or "")[0]
    run_app.command(_name, short_help=_short)(_command)


@app.command("demo")
def demo_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")] = Path(
        "out/demo.html"
    ),
    as_json: Json = False,
) -> None:
    """Run the four experiments and write one page. Boots the microVM if need be."""
    with console.errors():
        folder = output.absolute().parent
        folder.mkdir(parents=True, exist_ok=True)
        _check_output(output)
        if engine.enabled():
            measure.measure(folder)
        else:
            with console.waiting() as say:
                code = vm.execute([sys.executable, "-m", "labkit.measure", str(folder)], say=say)
            if code:
                console.note("labkit: the measurements in the guest did not end well")
                raise typer.Exit(code)
        runs = demo.present(folder, output, quiet=as_json)
        if as_json:
            from labkit.analysis import df_probe

            document = {
                "file": str(output),
                "environment": runs[0].environment,
                "ratios": {run.experiment: run.ratios().to_dicts() for run in runs},
                "probe_cost": {run.experiment: df_probe(run).to_dicts() for run in runs},
            }
            console.print_json(document)
        else:
            console.note(f"wrote {output}")


@app.command()
def report(
    files: Annotated[list[Path], typer.Argument(help="Saved runs (.parquet).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write.")],
    as_json: Json = False,
) -> None:
    """Write one self-contained HTML page about saved runs."""
    from labkit.report import write as write_page

    with console.errors():
        runs = [load(file) for file in files]
        _check_output(output)
        write_page(runs, output)
        if as_json:
            console.print_json({"file": str(output), "runs": len(runs)})
        else:
            console.note(f"wrote {output}")


@trace_app.command("export")
def trace_export(
    file: Annotated[Path, typer.Argument(help="A saved run (.parquet).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The Perfetto file to write.")],
    as_json: Json = False,
) -> None:
    """Export a run's events for ui.perfetto.dev or trace_processor."""
    with console.errors():
        run = load(file)
        _check_output(output)
        run.export(output)
        if as_json:
            console.print_json({"file": str(output), "events": run.events.height})
        else:
            console.note(f"wrote {output}: {run.events.height} events")


_DEFAULTS = VmOptions()  # allowed on any machine
Cpus = Annotated[int, typer.Option(help="Virtual CPUs.")]
Memory = Annotated[int, typer.Option(help="Memory of the guest in MiB.")]
Accel = Annotated[
    str | None, typer.Option(help="kvm or tcg; without: KVM where a boot has proved it.")
]
Image = Annotated[
    Path | None,
    typer.Option(help="The kernel (bzImage); without: $LABKIT_KERNEL, then the project's."),
]
KernelArg = Annotated[
    list[str] | None, typer.Option("--append", help="A word for the kernel's command line.")
]
BootTimeout = Annotated[float, typer.Option(help="Seconds the guest may take to boot.")]
HangTimeout = Annotated[
    float, typer.Option(help="Seconds without a sign of life until the guest counts as hung.")
]


def _execute_here(argv: list[str]) -> NoReturn:
    """Instead of a guest, where this kernel has UMCG already."""
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        console.note(f"labkit vm: {argv[0]}: {error.strerror}")
        raise typer.Exit(127 if isinstance(error, FileNotFoundError) else 126) from None


def _execute(argv: list[str], **options: Any) -> None:
    with console.errors():
        try:
            machine = VmOptions(**options)
        except ValueError as error:
            console.fail(console.USAGE, str(error))
        if engine.enabled() and machine == VmOptions():
            _execute_here(argv)
        try:
            with console.waiting() as say:
                code = vm.execute(argv, machine, say=say)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = 128 + 13
        raise typer.Exit(code)


@vm_app.command(
    "exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
def vm_exec(
    command: Annotated[list[str], typer.Argument(metavar="-- CMD [ARG]...")],
    cpus: Cpus = _DEFAULTS.cpus,
    memory: Memory = _DEFAULTS.memory_mib,
    accelerator: Accel = None,
    image: Image = None,
    append: KernelArg = None,
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
        boot_timeout_s=boot_timeout,
        hang_timeout_s=hang_timeout,
    )


@vm_app.command("shell")
def vm_shell(
    cpus: Cpus = _DEFAULTS.cpus,
    memory: Memory = _DEFAULTS.memory_mib,
    accelerator: Accel = None,
    image: Image = None,
) -> None:
    """Open a shell in a fresh guest; leaving it ends the guest."""
    shell = os.environ.get("SHELL", "/bin/sh")
    _execute([shell], cpus=cpus, memory_mib=memory, accelerator=accelerator, image=image)


@vm_app.command("status")
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
                f"running      pid {guest['pid']}: {guest['cpus']} CPUs, "
                f"{guest['memory_mib']} MiB, {guest['accelerator']}"
            )
        if not running:
            print("running      none")


@jupyter_app.command("install")
def jupyter_install(as_json: Json = False) -> None:
    """Install the kernel Python (UMCG). Into this Python environment; 125: it cannot start."""
    with console.errors():
        try:
            from labkit.jupyter import DISPLAY_NAME, install
        except ModuleNotFoundError as error:
            console.fail(
                console.USAGE, f"{error.name} is not installed; pip install 'labkit[lab]' has it"
            )
        where = install.install()
        problem = install.problem()
        if as_json:
            console.print_json({"kernel": str(where), "problem": problem or None})
        else:
            print(f"{DISPLAY_NAME} is in {where}")
        if problem:
            console.fail(console.VM, f"{DISPLAY_NAME} cannot start here: {problem}")


def main() -> None:
    """Entry point of the `labkit` script."""
    app()


if __name__ == "__main__":
    main()
