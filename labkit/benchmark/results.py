# SPDX-License-Identifier: MIT
"""The results file: everything one `labkit bench` measured, as one JSON document."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from labkit.benchmark.suite import Distribution
from labkit.records import SAMPLE_SCHEMA, Record
from labkit.trace import seal
from labkit.trace.errors import ForeignFile, NewerFormat, TruncatedFile
from labkit.trace.files import write_atomically

#: Version of the file's layout. A reader refuses a higher one. Format 1 had no digest, 1 and 2 no
#: `parts`.
FORMAT = 3
KIND = "labkit bench results"

# What stands before the digest; inside a string JSON has no line breaks.
_DIGEST = b'\n "digest": "'


def report_files(page: Path) -> tuple[Path, Path]:
    """What a report with this page is made of: the page, and the Markdown beside it."""
    return page, page.with_suffix(".md")


@dataclass
class SuiteResult:
    """What one suite measured.

    Attributes:
        spec: the suite's, what identifies the workload, and the rigor's `scale`.
        samples: (series, repetition, value, unit, n) each.
        distributions: of latencies, by series.
        counters: totals by name; `SERIES:probe_cost` is traced over untraced time.
        notes: what was left out and why.
        error: why it failed; "" when it did not.
        stopped: it was interrupted before it was complete.
        seconds: it took.
        parts: boots of the run in which it was measured to its end.
    """

    spec: dict[str, Any] = field(default_factory=dict)
    samples: list[tuple[str, int, float, str, int]] = field(default_factory=list)
    distributions: dict[str, Distribution] = field(default_factory=dict)
    counters: dict[str, int | float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    stopped: bool = False
    seconds: float = 0.0
    parts: int = 0

    def record(self, name: str, environment: dict[str, Any]) -> Record:
        """As a record without events, for `labkit.analysis` and `labkit.plots`."""
        samples = [tuple(sample) for sample in self.samples]
        counters = dict(self.counters) | ({"stopped": 1} if self.stopped else {})
        return Record(
            spec={"experiment": name, **self.spec},
            environment=environment,
            samples=pl.DataFrame(samples, schema=SAMPLE_SCHEMA, orient="row"),
            counters=counters,
        )


@dataclass
class Results:
    """One run of the benchmark.

    Attributes:
        rigor: a name of `labkit.benchmark.suite.RIGORS`.
        environment: of the first boot that measured the suites (`labkit.environment.collect`, and
            `build`, the running kernel's build id, `boot_options`, see `labkit.benchmark.guest`,
            and `boots`, over which the runs are spread).
        suites: by name, in the order of the report.
        peers: `peers` of the field's own programs, see `labkit.benchmark.peers`; None: not run.
        icount: instruction counts, see `labkit.benchmark.icount`; None: not counted.
    """

    rigor: str
    environment: dict[str, Any] = field(default_factory=dict)
    suites: dict[str, SuiteResult] = field(default_factory=dict)
    peers: dict[str, Any] | None = None
    icount: dict[str, Any] | None = None

    @property
    def failures(self) -> list[str]:
        """What did not end well, one line each."""
        said = [f"{name}: {suite.error}" for name, suite in self.suites.items() if suite.error]
        said += [f"{name}: interrupted" for name, suite in self.suites.items() if suite.stopped]
        if self.peers and self.peers.get("error"):
            said.append(f"peers: {self.peers['error']}")
        failed = (self.peers or {}).get("failed", {})
        said += [f"peers: {name} failed: {why}" for name, why in failed.items()]
        if self.icount and self.icount.get("error"):
            said.append(f"instruction counts: {self.icount['error']}")
        if self.icount and self.icount.get("moved"):
            said.append(f"instruction counts that do not repeat: {', '.join(self.icount['moved'])}")
        return said

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the file, wholly or not at all.

        Raises:
            WriteFailed: the operating system refused.
        """
        document = {"digest": seal.BLANK, "kind": KIND, "format": FORMAT, **asdict(self)}
        text = json.dumps(document, indent=1, ensure_ascii=False)
        write_atomically(Path(path), seal.seal(text.encode(), _DIGEST))
        return Path(path)


def load(path: str | os.PathLike[str]) -> Results:
    """Read what `Results.save` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ForeignFile: it is something else.
        TruncatedFile: it is damaged.
        NewerFormat: a newer labkit wrote it.
    """
    source = Path(path)
    if source.is_dir():
        raise ForeignFile(f"{source} is a folder; give the .json file that `labkit bench` wrote")
    data = source.read_bytes()
    sealed = seal.is_sealed(data, _DIGEST)
    if sealed and not seal.is_whole(data, _DIGEST):
        raise TruncatedFile(
            f"{source} is damaged or was edited (its digest does not fit its content); copy it "
            "again or measure again"
        )
    try:
        document = json.loads(data.decode())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ForeignFile(
            f"{source} is no results file of `labkit bench`, or was cut short ({error})"
        ) from error
    if not isinstance(document, dict) or document.pop("kind", None) != KIND:
        raise ForeignFile(f"{source} is JSON, but no results file of `labkit bench`")
    version = document.pop("format", 0)
    if type(version) is not int or version < 1:
        raise ForeignFile(f"{source} has format {version!r}, not 1 to {FORMAT}; measure again")
    if version > FORMAT:
        raise NewerFormat(
            f"{source} has format {version}, this labkit reads up to {FORMAT}; update labkit"
        )
    if version > 1 and not sealed:
        raise TruncatedFile(f"{source} is damaged (its digest is gone); copy it or measure again")
    document.pop("digest", None)
    try:
        suites = {name: _suite(value) for name, value in document.pop("suites").items()}
        return Results(suites=suites, **document)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise TruncatedFile(f"{source} is damaged ({error}); measure again") from error


def _suite(value: dict[str, Any]) -> SuiteResult:
    shapes = {name: Distribution(**d) for name, d in value.pop("distributions").items()}
    samples = [tuple(sample) for sample in value.pop("samples")]
    for sample in samples:
        _series, _repetition, _value, _unit, _n = sample
    return SuiteResult(samples=samples, distributions=shapes, **value)
