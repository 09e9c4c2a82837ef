# SPDX-License-Identifier: MIT
"""`make test` is honest about what passed, what failed and what was never run."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[1] / "steps.py"


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """The module, writing its logs elsewhere."""
    spec = importlib.util.spec_from_file_location("steps", FILE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "steps", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "LOGS", tmp_path / "logs")
    return module


def carry_out(steps, monkeypatch, *plan):
    monkeypatch.setitem(steps.PLANS, "this", plan)
    return steps.main(["this"])


def test_the_last_line_counts_what_the_programs_counted(steps, monkeypatch, capfdbinary):
    code = carry_out(
        steps,
        monkeypatch,
        steps.Step("one", "pytest", 1, "echo '=== 3 passed, 1 skipped, 2 warnings in 0.10s ==='"),
        steps.Step("two", "the kernel's", 1, "echo 37 passed, 0 failed, 2 skipped"),
        steps.Step("three", "does not count", 1, "true"),
    )
    said = capfdbinary.readouterr().out.decode()
    assert code == 0
    assert re.fullmatch(r"41 passed, 3 skipped in \d+\.\d\ds", said.splitlines()[-1])
    assert re.search(r"== 1 of 3, \d s, about 2 s left: two: the kernel's \(about 1 s\)", said)
    assert "37 passed, 0 failed, 2 skipped" in said.splitlines(), "what a step says is shown"


def test_a_failure_is_shown_again_and_what_needs_it_is_not_run(steps, monkeypatch, capfdbinary):
    code = carry_out(
        steps,
        monkeypatch,
        steps.Step("image", "builds", 1, "sh -c 'echo no compiler; exit 3'"),
        steps.Step("guest", "boots", 1, "echo must not run", needs="image"),
        steps.Step("after", "does not need it", 1, "echo '2 passed in 0.01s'"),
    )
    said = capfdbinary.readouterr().out.decode()
    assert code == 1
    assert re.fullmatch(r"2 failed, 2 passed in \d+\.\d\ds", said.splitlines()[-1])
    assert "== image ended like this:\n   no compiler\n" in said
    assert "not run          guest" in said and "must not run" not in said


def test_a_program_that_fails_is_a_failure_whatever_it_counted(steps, monkeypatch, capfdbinary):
    lying = steps.Step("lying", "says all is well", 1, "sh -c 'echo 5 passed in 1.0s; exit 1'")
    assert carry_out(steps, monkeypatch, lying) == 1
    last = capfdbinary.readouterr().out.decode().splitlines()[-1]
    assert last.startswith("1 failed, 5 passed in ")


def test_two_lanes_run_beside_each_other(steps, monkeypatch, tmp_path, capfdbinary):
    """Each waits for the other: one after the other they would never end."""
    for name in ("a", "b"):
        os.mkfifo(tmp_path / name)
    there, back = tmp_path / "a", tmp_path / "b"
    code = carry_out(
        steps,
        monkeypatch,
        steps.Step("one", "", 1, f"sh -c 'echo > {there}; cat {back}; echo met'", lane="guest"),
        steps.Step("two", "", 1, f"sh -c 'cat {there}; echo > {back}'"),
    )
    said = capfdbinary.readouterr().out.decode()
    assert code == 0
    assert re.search(r"== one: passed, \d s; it said:\n\nmet\n", said)


@pytest.mark.slow
def test_steps_of_a_lane_wait_for_each_other(steps, monkeypatch, tmp_path, capfdbinary):
    lock = tmp_path / "lock"
    alone = f"sh -c 'mkdir {lock} && sleep 0.5 && rmdir {lock}'"
    plan = [steps.Step(name, "", 1, alone, lane="guest") for name in ("a", "b", "c")]
    assert carry_out(steps, monkeypatch, *plan) == 0
    capfdbinary.readouterr()


def test_the_lane_with_most_before_it_begins_first(steps, monkeypatch, capfdbinary):
    monkeypatch.setattr(steps, "LANES", 1)
    plan = [
        steps.Step("short", "", 5, "true"),
        steps.Step("first", "", 3, "true", lane="guest"),
        steps.Step("second", "", 4, "true", lane="guest"),
    ]
    assert carry_out(steps, monkeypatch, *plan) == 0
    said = capfdbinary.readouterr().out.decode()
    assert re.findall(r"^== (\w+): passed", said, re.M) == ["first", "short", "second"]


def test_no_step_has_the_lock_of_another(steps, monkeypatch, capfdbinary):
    """A guest's experiments would write their names over those of this machine's."""
    monkeypatch.setenv("LABKIT_LOCK", "mine")
    plan = [
        steps.Step(name, "a step", 1, "sh -c 'echo lock $LABKIT_LOCK'", lane=name)
        for name in ("here", "guest")
    ]
    assert carry_out(steps, monkeypatch, *plan) == 0
    said = capfdbinary.readouterr().out.decode()
    assert len(set(re.findall(r"^lock (.*)$", said, re.M)) - {"mine"}) == 2


def test_no_more_lanes_than_there_may_be(steps, monkeypatch, tmp_path, capfdbinary):
    count = (
        f"sh -c 'mkdir {tmp_path}/$0; sleep 0.5; ls {tmp_path} | grep -c lane; rmdir {tmp_path}/$0'"
    )
    plan = [
        steps.Step(name, "", 1, f"{count} {name}", lane=name)
        for name in ("lane1", "lane2", "lane3", "lane4")
    ]
    assert carry_out(steps, monkeypatch, *plan) == 0
    capfdbinary.readouterr()
    seen = [int((steps.LOGS / f"{step.name}.log").read_text(encoding="utf-8")) for step in plan]
    assert max(seen) == 3


def test_the_kernel_s_build_is_estimated_where_it_is_still_to_be_done(steps, monkeypatch, tmp_path):
    monkeypatch.setenv("UMCG_CACHE", str(tmp_path))
    assert steps._with_build(steps.IMAGE).seconds == steps.BUILD
    said = subprocess.check_output(["make", "-s", "-C", steps.PROJECT / "kernel", "where"])
    image = Path(said.decode().partition("\n")[0].removeprefix("IMAGE="))
    assert tmp_path in image.parents
    image.parent.mkdir()
    image.touch()
    assert steps._with_build(steps.IMAGE) is steps.IMAGE
    assert steps._with_build(steps.FAST[0]) is steps.FAST[0]


def test_control_c_ends_what_runs_and_says_so(tmp_path):
    script = (
        "import runpy, sys, pathlib\n"
        f"m = runpy.run_path({str(FILE)!r})\n"
        f"m['main'].__globals__['LOGS'] = pathlib.Path({str(tmp_path)!r})\n"
        f"long = \"sh -c 'echo there > {tmp_path}/begun; exec sleep 600'\"\n"
        "m['PLANS']['this'] = (m['Step']('long', '', 1, long),)\n"
        "sys.exit(m['main'](['this']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        while not (tmp_path / "begun").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=500)
    assert process.returncode == 130
    assert re.search("FAILED|not run", said)
    assert said.splitlines()[-1].startswith("1 failed in ")


def test_a_step_that_minds_no_signal_is_ended_all_the_same(steps, monkeypatch, tmp_path):
    monkeypatch.setattr(steps, "GRACE", 1)
    steps.LOGS.mkdir()
    plan = steps.Steps(
        [steps.Step("long", "", 1, "sh -c 'trap : TERM; echo; while :; do sleep 1; done'")]
    )
    plan._begin()
    (run,) = plan.running
    while not run.said():
        time.sleep(0.05)
    plan.stop(0)
    assert plan.ended == [run] and run.code == -signal.SIGKILL


@pytest.mark.slow
def test_a_step_that_hangs_says_where_and_the_others_are_made(
    steps, monkeypatch, tmp_path, capfdbinary
):
    program = tmp_path / "hangs.py"
    program.write_text(
        "import faulthandler, signal, threading\n"
        "faulthandler.register(signal.SIGQUIT)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('2 passed in 0.01s', flush=True)\n"
        "def waits_for_ever():\n"
        "    while True:\n"
        "        threading.Event().wait(1)\n"
        "waits_for_ever()\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(steps, "SILENT", 3)
    monkeypatch.setattr(steps, "GRACE", 1)
    code = carry_out(
        steps,
        monkeypatch,
        steps.Step("hangs", "for ever", 1, f"{sys.executable} {program}"),
        steps.Step("after", "is made", 1, "true"),
    )
    said = capfdbinary.readouterr().out.decode()
    assert code == 1
    assert "== hangs has said nothing for 3 s and is ended" in said
    assert "in waits_for_ever" in said
    assert re.fullmatch(r"1 failed, 3 passed in \d+\.\d\ds", said.splitlines()[-1])


def test_unknown_plans(steps, capsys):
    assert steps.main(["tset"]) == 2
    assert "plans: fast, test, all" in capsys.readouterr().err


def test_steps_are_told_apart_and_need_steps_of_their_plan(steps):
    every = {step for plan in steps.PLANS.values() for step in plan}
    names = [step.name for step in every]
    assert len(set(names)) == len(names), "logs are called like their steps"
    for plan in steps.PLANS.values():
        assert {step.needs for step in plan} - {""} <= {step.name for step in plan}
