# SPDX-License-Identifier: MIT
"""Grades: which tests of a master a submission passes, and the points for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit.grading.master import NOTEBOOKS, Exercise, Master, MasterError, load, name_in, read
from labkit.grading.master import solution_cells as filled_in
from labkit.grading.supervise import Ran, run

PASSED, FAILED, UNDECIDED = "PASSED", "FAILED", "UNDECIDED"

#: A submission may take so many times what the master's own solution takes here, and no less than
#: so many seconds: what starts a process takes time that no solution can help.
TIMES, LEAST_S = 20.0, 30.0

#: The master's own solution may take as long as this, in seconds.
_MASTER_S = 1800.0


@dataclass(frozen=True)
class Result:
    """The verdict on one test.

    Attributes:
        test: its `grade_id`.
        verdict: PASSED, FAILED, or UNDECIDED when it is not the submission's fault.
        points: that it gives.
        of: the most it can give.
        reason: why it gives no more.
    """

    test: str
    verdict: str
    points: float
    of: float
    reason: str = ""


@dataclass(frozen=True)
class Grade:
    """The grade of one submission."""

    file: str
    notebook: str
    results: tuple[Result, ...]

    @property
    def verdict(self) -> str:
        """FAILED if a test is; else UNDECIDED if one is."""
        verdicts = {one.verdict for one in self.results}
        return next((v for v in (FAILED, UNDECIDED) if v in verdicts), PASSED)

    @property
    def points(self) -> float:
        """The points of all tests."""
        return sum(one.points for one in self.results)

    @property
    def of(self) -> float:
        """The most that can be had."""
        return sum(one.of for one in self.results)


class Grader:
    """Grades submissions; it knows what the masters' own solutions take on this machine."""

    def __init__(self, folder: Path = NOTEBOOKS, times: float = TIMES, least_s: float = LEAST_S):
        """Grade against the masters of a folder.

        Args:
            folder: where they are.
            times: a submission's limit, as a multiple of what the master takes.
            least_s: the smallest limit, seconds.
        """
        self._folder, self._times, self._least_s = folder, times, least_s
        self._masters: dict[str, Master | MasterError] = {}
        self._limits: dict[tuple[str, int], float] = {}

    def master(self, name: str) -> Master:
        """A master whose own solution passes here.

        Raises:
            MasterError: there is none, or its own solution fails, so that no grade has a meaning.
        """
        if name not in self._masters:
            try:
                self._masters[name] = self._tried(name)
            except MasterError as error:
                self._masters[name] = error
        found = self._masters[name]
        if isinstance(found, MasterError):
            raise found
        return found

    def _tried(self, name: str) -> Master:
        """A master whose own solution was run here, and what it took."""
        made = read(name, self._folder)
        for i, exercise in enumerate(made.exercises):
            ran = run(_cells(made, exercise, exercise.solutions), _MASTER_S)
            if wrong := [r for r in _results(exercise, ran) if r.verdict != PASSED]:
                raise MasterError(
                    f"the solution in notebook {name} itself does not pass {wrong[0].test} "
                    f"here: {wrong[0].reason or ran.said}"
                )
            self._limits[name, i] = max(self._least_s, self._times * ran.seconds)
        return made

    def grade(self, file: Path, notebook: str | None = None) -> Grade:
        """The grade of a submission, whatever is in it.

        Args:
            file: the notebook that was handed in.
            notebook: whose version it is; None: it says so itself.

        Raises:
            MasterError: that is not known, or see `master`.
        """
        problem, book = "", None
        try:
            book = load(file)
            handed_in = filled_in(book)
        except Exception as error:  # whatever a damaged file makes the reader say
            problem = f"this is no notebook: {type(error).__name__}: {error}"[:300]
            handed_in = {}
        name = notebook or (name_in(book) if book is not None and not problem else None)
        if name is None:
            raise MasterError(
                f"{file} does not say which notebook it is{f' ({problem})' if problem else ''}; "
                "say it with --notebook"
            )
        master = self.master(name)
        results: list[Result] = []
        for i, exercise in enumerate(master.exercises):
            missing = {n: "its cell was deleted" for n in exercise.solutions if n not in handed_in}
            if problem:
                missing = dict.fromkeys(exercise.solutions, problem)
            if missing:
                reason = "; ".join(f"{n}: {why}" for n, why in missing.items())
                results += [Result(t.name, FAILED, 0, t.points, reason) for t in exercise.tests]
                continue
            ran = run(_cells(master, exercise, handed_in), self._limits[name, i])
            results += _results(exercise, ran)
        return Grade(str(file), name, tuple(results))

    def grades(self, files: Iterable[Path], notebook: str | None = None) -> Iterator[Grade]:
        """The grades of many, one after the other; what cannot be graded is UNDECIDED, and why."""
        for file in files:
            try:
                yield self.grade(file, notebook)
            except MasterError as error:
                yield Grade(str(file), notebook or "", (Result("", UNDECIDED, 0, 0, str(error)),))


def _cells(master: Master, exercise: Exercise, solutions: dict[str, str]) -> list[tuple[str, str]]:
    """What runs: the tests are the master's, only what was to be filled in is the student's."""
    setup = [(f"setup {i}", code) for i, code in enumerate(master.setup)]
    filled = [(name, solutions[name]) for name in exercise.solutions]
    return [*setup, *filled, *((test.name, test.code) for test in exercise.tests)]


def _results(exercise: Exercise, ran: Ran) -> list[Result]:
    first = next((f"{n}: {ran.why[n]}" for n in exercise.solutions if n in ran.why), "")
    broken = next(
        (n for n, word in ran.cells.items() if n.startswith("setup") and word != "ok"), ""
    )
    found = []
    for test in exercise.tests:
        word = ran.cells.get(test.name, "")
        if word == "ok":
            found.append(Result(test.name, PASSED, test.points, test.points))
            continue
        if broken or not ran.cells:
            reason = f"not the submission's fault: {ran.why.get(broken, ran.end)}"
            found.append(Result(test.name, UNDECIDED, 0, test.points, reason))
        elif word == "undecided":
            found.append(Result(test.name, UNDECIDED, 0, test.points, ran.why[test.name]))
        else:
            reason = first or ran.why.get(test.name) or _how(ran)
            found.append(Result(test.name, FAILED, 0, test.points, reason))
    return found


def _how(ran: Ran) -> str:
    inside = next((name for name, word in ran.cells.items() if word == "begin"), "")
    where = f" in {inside}" if inside else ""
    if ran.end == "limit":
        return f"it does not end{where}: stopped after {TIMES:g} times what a solution takes"
    return f"{ran.end}{where}"
