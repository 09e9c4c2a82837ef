# SPDX-License-Identifier: MIT
"""`labkit bench`: its errors, its comparison, and the instruction counts against the baseline."""

import json

import pytest
from test_bench import some_results
from typer.testing import CliRunner

from labkit import vm
from labkit.analysis.compare import NotComparable
from labkit.benchmark import guest, icount, peers, results, suite
from labkit.cli import bench as command
from labkit.cli.commands import app

COUNTS = {"patched": {"raw/futex": 1000.0, "raw/umcg-swap": 800.0}, "base": {"raw/futex": 990.0}}


def call(*words):
    return CliRunner().invoke(app, ["bench", *(str(word) for word in words)])


def counted(**patched):
    return {
        "patched": COUNTS["patched"] | patched,
        "base": COUNTS["base"],
        "repeats": True,
        "moved": [],
        "note": "",
    }


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--rigor", "some"], 2, "choose from smoke, quick, full"),
        (["--suite", "nothing"], 2, "no suite 'nothing'"),
        (["-o", "x.html"], 2, "must end in .json"),
        (["--update"], 2, "goes with --icount"),
        (["report", "/no/such.json"], 4, "no such file"),
        (["report", "/etc/passwd"], 4, "no results file"),
        (["compare", "/etc", "/etc"], 4, "a folder"),
    ],
)
def test_errors_are_one_line_and_a_code(words, code, says):
    done = call(*words)
    assert done.exit_code == code, done.output
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_compare_two_files(tmp_path, monkeypatch):
    from test_bench import a_suite

    monkeypatch.setattr(suite, "load", lambda names=(): [a_suite()])
    a = some_results().save(tmp_path / "a.json")
    b = some_results(ratio=1.5).save(tmp_path / "b.json")
    done = call("compare", a, b)
    assert done.exit_code == 0, done.output
    assert "1 are decided alike in both files" in done.stdout
    assert "baseline" in done.stdout and "futex" in done.stdout
    changes = json.loads(call("compare", a, b, "--json").stdout)["changes"]
    assert [c["same_verdict"] for c in changes] == [False, True]
    assert [c["contradicts"] for c in changes] == [True, False]
    head, rule, first, second, blank, said = call(
        "compare", a, b, "--markdown"
    ).stdout.splitlines()[:6]
    assert (head, rule, blank) == ("| | first | second | verdict |", "|---|--:|--:|---|", "")
    assert first.startswith("| A swap : a futex hand-off | 0.50 ("), first
    assert first.endswith("| better; worse, claim holds; refuted |"), first
    assert second.endswith("| no difference, claim holds |"), second
    assert said.startswith("Of 2 contrasts")
    other = some_results(clock="hpet").save(tmp_path / "c.json")
    done = call("compare", a, other)
    assert done.exit_code == 2
    assert "clock" in done.stderr


def test_report_of_a_file(tmp_path, monkeypatch):
    from test_bench import a_suite

    monkeypatch.setattr(suite, "load", lambda names=(): [a_suite()])
    file = some_results().save(tmp_path / "a.json")
    document = json.loads(call("report", file, "--json").stdout)
    assert document["findings"]["one"][0]["verdict"] == "better"
    assert (tmp_path / "a.html").exists() and (tmp_path / "a.md").exists()


def test_counts_that_moved_fail_with_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(icount, "BASELINE", tmp_path / "baseline.json")
    monkeypatch.setattr(icount.load_baseline, "__defaults__", (tmp_path / "baseline.json",))
    monkeypatch.setattr(icount.save_baseline, "__defaults__", (tmp_path / "baseline.json",))
    now = counted()
    monkeypatch.setattr(icount, "measure", lambda say: now)
    done = call("--icount")
    assert done.exit_code == 1 and "labkit bench --icount --update" in done.stderr
    assert call("--icount", "--update").exit_code == 0
    assert (
        json.loads((tmp_path / "baseline.json").read_text(encoding="utf-8"))["base"]
        == COUNTS["base"]
    )
    done = call("--icount")
    assert done.exit_code == 0 and "3 counts, none moved" in done.stdout
    now = counted(**{"raw/umcg-swap": 815.0})
    assert call("--icount").exit_code == 0
    now = counted(**{"raw/umcg-swap": 820.0, "raw/new": 5.0})
    done = call("--icount")
    assert done.exit_code == 1
    assert "umcg-swap" in done.stdout and "+2.5%" in done.stdout and "new" in done.stdout
    assert "2 counts moved" in done.stderr
    now = counted() | {"repeats": False, "moved": ["patched raw/futex"]}
    done = call("--icount", "--update")
    assert done.exit_code == 1 and "do not repeat: patched raw/futex" in done.stderr


