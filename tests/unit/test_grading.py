# SPDX-License-Identifier: MIT
"""Student versions and grades: whatever is handed in gets a grade, and nothing is left running."""

from __future__ import annotations

import csv
import ctypes
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from typer.testing import CliRunner

from labkit.cli.commands import app
from labkit.grading import grade, master, release, supervise
from labkit.grading.grade import FAILED, PASSED, UNDECIDED, Grade, Grader
from labkit.grading.master import MasterError, student

OWN = "08-your-own-scheduler"

SOLUTION = """def double(n):
    ### BEGIN SOLUTION
    return 2 * n
    ### END SOLUTION
"""
TEST = """assert double(2) == 4
### BEGIN HIDDEN TESTS
assert double(-3) == -6, "also below zero"
### END HIDDEN TESTS
"""


def marks(name: str, points: float | None = None) -> dict[str, Any]:
    made = {"grade_id": name, "solution": points is None, "grade": points is not None}
    made |= {"schema_version": 3, "locked": points is not None, "task": False}
    return {"nbgrader": made | ({} if points is None else {"points": points})}


def cell(name: str, code: str, **metadata: Any) -> Any:
    return new_code_cell(code, id=name, metadata=metadata)


def toy(exercises: int = 1) -> Any:
    """A master with one exercise or two."""
    book = new_notebook(
        cells=[
            new_markdown_cell("# Toy", id="title"),
            cell("where", 'lab = course.begin("toy")'),
            cell("setup", "import math", tags=["graded-setup"]),
            cell("one", SOLUTION, **marks("one")),
            cell("one-test", TEST, **marks("one-test", 3)),
            cell("two", "### BEGIN SOLUTION\nx = math.pi\n### END SOLUTION", **marks("two")),
            cell("two-test", "assert x > 3", **marks("two-test", 1)),
            cell("two-more", "assert x < 4", **marks("two-more", 1)),
            new_markdown_cell("the answer is two times", id="instructor"),
        ]
    )
    if exercises == 1:
        book.cells = [c for c in book.cells if not c.id.startswith("two")]
    return book


@pytest.fixture(scope="module")
def masters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masters")
    nbformat.write(toy(), folder / "toy.ipynb")
    shutil.copy(master.NOTEBOOKS / f"{OWN}.ipynb", folder)
    return folder


@pytest.fixture(scope="module")
def grader(masters: Path) -> Grader:
    """It gives little time, so that the test does not take long."""
    return Grader(masters, times=3, least_s=2)


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[None]:
    before = supervise._children()
    yield
    assert supervise._children() <= before, "a process was left running"
    adopts = ctypes.c_int()
    ctypes.CDLL(None).prctl(supervise._PR_GET_CHILD_SUBREAPER, ctypes.byref(adopts), 0, 0, 0)
    assert not adopts.value, "orphans of others still come to this process"


def hand_in(folder: Path, name: str, of: Any, **code: str | None) -> Path:
    """A student's version with this code in its cells; None: the cell was deleted."""
    book = student(of)
    book.cells = [c for c in book.cells if code.get(c.id.replace("-", "_"), "") is not None]
    for one in book.cells:
        one.source = code.get(one.id.replace("-", "_"), one.source)
    path = folder / f"{name}.ipynb"
    nbformat.write(book, path)
    return path


def right(n: str = "2 * n") -> str:
    return f"def double(n):\n    return {n}\n"


