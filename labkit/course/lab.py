# SPDX-License-Identifier: MIT
"""Where a notebook runs, and its results: measured here, or recorded where that is not possible."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import IPython
import IPython.display
import polars as pl

import labkit
from labkit import environment
from labkit.experiments import Update
from labkit.jupyter import DISPLAY_NAME
from labkit.native import engine
from labkit.run import Run, load
from labkit.trace.errors import TracingUnavailable

if TYPE_CHECKING:
    from labkit.panels import Panel

#: The repository: where the notebooks, the recorded runs and the kernel patches are.
REPOSITORY = Path(__file__).resolve().parents[2]

#: Why not everything can be measured here, and what to do.
NO_UMCG = (
    f"this Linux kernel has no UMCG; choose the Jupyter kernel “{DISPLAY_NAME}” (menu Kernel, "
    "Change Kernel)"
)

_ACCELERATORS = {
    "tcg": "TCG (interprets: trust ratios, not absolute times)",
    "tcg icount": "TCG counting instructions (repeatable: trust ratios, not absolute times)",
    "kvm": "KVM",
    "vm": "some virtual machine",
}

#: A folder; when set, results measured live are saved there (`notebooks/record.py`).
_SAVE_IN = "LABKIT_RECORD"

#: Key of a table's metadata; runs keep their environment where `labkit.trace.files` says.
_ENVIRONMENT = "course.environment"

_ipython: Any = IPython.display

R = TypeVar("R", Run, pl.DataFrame)


class Missing(FileNotFoundError):
    """There is no recorded result to show."""


def _where(env: dict[str, Any]) -> str:
    """Kernel, CPUs, backend and accelerator in words."""
    backend = "UMCG" if env.get("backend") == "umcg" else "pthreads only"
    accelerator = str(env.get("accelerator", "unknown"))
    cpus = len(env.get("cpus", ()))
    return (
        f"Linux {env.get('kernel', '?')}, {cpus} CPU{'' if cpus == 1 else 's'}, backend {backend}, "
        f"accelerator {_ACCELERATORS.get(accelerator, accelerator)}"
    )


class Lab:
    """One notebook's surroundings; shows itself as the notebook's opening line.

    Attributes:
        notebook: its file name without the suffix.
        environment: see `labkit.environment.collect`.
        live: this kernel has UMCG: everything is measured here and now.
    """

    def __init__(self, notebook: str) -> None:
        self.notebook = notebook
        self.environment = environment.collect()
        self.live = engine.enabled()
        self._anywhere: list[Panel] = []

    def __str__(self) -> str:
        if self.live:
            return f"{_where(self.environment)}. Everything below is measured here and now."
        here = _where(self.environment)
        return f"{here}. What needs UMCG comes from recorded runs, because {NO_UMCG}."

    __repr__ = __str__

    def _repr_html_(self) -> str:
        mark = "●" if self.live else "○"
        return f"<p><b>{mark} You are on</b> {html.escape(str(self))}</p>"

    def _file(self, name: str) -> str:
        return f"{self.notebook}-{name}.parquet" if name else f"{self.notebook}.parquet"

    def panel(
        self, experiment: str, *, name: str = "", anywhere: bool = False, **fields: Any
    ) -> Panel:
        """The experiment's panel of widgets; without UMCG it shows the recorded run.

        Args:
            experiment: swap, wake, block or preempt.
            name: tells several results of one notebook apart.
            anywhere: needs no UMCG, so nothing recorded is shown.
            fields: of the experiment's spec, where they differ from its defaults.
        """
        here = self.live or anywhere
        recorded = None if here else load(_recorded(self._file(name)))
        panel = labkit.panel(experiment, recorded=recorded, **fields)
        if anywhere:
            self._anywhere.append(panel)
        return panel

    def result(self, panel: Panel, name: str = "") -> Run:
        """The panel's run: the recorded one it was given, else the one you made, else one made now.

        A run made where there is no UMCG has the baselines only; the notebook needs all.
        """
        if panel.recorded is not None:
            return self._shown(panel.recorded, name)
        if panel.run is None:
            panel.start()
            panel.wait()
        if panel.run is None:
            raise RuntimeError("the panel has no run: press Run and wait for the end of its bar")
        return self._shown(panel.run, name, record=panel not in self._anywhere)

    def run(self, experiment: str, *, name: str = "", anywhere: bool = False, **fields: Any) -> Run:
        """The experiment's run, measured now; without UMCG the recorded one.

        Args:
            experiment: swap, wake, block or preempt.
            name: tells several results of one notebook apart.
            anywhere: needs no UMCG, so measure in any case.
            fields: of the experiment's spec, where they differ from its defaults.
        """
        if self.live or anywhere:
            with _Bar() as bar:
                run: Run = getattr(labkit, experiment)(progress=bar, **fields)
            return self._shown(run, name, record=not anywhere)
        run = load(_recorded(self._file(name)))
        asked = {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
        unlike = [
            f"{key} {value!r} (it has {run.spec.get(key)!r})"
            for key, value in asked.items()
            if run.spec.get(key) != value
        ]
        if unlike:
            print(f"The recorded run is not what you asked for: {'; '.join(unlike)}.")
        return self._shown(run, name)

    def result_of(self, make: Callable[[], R]) -> R:
        """What `make` returns, a run or a table; what it returned when recorded where it cannot.

        Raises:
            Missing: nothing was recorded under the function's name.
        """
        name = make.__name__.replace("_", "-")
        if self.live:
            try:
                return self._shown(make(), name)
            except TracingUnavailable as error:
                print(f"Not measured here: {error}.")
        recorded: R = _read(_recorded(self._file(name)))
        return self._shown(recorded, name)

    def _shown(self, result: R, name: str, *, record: bool = True) -> R:
        """Say where a result comes from; save it if `notebooks/record.py` runs this."""
        file = self._file(name)
        where = result.environment if isinstance(result, Run) else self.environment
        if isinstance(result, pl.DataFrame) and not self.live:
            where = json.loads(pl.read_parquet_metadata(_recorded(file))[_ENVIRONMENT])
        if where.get("backend") == self.environment["backend"]:
            print("Measured here.")
        else:
            print(f"Recorded {str(where.get('time', '?'))[:10]}: {_where(where)}.")
        folder = os.environ.get(_SAVE_IN)
        if folder and self.live and record:
            _save(result, Path(folder) / file, where)
        return result


def begin(notebook: str) -> Lab:
    """Where this notebook runs, for its first cell.

    Args:
        notebook: the notebook's file name without `.ipynb`; recorded results carry it.
    """
    return Lab(notebook)


def _save(result: Run | pl.DataFrame, path: Path, env: dict[str, Any]) -> None:
    if isinstance(result, Run):
        result.save(path)
    else:
        result.write_parquet(path, metadata={_ENVIRONMENT: json.dumps(env)})


def _read(path: Path) -> Any:
    """The run or the table that `_save` wrote."""
    return pl.read_parquet(path) if _ENVIRONMENT in pl.read_parquet_metadata(path) else load(path)


def _recorded(file: str) -> Path:
    """The recorded result beside the notebook, or in the repository.

    Raises:
        Missing: it is in neither.
    """
    for folder in (Path("recorded"), REPOSITORY / "notebooks" / "recorded"):
        if (folder / file).is_file():
            return folder / file
    raise Missing(
        f"there is no recorded {file}: take the folder notebooks/recorded of the repository, or "
        f"choose the kernel “{DISPLAY_NAME}”"
    )


class _Bar:
    """Progress of an experiment that a line of code has started."""

    def __init__(self) -> None:
        self._text = ""
        self._handle: Any = None

    def __enter__(self) -> _Bar:
        self._show("starting")
        return self

    def __call__(self, update: Update) -> None:
        bar = "█" * (30 * update.done // update.total)
        self._show(f"▕{bar:30}▏ {update.done} of {update.total}: {update.what}")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._show("stopped" if kind else "done")

    def _show(self, text: str) -> None:
        if IPython.get_ipython() is None:
            return  # a plain Python, as in a test
        if self._handle is None:
            self._handle = _ipython.display(_ipython.Pretty(text), display_id=True)
        elif text != self._text:
            self._handle.update(_ipython.Pretty(text))
        self._text = text
