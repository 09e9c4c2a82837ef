# SPDX-License-Identifier: MIT
"""`python -m labkit.measure FOLDER`: the demo's measurements, saved in a folder, nothing more.

The part of `labkit demo` that runs in the guest: it imports as little as it can, as imports are
what a guest without KVM spends most of its time on.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from labkit.experiments import BlockSpec, PreemptSpec, Spec, SwapSpec, Update, WakeSpec, run

#: What the demo measures: shorter than the defaults, so that it ends in seconds under TCG.
SPECS: tuple[Spec, ...] = (
    SwapSpec(repetitions=5, value_ms=100.0),
    WakeSpec(servers=(1, 2), storms=10, repetitions=5),
    BlockSpec(works=("sleep", "pipe")),
    PreemptSpec(repetitions=5, duration_s=0.3),
)


def file(folder: Path, spec: Spec) -> Path:
    """Where the run of `spec` is saved."""
    return folder / f"demo-{spec.experiment}.parquet"


def _show(spec: Spec, update: Update) -> None:
    bar = "#" * (24 * update.done // update.total)
    line = f"{spec.experiment:8} [{bar:24}] {update.done}/{update.total} {update.what}"
    print(f"\r\033[K{line[:100]}", end="", file=sys.stderr, flush=True)


def measure(folder: Path) -> None:
    """Run the experiments here and save each in `folder`, with a bar each on a terminal."""
    terminal = sys.stderr.isatty()
    for spec in SPECS:
        made = run(spec, partial(_show, spec) if terminal else None)
        made.save(file(folder, spec))
        if terminal:
            print(file=sys.stderr)


if __name__ == "__main__":
    try:
        measure(Path(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
