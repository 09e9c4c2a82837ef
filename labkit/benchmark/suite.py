# SPDX-License-Identifier: MIT
"""What a suite is, and what it measures with: alternating rounds, samples, distributions."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from labkit import environment, repository
from labkit.experiments.alone import Cpus

#: Where the suites are.
FOLDER = repository.FOLDER / "bench"

#: Quantiles of latencies, as samples of their own: the share of values below each.
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}

#: Points kept of a distribution.
_POINTS = 200


class SuiteError(ValueError):
    """There is no such suite, or a file in `bench/` is none."""


@dataclass(frozen=True)
class Rigor:
    """How much trouble is taken.

    Attributes:
        name: `quick` (minutes), `full`, `virtual` (see `VIRTUAL`), or `smoke`: does everything
            run? Its figures are worth nothing.
        repetitions: values for each series, in all boots together.
        boots: guests that are started one after the other, each for a part of the repetitions: what
            a boot changes by itself is then in the spread of the values.
        slices: a value is the median of so many short measurements; the slices of all series
            alternate, so that a disturbance of the machine meets few of each.
        slice_ms: how long one slice measures.
        scale: the number of requests, workers and the like is multiplied by it.
    """

    name: str
    repetitions: int
    slices: int
    slice_ms: float
    scale: float = 1.0
    boots: int = 1


#: For the guest whose clock counts instructions: nothing disturbs, so little has to be repeated.
VIRTUAL = Rigor("virtual", repetitions=5, slices=1, slice_ms=2.0, scale=0.5)

RIGORS = {
    "smoke": Rigor("smoke", repetitions=1, slices=1, slice_ms=1.0, scale=0.05),
    "quick": Rigor("quick", repetitions=9, slices=4, slice_ms=10.0, boots=3),
    "full": Rigor("full", repetitions=25, slices=20, slice_ms=10.0, boots=5),
    "virtual": VIRTUAL,
}


@dataclass(frozen=True)
class Contrast:
    """Two series of one suite to be set against each other.

    Attributes:
        series: what UMCG (or the first of two) measured.
        baseline: what the other measured.
        unit: of both; see `labkit.experiments.asked.better`.
        what: the first in plain words, as the beginning of a sentence.
        against: the second in plain words, as the end of one.
        expect: `better` or `not worse` when that is claimed, so that it can be refuted; else "".
        limit: when claimed, what the ratio is at most (at least, where more is better); else 0.
    """

    series: str
    baseline: str
    unit: str
    what: str
    against: str
    expect: str = ""
    limit: float = 0.0


@dataclass(frozen=True)
class Suite:
    """One file of `bench/`.

    Attributes:
        name: as the file's.
        order: place in the report.
        title: what it is about, in a few words.
        question: what it asks.
        refuted_by: what result would refute what is claimed of UMCG.
        measure: makes the samples.
        contrasts: what is set against what, of the samples there may be.
        spec: what identifies the workload, as JSON types: results of different specs are not
            compared. The rigor's scale is added.
        curves: figures over a number in the series' names: see `Curve`.
        help: why UMCG does or does not help here, for a reader of the result.
        by_name: takes long, or needs what is not always here: not in a short run of all.
    """

    name: str
    order: int
    title: str
    question: str
    refuted_by: str
    measure: Callable[[Bench], None]
    contrasts: Sequence[Contrast]
    spec: Mapping[str, Any] = field(default_factory=dict)
    curves: Sequence[Curve] = ()
    help: str = ""
    by_name: bool = False


@dataclass(frozen=True)
class Curve:
    """A figure: one line for each `lines`, over the numbers in its series.

    Attributes:
        title: of the figure.
        unit: of the samples.
        axis: what the number is.
        lines: by name of the line, the series by number.
        log: the axis is logarithmic.
    """

    title: str
    unit: str
    axis: str
    lines: Mapping[str, Mapping[float, str]]
    log: bool = True


@dataclass
class Distribution:
    """How many of `n` values were larger than what: (`x`, `share`) pairs, tail kept whole."""

    unit: str
    n: int
    x: list[float]
    share: list[float]

    @classmethod
    def of(cls, values: npt.NDArray[Any], unit: str = "ns") -> Distribution:
        """Of raw values; even steps in the logarithm of the share."""
        ordered = np.sort(values)
        n = len(ordered)
        rank = np.unique(n - np.geomspace(n, 1, min(n, _POINTS)).round().astype(int))
        return cls(
            unit,
            n,
            [float(f"{v:.5g}") for v in ordered[rank]],
            [float(f"{v:.5g}") for v in (n - rank) / n],
        )

    def merged(self, other: Distribution) -> Distribution:
        """Of the values of both."""
        x = np.union1d(self.x, other.x)
        share = (self.n * self._larger(x) + other.n * other._larger(x)) / (self.n + other.n)
        wanted = np.searchsorted(-share, -np.geomspace(1, share[-1], _POINTS))
        kept = np.union1d(wanted.clip(max=len(x) - 1), len(x) - 1)
        return Distribution(
            self.unit,
            self.n + other.n,
            x[kept].tolist(),
            [float(f"{v:.5g}") for v in share[kept]],
        )

    def _larger(self, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The share of the values that are at least each of `x`."""
        return np.append(self.share, 0.0)[np.searchsorted(self.x, x)]


Sample = tuple[str, int, float, str, int]