def test_a_damaged_baseline(tmp_path):
    file = tmp_path / "baseline.json"
    file.write_text("{", encoding="utf-8")
    with pytest.raises(icount.CountError, match="damaged"):
        icount.load_baseline(file)
    icount.save_baseline({"repeats": True, "note": "no image", "patched": {"a": 1.0}}, file)
    assert icount.load_baseline(file) == {"patched": {"a": 1.0}}


def test_the_baseline_of_the_project_is_sound():
    baseline = icount.load_baseline()
    assert {"raw/futex", "raw/umcg-swap"} <= baseline["patched"].keys()
    assert baseline.get("base", {}).keys() <= baseline["patched"].keys()
    assert all(count > 0 for counts in baseline.values() for count in counts.values())


def test_one_part_that_fails_is_kept_as_a_reason():
    def fails():
        raise icount.CountError("no compiler")

    assert command._guarded(fails) == {"error": "no compiler"}


@pytest.fixture
def small(monkeypatch):
    """One suite that needs no UMCG, and a guest that is this process."""
    from test_bench import a_suite

    from labkit.benchmark.suite import Contrast

    def works(bench):
        for repetition, name in bench.rounds(["a/x", "b/x"]):
            bench.sample(name, repetition, 2.0 if name == "a/x" else 1.0, "ns", 1)

    contrasts = [Contrast("a/x", "b/x", "ns", "A", "B")]
    state = {
        "suites": [a_suite(measure=works, contrasts=contrasts, curves=[])],
        "raises": None,
        "boots": [],
    }
    monkeypatch.setattr(suite, "load", lambda names=(): state["suites"])
    monkeypatch.setattr(command.engine, "enabled", lambda: False)

    def execute(words, options=None, *, say):
        try:
            file, rigor, part, parts, way, *names = words[3:]
            state["boots"].append((int(part), way))
            resume = way == "resume"
            made = guest.measure(command.Path(file), rigor, names, int(part), int(parts), resume)
        except KeyboardInterrupt:
            return 130
        if state["raises"]:
            raise state["raises"]
        return 1 if made.failures else 0

    monkeypatch.setattr(command.vm, "execute", execute)
    monkeypatch.setattr(icount, "measure", lambda say: counted())

    def pairs(rigor, kept, saved, say=None):
        raise peers.PeerError("no unpatched image")

    monkeypatch.setattr(peers, "measure", pairs)
    return state


def test_everything_in_one_file_and_what_failed_is_said(small, tmp_path):
    file = tmp_path / "r.json"
    done = call("-o", file, "--json")
    assert done.exit_code == 1, done.output
    document = json.loads(done.stdout)
    assert document["failures"] == ["peers: no unpatched image"]
    assert document["findings"]["one"][0]["verdict"] == "worse"
    assert document["findings"]["one"][0]["runs"] == 9  # three boots of three
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Not run: no unpatched image." in page and "raw/umcg-swap" in page
    assert call("--no-peers", "-o", file).exit_code == 0


def test_an_interrupt_reports_what_was_measured(small, tmp_path):
    from dataclasses import replace

    def interrupted(bench):
        small["suites"][0].measure(bench)
        raise KeyboardInterrupt

    one = small["suites"][0]
    small["suites"] = [one, replace(one, name="two", measure=interrupted)]
    file = tmp_path / "r.json"
    done = call("-o", file)
    assert done.exit_code == 130, done.output
    assert "interrupted" in done.stderr
    assert "two: interrupted" in (tmp_path / "r.md").read_text(encoding="utf-8")


