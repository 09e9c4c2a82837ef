# SPDX-License-Identifier: MIT
"""The form of the notebooks and of what is recorded for them; executing them is another test."""

import ast
import importlib.util
import json
import re
from pathlib import Path

import nbformat
import polars as pl
import pytest

from labkit import course
from labkit.jupyter.install import DISPLAY_NAME, KERNEL_NAME
from labkit.run import load

ROOT = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(ROOT.glob("*.ipynb"))
RECORDED = sorted((ROOT / "recorded").glob("*.parquet"))

#: What every notebook has, in this order; numbers and timeline may stand either way.
SECTIONS = ("Predict", "Experiment", "Timeline", "Numbers", "Questions", "Exercise")
LAST = (*SECTIONS[-2:], "Your predictions", "To read")

#: A path or a host of the machine that something was made on.
PRIVATE = re.compile(r"(?<![\w.])/(?:home|root|work|tmp|opt|mnt|Users)/|https?://|localhost:\d")


def read(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return request.param, read(request.param)


def test_there_are_notebooks_and_the_index_names_each():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([^)]+\.ipynb)\)", text)
    assert sorted(linked) == [path.name for path in NOTEBOOKS]


def test_it_is_a_valid_notebook_for_our_kernel(notebook):
    _, book = notebook
    nbformat.validate(book)
    assert book.metadata.kernelspec.name == KERNEL_NAME
    assert book.metadata.kernelspec.display_name == DISPLAY_NAME


def test_cells_have_names_that_stay(notebook):
    """Not the random ones: a diff then says which cell changed, and a test can name it."""
    _, book = notebook
    ids = [cell.id for cell in book.cells]
    assert len(ids) == len(set(ids))
    assert not [name for name in ids if re.fullmatch(r"[0-9a-f-]{8,36}", name)]


def test_outputs_are_stripped(notebook):
    _, book = notebook
    for cell in book.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None, cell.id
            assert "execution" not in cell.metadata, cell.id
    assert "widgets" not in book.metadata, "the state of panels is an output, too"


def test_it_has_its_parts(notebook):
    path, book = notebook
    first, where = book.cells[0], book.cells[1]
    assert first.source.startswith("<!-- SPDX-License-Identifier: MIT -->")
    assert f"# {path.stem[:2]} ·" in first.source
    goal = first.source.partition("**Goal**")[2]
    assert len(re.findall(r"^- ", goal, re.M)) == 3, "the goal has three lines"
    assert f'lab = course.begin("{path.stem}")' in where.source
    assert where.source.endswith("\nlab"), "the first output says where it runs"
    text = "\n".join(c.source for c in book.cells if c.cell_type == "markdown")
    heads = [h.partition(":")[0] for h in re.findall(r"^## (.+)$", text, re.M)]
    assert [h for h in heads if h in SECTIONS[:2]] == list(SECTIONS[:2])
    assert set(SECTIONS) <= set(heads)
    assert heads[-4:] == list(LAST)
    assert "For the instructor" in book.cells[-1].source


def test_predictions_come_before_the_experiment_and_are_reviewed(notebook):
    _, book = notebook
    ids = [cell.id for cell in book.cells]
    cell = book.cells[ids.index("prediction")]
    asked, shown = ast.parse(cell.source).body
    assert ast.unparse(shown) == "guess", "the fields are seen"
    names = [keyword.arg for keyword in asked.value.keywords]
    assert names and ast.unparse(asked.value.func) == "lab.predict"
    assert ids.index("prediction") < ids.index("experiment")
    later = "\n".join(c.source for c in book.cells[ids.index("prediction") + 1 :])
    for name in names:
        assert f'guess["{name}"]' in later, f"{name} is never held against the data"
    assert book.cells[ids.index("review")].source == "guess.review()"


def test_results_are_held_until_there_is_a_prediction(notebook):
    """What is shown after it goes through `lab` first, or through the prediction."""
    _, book = notebook
    ids = [cell.id for cell in book.cells]
    after = book.cells[ids.index("prediction") + 1 :]
    first = next(c for c in after if c.cell_type == "code")
    assert re.search(r"\blab\.(hold|panel|run|result|result_of)\(|guess\[", first.source), first.id


def test_it_says_what_to_read(notebook):
    _, book = notebook
    text = next(c.source for c in book.cells if c.id == "references")
    assert 2 <= len(re.findall(r"^- ", text, re.M)) <= 5


def test_cells_are_plain_python_without_sleeps_or_speed_limits(notebook):
    _, book = notebook
    for cell in book.cells:
        if cell.cell_type != "code":
            continue
        if not cell.source.startswith("%%policy "):  # C, which is compiled when it runs
            compile(cell.source, cell.id, "exec")  # no magics: they are linted as they are
        assert "sleep(" not in cell.source, cell.id
        for claimed in re.findall(r"course\.claim\((.*?)\n\)|course\.claim\((.*)\)", cell.source):
            assert not re.search(r"ratio|median|_ns|faster|slower", "".join(claimed)), cell.id