class Bench:
    """What a suite measures with; collects what it measures.

    Attributes:
        rigor: how much trouble to take.
        stop: ends a running measurement when set.
        cpus: the CPUs to use, by number.
        first: number of the first repetition; another boot has made those before.
        samples: (series, repetition, value, unit, n) so far.
        counters: totals by name.
        notes: what had to be left out, and why.
    """

    def __init__(
        self,
        rigor: Rigor,
        *,
        cpus: tuple[int, ...] | None = None,
        first: int = 0,
        progress: Callable[[int, int, str], None] = lambda done, total, what: None,
        saved: Callable[[], None] = lambda: None,
    ) -> None:
        self.rigor = rigor
        self.stop = threading.Event()
        self.cpus = cpus if cpus is not None else environment.cpus()
        self.samples: list[Sample] = []
        self.counters: dict[str, int | float] = {}
        self.notes: list[str] = []
        self._first = first
        self._slices: dict[tuple[str, str, int], list[tuple[float, int]]] = {}
        self._raw: dict[str, list[npt.NDArray[Any]]] = {}
        self._progress = progress
        self._saved = saved
        self._allowed = Cpus()

    @property
    def client_cpu(self) -> int | None:
        """A CPU beside the first for who drives a measurement; None where there is only one."""
        return self.cpus[1] if len(self.cpus) > 1 else None

    @property
    def fewer(self) -> int:
        """Repetitions of what takes seconds: in a quick run two thirds of them."""
        count = self.rigor.repetitions
        return -(-count * 2 // 3) if self.rigor.name == "quick" else count

    def rounds(
        self,
        series: Sequence[str],
        slices: int = 1,
        repetitions: int | None = None,
        warm: Sequence[str] | None = None,
    ) -> Iterator[tuple[int, str]]:
        """What is to be measured next: every series in every round, in alternating direction.

        A repetition has `slices` rounds; each series' value is the median of its slices. The very
        first round is numbered -1: it warms up, and what it measures is dropped. Where series run
        the same code, `warm` says which are enough for that; None: all.

        Raises:
            Disturbed: the CPUs that may be used have changed.
        """
        count = self.rigor.repetitions if repetitions is None else repetitions
        first = series if warm is None else warm
        total, done = count * slices * len(series) + len(first), 0
        for number in range(-1, count * slices):
            names = series if number >= 0 else first
            for name in names if number % 2 else reversed(names):
                self._allowed.check()
                self._progress(done, total, name)
                yield self._first + number // slices if number >= 0 else -1, name
                done += 1
            if number % slices == slices - 1:
                self._settle()
                self._saved()

    def calibrate(self, name: str, measure: Callable[[int], int], first: int = 16) -> int:
        """How many operations take about `rigor.slice_ms`; `measure(n)` gives ns."""
        self._progress(0, 1, f"{name} (calibration)")
        count = first
        while True:
            took_ms = measure(count) / 1e6
            if took_ms >= self.rigor.slice_ms / 4:
                return max(1, round(count * self.rigor.slice_ms * 1.1 / took_ms))
            count *= 4

    def sample(self, series: str, repetition: int, value: float, unit: str, n: int) -> None:
        """Add what one slice measured, made of `n` operations."""
        if repetition >= 0:
            self._slices.setdefault((series, unit, repetition), []).append((float(value), int(n)))

    def _settle(self) -> None:
        """Make samples of the slices of complete repetitions."""
        for (series, unit, repetition), values in self._slices.items():
            value = float(np.median([v for v, _ in values]))
            self.samples.append((series, repetition, value, unit, sum(n for _, n in values)))
        self._slices.clear()

    def latency(self, series: str, repetition: int, ns: npt.NDArray[Any]) -> None:
        """Add latencies: their quantiles as samples `SERIES/p50` ..., all to the distribution.

        A quantile that needs more values than there are is left out.
        """
        if repetition < 0 or not len(ns):
            return
        self._raw.setdefault(series, []).append(ns)
        for name, q in QUANTILES.items():
            if len(ns) >= round(1 / (1 - q)):
                value = float(np.quantile(ns, q))
                self.sample(f"{series}/{name}", repetition, value, "ns", len(ns))

    def count(self, number: int, least: int = 1) -> int:
        """A number of requests, workers or the like, scaled by the rigor."""
        return max(least, round(number * self.rigor.scale))

    def note(self, text: str) -> None:
        """Say once what was left out and why."""
        if text not in self.notes:
            self.notes.append(text)

    def distributions(self) -> dict[str, Distribution]:
        """The distributions so far, over all rounds, by series."""
        return {name: Distribution.of(np.concatenate(raw)) for name, raw in self._raw.items()}


def load(names: Sequence[str] = (), folder: Path = FOLDER) -> list[Suite]:
    """The suites of `bench/` in their order; of these names only, if there are any.

    Raises:
        SuiteError: no such suite, or a file that defines none.
    """
    found = {}
    for path in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"bench_{path.stem}", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        suite = getattr(module, "SUITE", None)
        if not isinstance(suite, Suite) or suite.name != path.stem:
            raise SuiteError(f"{path} defines no SUITE of its name")
        found[suite.name] = suite
    if not found:
        raise SuiteError(f"no suites in {folder}: {repository.WITHOUT}")
    for name in names:
        if name not in found:
            raise SuiteError(f"no suite {name!r}; choose from {', '.join(sorted(found))}")
    chosen = [found[name] for name in dict.fromkeys(names)] if names else list(found.values())
    return sorted(chosen, key=lambda suite: suite.order)
