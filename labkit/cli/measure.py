# SPDX-License-Identifier: MIT
"""`python -m labkit.cli.measure FOLDER`: the demo's measurements, saved in a folder, nothing more.

The part of `labkit demo` that runs in the guest: it imports as little as it can, as imports are
what a guest without KVM spends most of its time on.
"""

from __future__ import annotations

import sys
from pathlib import Path

from labkit.api import run
from labkit.experiments import SPECS, Spec, Update
from labkit.progress import Line

#: What the demo measures: shorter than the defaults, so that it ends in seconds under TCG.
DEMO: tuple[Spec, ...] = tuple(
    spec(**spec.demo) for spec in SPECS.values() if spec.demo is not None
)


def file(folder: Path, spec: Spec) -> Path:
    """Where the run of `spec` is saved."""
    return folder / f"demo-{spec.experiment}.parquet"


def measure(folder: Path) -> None:
    """Run the experiments here and save each in `folder`, with a bar each on a terminal."""
    for spec in DEMO:
        line = Line(f"{spec.experiment:8}", expected=spec.seconds())

        def show(update: Update, line: Line = line) -> None:
            line.show(update.done, update.total, update.what)

        made = run(spec, show if line.terminal else None)
        made.save(file(folder, spec))
        line.end()


if __name__ == "__main__":
    try:
        measure(Path(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)
