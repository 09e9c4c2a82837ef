# SPDX-License-Identifier: MIT
"""Record what the notebooks show where there is no UMCG.

    python notebooks/record.py [02-swap ...]

Runs the notebooks' own cells, so what is asked of an experiment stands there and nowhere else. On a
kernel without UMCG it starts microVMs for it whose clock counts instructions: what else the machine
does is then in no figure. Only what needs two CPUs is measured in time, and wants a quiet machine.
"""

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.interactiveshell import InteractiveShell

from labkit import vm
from labkit.native import engine

HERE = Path(__file__).resolve().parent
RECORDED = HERE / "recorded"

#: Notebooks that compare one CPU with two.
TWO_CPUS = ("05-waking",)


def needed(book: Any) -> list[Any]:
    """The cells that make what is recorded: those with the tag `recorded`; without one, all."""
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    return [cell for cell in cells if "recorded" in cell.metadata.get("tags", ())] or cells


def record(notebook: Path) -> None:
    """Run a notebook's cells that are needed; `labkit.course` saves every result it makes.

    Raises:
        Exception: what a cell raised.
    """
    shell = InteractiveShell.instance()
    shell.reset(new_session=True)
    for cell in needed(nbformat.read(notebook, as_version=4)):
        shell.run_cell(cell.source, store_history=False).raise_error()


def in_guests(names: list[str]) -> int:
    """Record in a microVM for each kind of notebook; the first exit code that is not 0."""
    two = [name for name in names if name in TWO_CPUS]
    one = [name for name in names if name not in TWO_CPUS]
    # A second of a counted clock may take minutes on a busy machine.
    patience: dict[str, Any] = {"boot_timeout_s": 3600, "hang_timeout_s": 3600}
    patience["frozen"] = vm.this_python()
    counting = vm.VmOptions(cpus=1, accelerator="tcg", icount=True, **patience)
    for group, options in ((one, counting), (two, vm.VmOptions(cpus=2, **patience))):
        if group:
            code = vm.execute([sys.executable, __file__, *group], options)
            if code:
                return code
    return 0


def main(names: list[str]) -> int:
    """Record the named notebooks, or all."""
    notebooks = {notebook.stem: notebook for notebook in sorted(HERE.glob("*.ipynb"))}
    if unknown := sorted(set(names) - notebooks.keys()):
        sys.exit(f"no notebook {', '.join(unknown)}; there are {', '.join(notebooks)}")
    names = names or list(notebooks)
    if not engine.enabled():
        return in_guests(names)
    RECORDED.mkdir(exist_ok=True)
    os.environ["LABKIT_RECORD"] = str(RECORDED)
    for name in names:
        print(f"=== {name}", flush=True)
        record(notebooks[name])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