#: What students hand in, with the verdict and the points (of 3) that each gets.
TOY: dict[str, tuple[dict[str, str | None], str, float]] = {
    "right": ({"one": right()}, PASSED, 3),
    "nothing done": ({}, FAILED, 0),
    "visible tests only": ({"one": right("4")}, FAILED, 0),
    "syntax error": ({"one": "def double(n) return 2"}, FAILED, 0),
    "exception": ({"one": right("n / 0")}, FAILED, 0),
    "endless loop": ({"one": "while True: pass"}, FAILED, 0),
    "endless loop in a test": (
        {"one": "def double(n):\n    while True: pass"},
        FAILED,
        0,
    ),
    "sleeps": ({"one": "import time\ntime.sleep(1e6)"}, FAILED, 0),
    "asks for input": ({"one": "n = input()\n" + right()}, FAILED, 0),
    "deleted cell": ({"one": None}, FAILED, 0),
    "changed tests": ({"one": right("0"), "one_test": "pass"}, FAILED, 0),
    "deleted tests": ({"one": right(), "one_test": None}, PASSED, 3),
    "segmentation fault": ({"one": "import ctypes\nctypes.string_at(0)"}, FAILED, 0),
    "kills itself": (
        {"one": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"},
        FAILED,
        0,
    ),
    "leaves": ({"one": "import os\nos._exit(0)"}, FAILED, 0),
    "exits": ({"one": "raise SystemExit(0)"}, FAILED, 0),
    "memory": ({"one": "x = bytearray(1 << 40)"}, FAILED, 0),
    "prints without end": ({"one": "while True: print('x' * 10**6)"}, FAILED, 0),
    "leaves a daemon": (
        {
            "one": "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '1000'])\n" + right(),
        },
        PASSED,
        3,
    ),
    "leaves a thread": (
        {
            "one": "import threading, time\n"
            "threading.Thread(target=time.sleep, args=(1e6,)).start()\n" + right(),
        },
        PASSED,
        3,
    ),
}

LOSES = """class Urgent:
    def __init__(self):
        self.queue = []
    def ready(self, thread, why):
        self.queue = [thread]
    def next(self, server):
        return self.queue.pop() if self.queue else None
"""
SPINS = LOSES.replace("self.queue = [thread]", "while True: pass")
KILLS = LOSES.replace("self.queue = [thread]", "import os; os.kill(os.getpid(), 9)")
WRONG_ORDER = LOSES.replace("self.queue = [thread]", "self.queue.append(thread)")


def policy_in_c(change: str) -> str:
    """The cell of exercise B with this as the body of `next`."""
    of = student(master.load(master.NOTEBOOKS / f"{OWN}.ipynb"))
    code = next(c.source for c in of.cells if c.id == "exercise-c")
    return "#include <signal.h>\n".join(
        [
            code.partition("\n")[0] + "\n",
            code.partition("\n")[2].replace("/* your code here */", change),
        ]
    )


@pytest.mark.long
def test_a_batch_of_forty_with_everything_that_goes_wrong(
    masters: Path, grader: Grader, tmp_path: Path
) -> None:
    own = master.load(masters / f"{OWN}.ipynb")
    lifo = "(void)mine; return umcg_thread_of(umcg_list_get(&mine->queue));"
    expected: dict[str, tuple[str, float]] = {}
    files = []
    for name, (code, verdict, points) in TOY.items():
        files.append(hand_in(tmp_path, name, toy(), **code))
        expected[name] = verdict, points
    of_own = {
        "loses a worker": ({"exercise_python": LOSES, "exercise_c": policy_in_c(lifo)}, FAILED, 0),
        "spins": ({"exercise_python": SPINS}, FAILED, 0),
        "kills the grader's child": ({"exercise_python": KILLS}, FAILED, 0),
        "kills the simulator": (
            {
                "exercise_python": WRONG_ORDER,
                "exercise_c": policy_in_c("(void)mine; raise(SIGKILL); return NULL;"),
            },
            FAILED,
            0,
        ),
    }
    for name, (code, verdict, points) in of_own.items():
        files.append(hand_in(tmp_path, name, own, **code))
        expected[name] = verdict, points
    damaged = {"empty": "", "half": files[0].read_text(encoding="utf-8")[:200], "text": "hello"}
    for name, text in damaged.items():
        path = tmp_path / f"{name}.ipynb"
        path.write_text(text, encoding="utf-8")
        files.append(path)
        expected[name] = UNDECIDED, 0
    while len(files) < 40:
        name = f"right again {len(files)}"
        files.append(hand_in(tmp_path, name, toy(), one=right(f"n + n + 0 * {len(files)}")))
        expected[name] = PASSED, 3
    got = {Path(one.file).stem: one for one in grader.grades(files)}
    assert len(got) == 40
    assert {name: (one.verdict, one.points) for name, one in got.items()} == expected
    assert all(r.reason for one in got.values() for r in one.results if r.verdict != PASSED)

    def why(name: str) -> str:
        return " ".join(r.reason for r in got[name].results)

    assert "does not end in one:" in why("endless loop")
    assert "does not end in one-test" in why("endless loop in a test")
    assert "SIGSEGV" in why("segmentation fault")
    assert "its cell was deleted" in why("deleted cell")
    assert "also below zero" in why("visible tests only")
    assert "lost" in why("loses a worker")
    assert "does not end" in why("spins")
    assert "SIGKILL" in why("kills the grader's child")
    assert "--notebook" in why("half")


@pytest.mark.long
def test_one_exercise_does_not_cost_the_points_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "masters"
    folder.mkdir()
    nbformat.write(toy(2), folder / "toy.ipynb")
    judge = Grader(folder, times=3, least_s=2)
    codes = {"one": "while True: pass", "two": "x = 9"}
    found = judge.grade(hand_in(tmp_path, "student", toy(2), **codes))
    assert [(r.test, r.points) for r in found.results] == [
        ("one-test", 0),
        ("two-test", 1),
        ("two-more", 0),
    ]


def test_a_damaged_file_whose_notebook_is_known_fails(grader: Grader, tmp_path: Path) -> None:
    path = tmp_path / "x.ipynb"
    path.write_text("{", encoding="utf-8")
    found = grader.grade(path, "toy")
    assert (found.verdict, found.points, found.of) == (FAILED, 0, 3)
    assert "this is no notebook" in found.results[0].reason


def test_what_is_not_the_submissions_fault_is_undecided(masters: Path, tmp_path: Path) -> None:
    book = toy()
    book.cells[4].source = "class Undecided(Exception): pass\nraise Undecided('events were lost')"
    exercise = master.Exercise({"one": ""}, (master.Test("one-test", 3, book.cells[4].source),))
    made = master.Master("toy", (), (exercise,))
    ran = supervise.run(grade._cells(made, exercise, {"one": right()}), 30)
    result = grade._results(exercise, ran)[0]
    assert (result.verdict, result.points) == (UNDECIDED, 0)
    assert "events were lost" in result.reason
    broken = master.Master("toy", ("import no_such_module",), (exercise,))
    ran = supervise.run(grade._cells(broken, exercise, {"one": right()}), 30)
    assert "no_such_module" in grade._results(exercise, ran)[0].reason
    assert grade._results(exercise, ran)[0].verdict == UNDECIDED


def test_a_master_that_fails_itself_grades_nobody(tmp_path: Path) -> None:
    book = toy()
    book.cells[3].source = book.cells[3].source.replace("2 * n", "3 * n")
    nbformat.write(book, tmp_path / "toy.ipynb")
    file = hand_in(tmp_path, "student", toy(), one=right())
    judge = Grader(tmp_path)
    with pytest.raises(MasterError, match="itself does not pass one-test"):
        judge.grade(file)
    (only,) = judge.grades([file])
    assert only.verdict == UNDECIDED
    with pytest.raises(MasterError, match="there is no notebook 99; there are student, toy"):
        judge.grade(file, "99")


def test_waiting_for_a_cpu_is_not_counted() -> None:
    """Five compute on one CPU: the one that is looked at waits most of its time."""
    crowd = f"""import os, time
os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})
for _ in range(4):
    if not os.fork():
        while time.process_time() < 0.5: pass
        os._exit(0)
cpu, wall = time.process_time(), time.monotonic()
while time.process_time() < cpu + 0.1: pass
print("waited", time.monotonic() - wall - 0.1)
"""
    begin = time.monotonic()
    ran = supervise.run([("crowd", crowd)], 60)
    whole = time.monotonic() - begin
    assert ran.end == "end", ran
    waited = float(ran.said.partition("waited ")[2].split()[0])
    assert waited > 0.1, "there was a crowd"
    assert ran.seconds < whole - waited / 2
    assert supervise.run([("sleep", "import time; time.sleep(0.3)")], 60).seconds >= 0.3


def test_run_all_goes_on_behind_an_exercise_in_a_students_version_alone() -> None:
    def tagged(book: Any) -> list[str]:
        return [c.id for c in book.cells if "raises-exception" in c.metadata.get("tags", ())]

    assert tagged(student(toy())) == ["one", "one-test"]
    for name in master.names():
        assert not tagged(master.load(master.NOTEBOOKS / f"{name}.ipynb")), "its errors are seen"


def test_a_student_gets_neither_solutions_nor_hidden_tests_nor_notes() -> None:
    for name in master.names():
        book = student(master.load(master.NOTEBOOKS / f"{name}.ipynb"))
        nbformat.validate(book)
        text = nbformat.writes(book)
        assert "### " not in text.replace("### Your", "").replace("#### ", "")
        assert "For the instructor" not in text
        for one in book.cells:
            if one.cell_type == "code" and not one.source.startswith("%%"):
                compile(one.source, name, "exec")
    book = student(toy())
    assert book.cells[3].source == "def double(n):\n    # your code here"
    assert "also below zero" not in nbformat.writes(book)
    assert "instructor" not in [c.id for c in book.cells]


#: The points of each notebook.
POINTS = {
    "00-quickstart": 3,
    "01-price-of-a-hand-off": 4,
    "02-swap": 4,
    "03-servers-and-workers": 4,
    "04-blocking": 4,
    "05-waking": 4,
    "06-preemption": 4,
    "07-races": 4,
    OWN: 13,
    "09-mixed-work": 7,
    "10-deadlines": 8,
    "11-a-server": 7,
    "12-inside-the-kernel": 3,
}


def test_a_notebook_without_an_exercise_is_no_master(tmp_path: Path) -> None:
    book = toy()
    book.cells = [c for c in book.cells if not c.id.startswith("one")]
    nbformat.write(book, tmp_path / "toy.ipynb")
    with pytest.raises(MasterError, match="nothing in notebook toy gives points"):
        master.read("toy", tmp_path)


@pytest.mark.parametrize("name", master.names())
def test_every_notebook_has_an_exercise_that_is_marked_as_nbgrader_marks(name: str) -> None:
    made = master.read(name)
    assert made.points == POINTS[name]
    for one in master.load(master.NOTEBOOKS / f"{name}.ipynb").cells:
        if found := one.metadata.get("nbgrader"):
            assert found["schema_version"] == 3 and found["grade_id"] == one.id
            assert found["solution"] != found["grade"]


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(POINTS.keys() - {OWN}))
def test_nothing_done_gets_no_points(name: str) -> None:
    made = master.read(name)
    untouched = student(master.load(master.NOTEBOOKS / f"{name}.ipynb"))
    handed_in = master.solution_cells(untouched)
    for exercise in made.exercises:
        ran = supervise.run(grade._cells(made, exercise, handed_in), 1800)
        results = grade._results(exercise, ran)
        assert {one.verdict for one in results} == {FAILED}, results