def test_the_functions_it_shows_are_in_the_patches():
    """The notebook itself only says that it finds one no more: a reader's tree may be newer."""
    added = {
        (file.path, line.value)
        for patch in course.patches()
        for file in patch.files
        for hunk in file
        for line in hunk
        if not line.is_removed
    }
    source = "\n".join(cell.source for cell in read(ROOT / "12-inside-the-kernel.ipynb").cells)
    shown = re.findall(r'show\("([^"]+)", "([^"]+)"\)', source)
    assert len(shown) >= 3
    for path, begin in shown:
        assert any(p == path and line.startswith(begin) for p, line in added), (path, begin)


def test_nothing_of_a_machine_is_in_it(notebook):
    path, _ = notebook
    assert not PRIVATE.search(path.read_text(encoding="utf-8"))


def test_everything_that_is_shown_is_recorded():
    """Each result that needs UMCG has its file, and each file its result."""
    wanted = set()
    for path in NOTEBOOKS:
        source = "\n".join(c.source for c in read(path).cells if c.cell_type == "code")
        source = re.sub(r"^\s*#.*$", "", source, flags=re.M)
        for call in re.findall(r"lab\.(?:panel|run)\((.*?)\)\s*$", source, re.M | re.S):
            if "anywhere=True" in call:
                continue
            name = re.search(r"name=f?\"([^\"]+)\"", call)
            wanted.add(f"{path.stem}-{name[1]}" if name else path.stem)
        for function in re.findall(r"lab\.result_of\((\w+)\)", source):
            wanted.add(f"{path.stem}-{function.replace('_', '-')}")
    patterns = {re.sub(r"\\\{\w+\\\}", r"\\w+", re.escape(name)) for name in wanted}
    stems = [path.stem for path in RECORDED]
    for pattern in patterns:
        assert any(re.fullmatch(pattern, stem) for stem in stems), f"{pattern} is not recorded"
    for stem in stems:
        assert any(re.fullmatch(p, stem) for p in patterns), f"{stem} belongs to no notebook"


@pytest.fixture
def recorder(monkeypatch):
    """The script that records, on a machine without UMCG, and the guests it would start."""
    spec = importlib.util.spec_from_file_location("record", ROOT / "record.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    guests = []

    def execute(argv, options):
        guests.append((argv[2:], options))
        return len(guests) - 1

    monkeypatch.setattr(module.engine, "enabled", lambda: False)
    monkeypatch.setattr(module.vm, "execute", execute)
    return module, guests


def test_the_recorder_counts_instructions_where_one_cpu_will_do(recorder):
    module, guests = recorder
    assert module.main([]) == 1, "the guest's exit code"
    (one, counting), (two, timed) = guests
    assert sorted([*one, *two]) == [path.stem for path in NOTEBOOKS]
    assert two == ["05-waking"] and timed.cpus == 2 and not timed.icount
    assert counting.icount and counting.cpus == 1


def test_the_recorder_runs_what_is_marked_or_all(recorder):
    module, _ = recorder
    marked = module.needed(read(ROOT / "11-a-server.ipynb"))
    assert [cell.id for cell in marked] == ["where", "program-source", "program"]
    whole = read(ROOT / "02-swap.ipynb")
    assert module.needed(whole) == [c for c in whole.cells if c.cell_type == "code"]


def test_the_recorder_knows_the_notebooks(recorder):
    module, guests = recorder
    with pytest.raises(SystemExit, match=r"no notebook 99-none; there are 00-quickstart"):
        module.main(["99-none"])
    assert not guests


def test_recordings_are_small():
    sizes = {path.name: path.stat().st_size for path in RECORDED}
    assert max(sizes.values()) < 150_000, sizes
    assert sum(sizes.values()) < 1_500_000, sizes


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recording_was_made_with_umcg_and_says_nothing_private(path):
    metadata = pl.read_parquet_metadata(path)
    if "labkit.format" in metadata:
        run = load(path)
        environment = run.environment
        assert not run.counters.get("stopped")
        assert run.counters["lost"] == 0
    else:
        environment = json.loads(metadata["course.environment"])
        assert pl.read_parquet(path).height
    assert environment["backend"] == "umcg"
    assert environment["kernel"].endswith("-umcg")
    assert environment["accelerator"] in ("kvm", "tcg", "tcg icount")
    assert environment["cpus"], "the CPUs that it was pinned to"
    assert not PRIVATE.search(repr(sorted(metadata.items())))
