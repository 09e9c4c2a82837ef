# SPDX-License-Identifier: MIT
"""`labkit policy`, and `%%policy` in a notebook."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_sim_wrong import WORK
from typer.testing import CliRunner
from wrong_policies import source

import labkit
from labkit.cli.commands import app
from labkit.sim import policies, simulate
from labkit.sim.errors import ChoiceError
from labkit.workload import Class, Compute, Trace, Workload

RUN = CliRunner()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("LABKIT_POLICIES", str(tmp_path / "policies"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path


def test_list_and_show() -> None:
    listed = RUN.invoke(app, ["policy", "list"])
    assert listed.exit_code == 0
    assert all(name in listed.stdout for name in policies.shipped())
    assert "fifo" in listed.stdout and "first come, first served" in listed.stdout
    shown = json.loads(RUN.invoke(app, ["policy", "show", "edf", "--json"]).stdout)
    late = next(option for option in shown["options"] if option["name"] == "late")
    assert (late["default"], late["allowed"]) == ("keep", "keep, last, drop")
    shown = RUN.invoke(app, ["policy", "show", "fair"]).stdout
    assert "tenantN (N from 0 to 255)" in shown and "slice_us" in shown


def test_build_show_check_and_use(folder: Path) -> None:
    (folder / "wrong.c").write_text(source(), encoding="utf-8")
    made = RUN.invoke(app, ["policy", "build", "wrong.c"])
    assert made.exit_code == 0 and "wrote wrong.so: wrong, goes wrong" in made.stderr
    assert "goes wrong" in RUN.invoke(app, ["policy", "show", "./wrong.so"]).stdout
    assert labkit.simulate("./wrong.so", WORK).counters["./wrong.so/work:done"] == 50
    kept = RUN.invoke(app, ["policy", "build", "wrong.c", "--keep"])
    assert kept.exit_code == 0
    assert "goes wrong" in RUN.invoke(app, ["policy", "list"]).stdout
    assert labkit.simulate("wrong", WORK).counters["wrong/work:done"] == 50


def test_build_says_where_it_does_not_compile(folder: Path) -> None:
    (folder / "bad.c").write_text("int f(void)\n{\n\treturn b;\n}\n", encoding="utf-8")
    made = RUN.invoke(app, ["policy", "build", "bad.c", "-o", "out.so"])
    assert made.exit_code == 1 and "bad.c:3:16: error:" in made.stderr
    assert not (folder / "out.so").exists() and not list(folder.glob(".build*"))
    assert RUN.invoke(app, ["policy", "build", "no.c"]).exit_code == 4
    (folder / "int.c").write_text("int x;\n", encoding="utf-8")
    made = RUN.invoke(app, ["policy", "build", "int.c"])
    assert made.exit_code == 2 and "without a policy in it" in made.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(name, marks=() if name in ("fifo", "las") else pytest.mark.long)
        for name in policies.shipped()
    ],
)
def test_every_policy_of_labkit_passes_its_check(policy: str) -> None:
    made = RUN.invoke(app, ["policy", "check", policy])
    assert made.exit_code == 0, made.output
    assert "nothing wrong" in made.stderr


def test_check_says_what_is_wrong(folder: Path) -> None:
    (folder / "wrong.c").write_text(
        source(READY="if (t->id == 3 && t->service_ns) return;"), encoding="utf-8"
    )
    made = RUN.invoke(app, ["policy", "check", "wrong.c"])
    assert made.exit_code == 1
    assert "policy wrong has lost a thread" in made.stdout and "wrong says: asked" in made.stdout
    assert "in the workload 'threads that block' on 1 servers, seed 5, costs none" in made.stdout


@pytest.mark.parametrize(
    "words, says",
    [
        (["show", "fi"], "there is no policy 'fi'; did you mean 'fifo'? There are fifo, "),
        (["show", "fifo:x=1"], "'fifo:x=1' has options; give the policy alone"),
        (["check", "fifo:x=1"], "policy fifo takes no options"),
        (["check", "fifo", "--watchdog", "0"], "watchdog_s is 0.0; give seconds from 0.1"),
        (["build", "x.c", "--keep", "-o", "y.so"], "--keep and --output exclude each other"),
    ],
)
def test_wrong_usage(words: list[str], says: str) -> None:
    made = RUN.invoke(app, ["policy", *words])
    assert made.exit_code == 2 and says in made.stderr and made.stderr.count("\n") == 1


@pytest.fixture()
def shell() -> Iterator[object]:
    testing = pytest.importorskip("IPython.testing.globalipapp")
    ipython = testing.start_ipython() or testing.get_ipython()
    ipython.run_line_magic("load_ext", "labkit")
    yield ipython


def test_a_policy_in_a_cell(shell: object) -> None:
    cell = source().replace("#include <umcg-policy.h>\n#include <umcg-queue.h>\n", "")
    made = shell.run_cell_magic("policy", "wrong", cell)  # type: ignore[attr-defined]
    assert "goes wrong" in repr(made) and 'policy="wrong" has it now' in repr(made)
    assert labkit.simulate("wrong", WORK).counters["wrong/work:done"] == 50


def test_a_cell_that_does_not_compile_leaves_no_older_policy(shell: object) -> None:
    from IPython.core.error import UsageError

    shell.run_cell_magic("policy", "wrong", source())  # type: ignore[attr-defined]
    labkit.simulate("wrong", WORK)
    with pytest.raises(UsageError, match="There is no policy wrong until it does"):
        shell.run_cell_magic("policy", "wrong", "# your code here\n")  # type: ignore[attr-defined]
    with pytest.raises(ChoiceError):
        labkit.simulate("wrong", WORK)


def test_a_cells_errors_have_the_cells_lines(shell: object) -> None:
    from IPython.core.error import UsageError

    # In the notebook %%policy is line 1 of the cell.
    cell = "static int f(void)\n{\n\treturn nothing;\n}\n"
    with pytest.raises(UsageError, match=r"cell mine:4:9: error: .*nothing"):
        shell.run_cell_magic("policy", "mine", cell)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="give the policy's name"):
        shell.run_cell_magic("policy", "", cell)  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="'fifo' is the name of a policy that comes with labkit"):
        shell.run_cell_magic("policy", "fifo", cell)  # type: ignore[attr-defined]


PYTHON = '''
import collections

class Fifo:
    """First come, first served."""

    def __init__(self):
        self.queue = collections.deque()

    def ready(self, thread, why):
        self.queue.append(thread)

    def next(self, server):
        return self.queue.popleft() if self.queue else None
'''


def test_a_policy_in_a_python_file_is_one_by_its_path(tmp_path: Path) -> None:
    file, two = tmp_path / "mine.py", tmp_path / "two.py"
    file.write_text(PYTHON, encoding="utf-8")
    two.write_text(f"{PYTHON}\nclass Other(Fifo):\n    pass\n", encoding="utf-8")
    found = RUN.invoke(app, ["policy", "check", str(file)])
    assert found.exit_code == 0 and "nothing wrong" in found.output, found.output
    found = RUN.invoke(app, ["policy", "show", f"{two}:Other"])
    assert "Other: First come, first served." in found.output
    found = RUN.invoke(app, ["policy", "check", str(two)])
    assert found.exit_code == 2 and "has Fifo, Other: say which" in found.output.replace("\n", " ")
    found = RUN.invoke(app, ["policy", "show", f"{file}:Nobody"])
    assert "has no policy 'Nobody'; it has Fifo" in found.output.replace("\n", " ")
    work = Workload(classes=(Class(name="a", arrivals=Trace((0, 1)), phases=(Compute(5),)),))
    run = simulate(str(file), work)
    assert run.spec["policy"] == str(file)
    assert run.events.equals(simulate("fifo", work).events)
    with pytest.raises(ChoiceError, match=r"there is no file .*none\.py"):
        simulate(str(tmp_path / "none.py"), work)