@pytest.mark.long
def test_the_masters_solution_gets_all_points(tmp_path: Path) -> None:
    """Of two; that the solutions of all pass is seen where the notebooks are executed."""
    judge = Grader(times=3, least_s=3)
    for name in ("01-price-of-a-hand-off", "03-servers-and-workers"):
        of = master.load(master.NOTEBOOKS / f"{name}.ipynb")
        (exercise,) = judge.master(name).exercises
        done = {n.replace("-", "_"): code for n, code in exercise.solutions.items()}
        assert judge.grade(hand_in(tmp_path, "all", of, **done)).points == POINTS[name]


def test_a_release_never_writes_over_work(tmp_path: Path, masters: Path) -> None:
    source, target = tmp_path / "masters", tmp_path / "class"
    source.mkdir()
    for name in ("a", "b", "c", "d"):
        nbformat.write(toy(), source / f"{name}.ipynb")

    def go() -> dict[str, str]:
        return {path.stem: became for path, became in release.release(target, source)}

    assert go() == dict.fromkeys("abcd", release.NEW)
    assert go() == dict.fromkeys("abcd", release.SAME)
    edited, ran = (master.load(target / f"{n}.ipynb") for n in "ab")
    edited.cells[3].source = "my work"
    nbformat.write(edited, target / "a.ipynb")
    ran.cells[3].execution_count = 1
    nbformat.write(ran, target / "b.ipynb")
    (target / "c.ipynb").write_text("not json", encoding="utf-8")
    newer = toy()
    newer.cells[0].source = "# Toy, second edition"
    for name in "abcd":
        nbformat.write(newer, source / f"{name}.ipynb")
    became = go()
    assert became == dict.fromkeys("abc", release.KEPT) | {"d": release.UPDATED}
    assert go() == dict.fromkeys("abcd", release.SAME), "the new version is beside it already"
    assert "my work" in (target / "a.ipynb").read_text(encoding="utf-8")
    assert (target / "c.ipynb").read_text(encoding="utf-8") == "not json"
    assert "second edition" in (target / "a-new.ipynb").read_text(encoding="utf-8")
    assert "second edition" in (target / "d.ipynb").read_text(encoding="utf-8")
    assert "### BEGIN" not in (target / "d.ipynb").read_text(encoding="utf-8")