def test_an_ended_run_is_resumed_where_it_ended(small, tmp_path, monkeypatch):
    from dataclasses import replace

    calls = []

    def counted_work(bench):
        calls.append("two")
        if len(calls) == 2:  # in the second of three boots
            for repetition, name in bench.rounds(["a/x"]):
                bench.sample(name, repetition, 7.0, "ns", 1)
                if repetition == 4:
                    raise KeyboardInterrupt
        small["works"](bench)

    one = small["suites"][0]
    small["works"] = one.measure
    small["suites"] = [one, replace(one, name="two", measure=counted_work)]
    file = tmp_path / "r.json"
    assert call("-o", file, "--no-peers").exit_code == 130
    first = results.load(file).suites["one"]
    assert (first.parts, results.load(file).suites["two"].stopped) == (2, True)

    small["boots"].clear()
    done = call("-o", file, "--no-peers", "--resume")
    assert done.exit_code == 0, done.output
    # What was interrupted is measured anew in all boots, what was not only in the last.
    assert small["boots"] == [(0, "resume"), (1, "new"), (2, "new")]
    made = results.load(file)
    assert [suite.parts for suite in made.suites.values()] == [3, 3]
    assert made.suites["one"].samples[: len(first.samples)] == first.samples
    for kept in made.suites.values():
        assert [r for series, r, *_ in kept.samples if series == "a/x"] == list(range(9))
        assert {value for _, _, value, *_ in kept.samples} == {1.0, 2.0}

    small["boots"].clear()
    monkeypatch.setattr(command.environment, "collect", lambda: {"time": "another"})
    assert call("-o", file, "--no-peers", "--resume").exit_code == 0
    assert small["boots"] == [] and results.load(file) == made


def test_only_what_was_measured_the_same_way_is_resumed(small, tmp_path, monkeypatch):
    file = tmp_path / "r.json"
    done = call("-o", file, "--resume")
    assert done.exit_code == 2 and "no such file" in done.stderr
    assert call("-o", file, "--no-peers").exit_code == 0
    made = results.load(file)
    done = call("-o", file, "--resume", "--rigor", "smoke")
    assert done.exit_code == 2 and "measured with --rigor quick" in done.stderr
    made.suites["one"].parts = 1
    made.save(file)
    before = file.read_bytes()
    monkeypatch.setattr(guest, "build_id", lambda: "another")
    with pytest.raises(NotComparable, match=r"cannot be gone on with .*build: .*another"):
        guest.measure(file, "quick", [], 1, 3, resume=True)
    assert file.read_bytes() == before


def test_a_guest_that_dies_leaves_what_it_had_measured(small, tmp_path):
    small["raises"] = vm.VmError("the guest's kernel panicked")
    file = tmp_path / "r.json"
    done = call("-o", file)
    assert "panicked" in done.stderr
    assert (tmp_path / "r.html").exists()
    file.unlink()
    small["suites"] = []

    def execute(words, options=None, *, say):
        raise vm.VmError("no kernel yet")

    command.vm.execute, kept = execute, command.vm.execute
    try:
        done = call("-o", file)
    finally:
        command.vm.execute = kept
    assert done.exit_code == 125 and "no kernel yet" in done.stderr


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "no disk")])
def test_a_suite_without_a_result_replaces_nothing(error, small, tmp_path):
    from test_bench import a_suite

    def fails(bench):
        raise error

    small["suites"] = [a_suite(measure=fails, contrasts=[], curves=[])]
    file = some_results().save(tmp_path / "r.json")
    before = file.read_bytes()
    done = call("--no-peers", "-o", file)
    assert done.exit_code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert "as it was" in done.stderr
    assert file.read_bytes() == before


def test_new_results_replace_the_old(small, tmp_path):
    file = some_results().save(tmp_path / "r.json")
    before = file.read_bytes()
    assert call("--no-peers", "-o", file).exit_code == 0
    assert file.read_bytes() != before


def test_a_clock_of_instructions_needs_one_cpu_and_tcg():
    assert command.VIRTUAL_GUEST.icount
    with pytest.raises(ValueError, match="icount needs"):
        vm.VmOptions(icount=True, cpus=1)
