# SPDX-License-Identifier: MIT
"""Where a notebook runs, and its results: measured here, or recorded where that is not possible."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import IPython.display
import polars as pl
from IPython.core.getipython import get_ipython

import labkit
from labkit import environment
from labkit.course.predictions import Predictions
from labkit.jupyter import DISPLAY_NAME
from labkit.jupyter.magic import load as load_policy_magic
from labkit.names import counted
from labkit.native import engine
from labkit.repository import FOLDER as REPOSITORY
from labkit.run import Run, load
from labkit.trace.errors import TracingUnavailable

if TYPE_CHECKING:
    from labkit.panels import Panel

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
        f"Linux {env.get('kernel', '?')}, {counted(cpus, 'CPU')}, backend {backend}, "
        f"accelerator {_ACCELERATORS.get(accelerator, accelerator)}"
    )


class Lab:
    """One notebook's surroundings; shows itself as the notebook's opening line.

    Attributes:
        notebook: its file name without the suffix.
        environment: see `labkit.environment.collect`.
        live: this kernel has UMCG: everything that may be traced is measured here and now.
    """

    def __init__(self, notebook: str) -> None:
        self.notebook = notebook
        self.environment = environment.collect()
        self.live = engine.enabled()
        self._anywhere: list[Panel] = []
        self._predictions: Predictions | None = None

    @property
    def where(self) -> str:
        """`kernel` or `simulator`: for experiments that can be had in both."""
        return "kernel" if self.live else "simulator"

    def predict(self, **questions: Any) -> Predictions:
        """Ask for predictions; every result of this notebook is held until there is one.

        Args:
            questions: see `labkit.course.predictions.Predictions`.
        """
        self._predictions = Predictions(self.notebook, questions)
        return self._predictions

    def hold(self) -> None:
        """Go on only if a prediction was entered or skipped; see `predict`.

        Raises:
            Held: it was not.
        """
        if self._predictions is not None:
            self._predictions.hold()

    def __str__(self) -> str:
        if self.live:
            return (
                f"{_where(self.environment)}. What follows is measured here and now, unless a cell "
                "says that it is not."
            )
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
            experiment: its name, as in `labkit.panel`.
            name: tells several results of one notebook apart.
            anywhere: needs no UMCG, so nothing recorded is shown.
            fields: of the experiment's spec, where they differ from its defaults.
        """
        self.hold()
        here = self.live or anywhere
        recorded = None if here else load(_recorded(self._file(name)))
        panel = labkit.panel(experiment, recorded=recorded, **fields)
        if anywhere:
            self._anywhere.append(panel)
        return panel

    def result(self, panel: Panel, name: str = "") -> Run:
        """The panel's run: the recorded one it was given, else the one you made, else one made now.

        A run made where there is no UMCG has the baselines only; the notebook needs all.

        Raises:
            Exception: what ended the run that was made now.
            RuntimeError: it was stopped before anything was measured.
        """
        self.hold()
        if panel.recorded is not None:
            return _say_recorded(panel.recorded, panel.recorded.environment)
        if panel.run is None:
            panel.start()
            panel.wait()
        if panel.run is None:
            raise panel.failed or RuntimeError(
                "the panel has no run: press Run and wait for the end of its bar"
            )
        return self._measured(panel.run, name, record=panel not in self._anywhere)

    def run(self, experiment: str, *, name: str = "", anywhere: bool = False, **fields: Any) -> Run:
        """The experiment's run, measured now; without UMCG the recorded one.

        Args:
            experiment: its name, as in `labkit.panel`.
            name: tells several results of one notebook apart.
            anywhere: needs no UMCG, so measure in any case.
            fields: of the experiment's spec, where they differ from its defaults.
        """
        self.hold()
        if self.live or anywhere:
            run: Run = getattr(labkit, experiment)(**fields)
            return self._measured(run, name, record=not anywhere)
        run = load(_recorded(self._file(name)))
        asked = {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}
        unlike = [
            f"{key} {value!r} (it has {run.spec.get(key)!r})"
            for key, value in asked.items()
            if run.spec.get(key) != value
        ]
        if unlike:
            print(f"The recorded run is not what you asked for: {'; '.join(unlike)}.")
        return _say_recorded(run, run.environment)

    def result_of(self, make: Callable[[], R]) -> R:
        """What `make` returns, a run or a table; what it returned when recorded where it cannot.

        Raises:
            Missing: nothing was recorded under the function's name.
        """
        self.hold()
        name = make.__name__.replace("_", "-")
        if self.live:
            try:
                return self._measured(make(), name)
            except TracingUnavailable as error:
                print(f"Not measured here: {error}.")
        recorded: R
        recorded, where = _read(_recorded(self._file(name)))
        return _say_recorded(recorded, where)

    def recorded(self, name: str) -> Run:
        """A run that was recorded for another notebook, on UMCG, wherever this one runs.

        Args:
            name: of the file in `notebooks/recorded`, without `.parquet`.

        Raises:
            Missing: there is none.
        """
        self.hold()
        run = load(_recorded(f"{name}.parquet"))
        return _say_recorded(run, run.environment)

    def _measured(self, result: R, name: str, *, record: bool = True) -> R:
        """Say that a result was made here; save it if `notebooks/record.py` runs this."""
        print("Measured here.")
        folder = os.environ.get(_SAVE_IN)
        if folder and self.live and record:
            _save(result, Path(folder) / self._file(name), self.environment)
        return result


def _say_recorded(result: R, where: dict[str, Any]) -> R:
    """Say when and where a recorded result was made. It is never saved again, as if it were new."""
    print(f"Recorded {str(where.get('time', '?'))[:10]}: {_where(where)}.")
    return result


def begin(notebook: str) -> Lab:
    """Where this notebook runs, for its first cell.

    Args:
        notebook: the notebook's file name without `.ipynb`; recorded results carry it.
    """
    shell: Any = get_ipython()
    if shell is not None:
        load_policy_magic(shell)
    return Lab(notebook)


def _save(result: Run | pl.DataFrame, path: Path, env: dict[str, Any]) -> None:
    if isinstance(result, Run):
        result.save(path)
    else:
        result.write_parquet(path, metadata={_ENVIRONMENT: json.dumps(env)})


def _read(path: Path) -> tuple[Any, dict[str, Any]]:
    """The run or the table that `_save` wrote, and where it was made."""
    metadata = pl.read_parquet_metadata(path)
    if _ENVIRONMENT in metadata:
        return pl.read_parquet(path), json.loads(metadata[_ENVIRONMENT])
    run = load(path)
    return run, run.environment


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
