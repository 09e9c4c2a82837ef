# SPDX-License-Identifier: MIT
"""The command line: JSON is JSON, errors are one line with their exit code."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import labkit
from labkit.cli import measure
from labkit.cli.commands import COMMANDS, app
from labkit.experiments import BlockSpec, SwapSpec
from labkit.experiments.alone import lock_file
from labkit.native import engine
from labkit.vm import VmOptions

LABKIT = [sys.executable, "-m", "labkit.cli"]
SMALL = ["run", "swap", "--methods", "futex", "--value-ms", "1", "--repetitions", "3"]


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_json_is_all_there_is_on_stdout(tmp_path):
    file = tmp_path / "run.parquet"
    done = call(*SMALL, "--json", "-o", file)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["spec"]["experiment"] == "swap"
    assert {row["series"] for row in document["samples"]} == {"futex/pinned", "futex/unpinned"}
    assert document["file"] == str(file) and file.exists()


def test_tables_say_where_they_were_made_and_what_tracing_costs():
    done = call(*SMALL)
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert f"swap: kernel {os.uname().release}," in words
    assert re.search(r"Tracing made the work take up to \d+\.\d\d times as long", words)


def test_one_value_has_no_spread_and_no_interval():
    done = call(*SMALL[:2], "--methods", "futex,pipe", "--value-ms", "1", "--repetitions", "1")
    assert "too few values" in done.stdout
    assert "0%" not in done.stdout and "nan" not in done.stdout


def test_without_a_terminal_it_is_quiet(tmp_path):
    file = tmp_path / "run.parquet"
    words = [*LABKIT, *SMALL, "-o", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert said == [f"saved {file}"]
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_on_a_terminal_it_shows_progress_and_stdout_stays_json():
    ours, theirs = pty.openpty()
    words = [*LABKIT, *SMALL, "--value-ms", "100", "--json"]
    environment = os.environ | {"TERM": "xterm"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 4096):
            seen += data
    except OSError:  # EIO: the last one to hold the terminal closed it
        pass
    os.close(ours)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0
    assert json.loads(out)["counters"]
    assert b"swap" in seen and re.search(rb"[0-8] of 8, \d+ s", seen)


def test_a_demo_gives_ratios_with_their_environment_and_a_page(tmp_path, monkeypatch):
    specs = (
        SwapSpec(methods=("futex", "pipe"), value_ms=1, repetitions=3),
        BlockSpec(works=("sleep",), workers=2, duration_s=0.05, repetitions=3),
    )
    monkeypatch.setattr(measure, "DEMO", specs)
    # In place of a guest: here.
    monkeypatch.setattr("labkit.vm.execute", lambda argv, **_: measure.measure(Path(argv[-1])) or 0)
    page = tmp_path / "out" / "demo.html"
    done = call("demo", "-o", page, "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["environment"]["kernel"] == os.uname().release
    assert {"swap", "block"} == set(document["ratios"]) == set(document["probe_cost"])
    assert document["ratios"]["swap"][0]["baseline"].startswith("futex/")
    assert "pthread/sleep" in page.read_text(encoding="utf-8")


def test_a_guest_is_started_without_tables():
    """What `labkit vm exec -- labkit ...` imports it imports twice, once in a slow guest."""
    code = (
        "import sys; from labkit.cli import commands, vm; commands.app(['vm', '--help'],"
        " standalone_mode=False); print([name for name in ('polars', 'plotly', 'labkit.records',"
        " 'labkit.experiments') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version():
    assert call("--version").stdout == f"labkit {labkit.__version__}\n"


def test_report_and_export(tmp_path):
    file = tmp_path / "run.parquet"
    assert call(*SMALL, "-o", file).exit_code == 0
    page, trace = tmp_path / "page.html", tmp_path / "run.pftrace"
    assert call("report", file, "-o", page, "--json").exit_code == 0
    assert "futex/pinned" in page.read_text(encoding="utf-8")
    assert call("trace", "export", file, "-o", trace).exit_code == 0
    assert trace.stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["run", "nothing"], 2, "no experiment 'nothing'; choose from swap, wake"),
        (["run", "swap", "--methods", "teleport"], 2, "unknown 'teleport'"),
        (["run", "block", "--servers", "0"], 2, "servers is 0"),
        (["run", "block", "--servers", "64"], 2, "CPUs"),
        (["run", "wake", "--servers", "one"], 2, "whole numbers"),
        (["run", "swap", "-o", "/no/such/folder/x.parquet"], 4, "no such folder"),
        (["report", "/no/such/file.parquet", "-o", "x.html"], 4, "no such file"),
        (["report", "/etc/passwd", "-o", "x.html"], 4, "not a Parquet file"),
        (["trace", "export", "/etc", "-o", "x"], 4, "folder"),
        (["run", "swap", "-o", "/etc"], 4, "is a folder"),
        (["run", "swap", "-o", "/dev/null"], 4, "no regular file"),
        (["demo", "-o", "/etc"], 4, "is a folder"),
        (["demo", "-o", "/etc/passwd/page.html"], 4, "/etc/passwd"),
        (["vm", "exec", "--cpus", "0", "--", "true"], 2, "cpus is 0"),
        (["vm", "exec", "--image", "/no/such", "--", "true"], 125, "no such kernel image"),
    ],
)
def test_errors_are_one_line_and_a_code(words, code, says):
    done = call(*words)
    assert done.exit_code == code, done.output
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.skipif(engine.enabled(), reason="needs a kernel without UMCG")
def test_umcg_alone_on_a_kernel_without():
    done = call("run", "swap", "--methods", "umcg-swap")
    assert done.exit_code == 3
    assert "labkit vm exec" in done.stderr


def test_a_truncated_file(tmp_path):
    file = tmp_path / "run.parquet"
    assert call(*SMALL, "-o", file).exit_code == 0
    file.write_bytes(file.read_bytes()[:-100])
    done = call("report", file, "-o", tmp_path / "page.html")
    assert done.exit_code == 4
    assert "cut short" in done.stderr


def test_a_write_that_fails_leaves_the_earlier_run(tmp_path):
    file = tmp_path / "run.parquet"
    assert call(*SMALL, "-o", file).exit_code == 0
    before = file.read_bytes()
    words = [*LABKIT, *SMALL, "-o", str(file)]
    limited = ["sh", "-c", 'ulimit -f 1; exec "$@"', "sh", *words]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert done.stderr.startswith("labkit: cannot write")
    assert file.read_bytes() == before


def test_no_room_for_the_pages_that_fault():
    words = ["run", "block", "--works", "fault", "--duration-s", "0.01", "--repetitions", "1"]
    limited = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh", *LABKIT, *words]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert re.fullmatch(r"labkit: cannot write .* pages .*set TMPDIR\n", done.stderr)


@pytest.mark.parametrize("words", [[*SMALL, "--json"], SMALL, ["vm", "status"]])
def test_a_full_disk_behind_stdout(words):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [*LABKIT, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert done.stderr == "labkit: No space left on device\n"


def until_it_measures(process):
    """It holds the lock of experiments then, and its name stands there."""
    lock = lock_file()
    while not lock.exists() or f"(process {process.pid})" not in lock.read_text(encoding="utf-8"):
        time.sleep(0.05)
        assert process.poll() is None


def test_a_killed_run_leaves_the_earlier_one(tmp_path):
    file = tmp_path / "run.parquet"
    assert call(*SMALL, "-o", file).exit_code == 0
    before = file.read_bytes()
    words = ["run", "block", "--duration-s", "60", "-o", str(file)]
    process = subprocess.Popen([*LABKIT, *words])
    until_it_measures(process)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.parquet"]


def interrupted(words, ready):
    """A command that gets a Ctrl-C when `ready` says so; its stdout and stderr."""
    # As from a terminal: what a script starts in the background ignores interrupts.
    words = ["env", "--default-signal=INT", *LABKIT, *words]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ready(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 130, err
    return out, err


def test_a_run_interrupted_before_its_first_value_writes_nothing(tmp_path):
    words = ["run", "block", "--duration-s", "60", "-o", str(tmp_path / "run.parquet")]
    _, err = interrupted(words, until_it_measures)
    assert "interrupted before there was anything to keep" in err
    assert not list(tmp_path.iterdir())


def interrupted_after_some_values(words):
    """A busy machine may need longer for the first; there are far too many to end by itself."""
    for seconds in (3, 30, 100):

        def some_values(process, seconds=seconds):
            until_it_measures(process)
            time.sleep(seconds)

        out, err = interrupted(words, some_values)
        if "before there was anything to keep" not in err:
            break
    return out, err


@pytest.mark.slow
@pytest.mark.parametrize("before", [False, True])
def test_an_interrupted_run_keeps_what_was_measured(tmp_path, before):
    file = tmp_path / "run.parquet"
    many = [*SMALL[:4], "--value-ms", "100", "--repetitions", "1000", "-o", str(file)]
    if before:
        assert call(*SMALL, "-o", file).exit_code == 0
    whole = file.read_bytes() if before else b""
    out, err = interrupted_after_some_values(many)
    kept = tmp_path / "run-interrupted.parquet" if before else file
    assert "what was measured before" in err and f"saved {kept}" in err
    assert "futex/pinned" in out
    run = labkit.load(kept)
    assert run.counters["stopped"] == 1 and 0 < run.samples.height < 2000
    if before:
        assert file.read_bytes() == whole


def test_an_interrupted_run_in_a_notebook_is_kept():
    ended = []

    def progress(update):
        ended.append(update.done)
        if update.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"labkit\.kept\(\)") as caught:
        labkit.swap(methods=("futex",), value_ms=1, progress=progress)
    assert caught.value.run is labkit.kept()
    assert labkit.kept().samples.height == 3
    assert labkit.kept().counters["stopped"] == 1


def test_doctor_says_what_to_do():
    done = call("doctor", "--json")
    document = json.loads(done.stdout)
    for check in document["checks"]:
        assert check["verdict"] in ("ok", "note", "lack")
        assert (check["verdict"] == "ok") == (not check["remedy"])
    assert done.exit_code == (0 if document["can_run_umcg"] else 3)


def test_status():
    document = json.loads(call("vm", "status", "--json").stdout)
    assert {"image", "missing", "accelerator", "running"} == set(document)


@pytest.mark.parametrize("command", ["exec", "shell"])
def test_the_options_of_a_guest_say_what_they_are_and_what_holds_without_them(command):
    done = CliRunner().invoke(app, ["vm", command, "--help"], terminal_width=200)
    assert done.exit_code == 0
    text = done.output
    defaults = VmOptions()
    for option, says, default in (
        ("--cpus", "Virtual CPUs.", defaults.cpus),
        ("--memory", "MIB", defaults.memory_mib),
        ("--accelerator", "kvm|tcg", None),
        ("--image", "$LABKIT_KERNEL", None),
        *(
            (
                ("--append", "kernel's command line", None),
                ("--frozen", "read once", None),
                (
                    "--boot-timeout",
                    "SECONDS  Time that the guest may take to boot",
                    defaults.boot_timeout_s,
                ),
                (
                    "--hang-timeout",
                    "SECONDS  Time without a sign of life until the guest counts as hung",
                    defaults.hang_timeout_s,
                ),
            )
            if command == "exec"
            else ()
        ),
    ):
        (line,) = (line for line in text.splitlines() if line.strip().startswith(option + " "))
        assert says in line, line
        assert default is None or f"[default: {default}]" in line, line


def _pages_of_help() -> Iterator[str]:
    """The help of every command."""
    words = [[name] for name in COMMANDS]
    while words:
        line = words.pop()
        page = CliRunner().invoke(app, [*line, "--help"]).output
        yield page
        below = re.search(r"^Commands:\n((?:  .*\n?)+)", page, re.M)
        names = re.findall(r"^  (\S+)", below[1], re.M) if below else []
        words += [[*line, name] for name in names]


def test_help_is_as_most_tools_have_it():
    pages = list(_pages_of_help())
    assert len(pages) > 25
    for page in pages:
        assert not re.search(r"<(str|int|float|path|list)\b", page), page
        assert "{" not in page.splitlines()[0], page
        assert not re.search(r"^  \S+  .*\.\.\.$", page, re.M), f"cut off: {page}"
    assert any(page.startswith("Usage: labkit sweep [OPTIONS] WORKLOAD...") for page in pages)
    assert any("--costs none|counted" in page for page in pages)