def test_the_command_writes_a_table_and_keeps_what_is_graded(
    masters: Path, grader: Grader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labkit.cli.grading.Grader", lambda: grader)
    good = hand_in(tmp_path, "good", toy(), one=right())
    bad = hand_in(tmp_path, "bad", toy(), one=right("[n][1]"))
    out = tmp_path / "grades.csv"
    result = CliRunner().invoke(app, ["grade", str(good), str(bad), "-o", str(out), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [one["verdict"] for one in told] == [PASSED, FAILED]
    rows = list(csv.DictReader(out.open(encoding="utf-8")))
    assert Counter(row["verdict"] for row in rows) == {PASSED: 1, FAILED: 1}
    assert CliRunner().invoke(app, ["grade", str(tmp_path / "none.ipynb")]).exit_code == 4
    assert CliRunner().invoke(app, ["grade", str(good), "-o", str(good)]).exit_code != 0
    assert "double" in good.read_text(encoding="utf-8")

    def then_the_power_fails(*_: object) -> Iterator[Grade]:
        yield grader.grade(good)
        written.append(out.read_text(encoding="utf-8"))
        raise KeyboardInterrupt

    written: list[str] = []
    monkeypatch.setattr(grader, "grades", then_the_power_fails)
    out.unlink()
    CliRunner().invoke(app, ["grade", str(good), str(bad), "-o", str(out)])
    assert "PASSED" in written[0] and out.read_text(encoding="utf-8") == written[0]
