# SPDX-License-Identifier: MIT
"""Traces that others made: every form of a real recording, and what is no trace."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import labkit
from labkit import analysis
from labkit.run import load
from labkit.trace import importer, text
from labkit.trace.errors import (
    ClockMismatch,
    ForeignFile,
    TraceError,
    TracingUnavailable,
    TruncatedFile,
)
from labkit.trace.states import with_states

TRACES = Path(__file__).resolve().parent / "traces"

#: Each real recording, what it is taken for, and how many lines or events are in it.
FORMS = {
    "trace-cmd-report.txt": ("trace-cmd report", 94),
    "trace-cmd-report-R.txt": ("trace-cmd report", 94),
    "trace-cmd-report-l.txt": ("trace-cmd report", 94),
    "ftrace.txt": ("ftrace", 60),
    "perf-script.txt": ("perf script", 60),
    "perf-script-g.txt": ("perf script", 5),
    "pages": ("ring-buffer pages", 159),
}

#: Lines as other machines printed them: names with blanks and slashes, three left margins.
LINES = """\
       trace-cmd-2932  [000]  3171.776783: sched_switch:         trace-cmd:2932 [120] S ==> swapper/0:0 [120]
          <idle>-0     [000]  3171.776795: sched_switch:         swapper/0:0 [120] R ==> trace-cmd:2932 [120]
     kworker/13:1-309   [013] 117106.895276: sched_waking:         comm=CPU 0/KVM pid=6912 prio=120 target_cpu=040
     kworker/13:1-309   [013] 117106.895279: sched_wakeup:         CPU 0/KVM:6912 [120] success=1 CPU:040
  bash-52501   110d... 81778.908247: sched_switch:         bash:52501 [120] S ==> swapper/110:0 [120]
       PacerThread 148586 [005] 122.830729: sched:sched_switch: prev_comm=PacerThread prev_pid=148586 prev_prio=120 prev_state=S ==> next_comm=swapper/5 next_pid=0 next_prio=120
"""  # noqa: E501


def kernel_rows(run):
    return run.events.filter(pl.col("kind").cast(pl.String).str.contains("^(sched|umcg)_"))


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_a_run_that_can_be_looked_at(name, tmp_path):
    run = labkit.import_trace(TRACES / name)
    form, events = FORMS[name]
    assert run.spec["form"] == form
    assert run.spec["notes"] == [] and run.counters["not understood"] == 0
    rows = kernel_rows(run)
    assert rows.height == events
    assert {"sched_switch"} <= set(rows["kind"])
    assert all(name and not name.startswith("<") for name in run.tasks["name"])
    # Saved and opened again, drawn, put into tables and a page.
    again = load(run.save(tmp_path / "run.parquet"))
    assert again.events.equals(run.events)
    occupancy = again.table()
    assert occupancy.height > 1
    shares = occupancy.select(pl.sum_horizontal("running", "idle", "listed", "blocked"))
    assert shares.to_series().is_between(0.999, 1.001).all()
    assert labkit.timeline(again).series == importer.ALL
    assert again.export(tmp_path / "run.pftrace").stat().st_size > 100
    if set(rows["kind"]) & {"sched_wakeup", "umcg_wake"}:
        assert analysis.df_wake(again)["n"].sum() > 0
    assert analysis.df_cpu_use(again)["source"].unique().to_list() == ["sched_switch"]
    assert "Timeline" in again.timeline().svg
    page = again.report(tmp_path / "run.html").read_text(encoding="utf-8")
    assert run.tasks["name"][0] in page and "recorded by another tool" in page
    assert f"import on {name} ({form}), " in repr(again)
    assert all(task in repr(again) for task in occupancy["name"])


def test_three_ways_to_print_one_recording_are_one_run():
    plain, raw, latency = (
        labkit.import_trace(TRACES / f"trace-cmd-report{form}.txt") for form in ("", "-R", "-l")
    )
    assert plain.events.equals(raw.events)
    assert plain.events.equals(latency.events)
    assert plain.tasks.equals(raw.tasks)


def test_the_states_of_an_ordinary_task():
    switch = (
        "{}-{} [000] d..2. {}: sched_switch: prev_comm={} prev_pid={} prev_prio=120 "
        "prev_state={} ==> next_comm={} next_pid={} next_prio=120"
    )
    lines = [
        "# tracer: nop",
        switch.format("<idle>", 0, "1.000000", "swapper/0", 0, "R", "a", 7),
        " a-7 [000] d..2. 1.000005: sched_waking: comm=b pid=8 prio=120 target_cpu=000",
        " a-7 [000] d..2. 1.000006: sched_wakeup: comm=b pid=8 prio=120 target_cpu=000",
        " a-7 [000] d..2. 1.000007: sched_wakeup: comm=a pid=7 prio=120 target_cpu=000",
        switch.format("a", 7, "1.000010", "a", 7, "R+", "b", 8),
        switch.format("b", 8, "1.000020", "b", 8, "D", "a", 7),
        switch.format("a", 7, "1.000030", "a", 7, "X", "swapper/0", 0),
        " c-9 [000] d..2. 1.000040: sched_wakeup_new: comm=d pid=10 prio=120 target_cpu=001",
    ]
    trace = text.parse("\n".join(lines))
    assert trace.bad == 0
    table = with_states(trace.events)
    states = table.filter(~pl.col("kind").cast(pl.String).str.starts_with("sched"))
    of = {
        tid: states.filter(pl.col("tid") == tid)
        .select((pl.col("t") - 10**9) // 1000, "kind", "old", "new", "peer")
        .rows()
        for tid in (7, 8, 10)
    }
    assert of[7] == [
        (0, "run", "idle", "running", 0),  # and waking who runs changes nothing
        (10, "preempt", "running", "idle", 0),
        (20, "run", "idle", "running", 0),
        (30, "unregister", "running", "none", 0),
    ]
    assert of[8] == [
        (6, "wake", "blocked", "idle", 7),
        (10, "run", "idle", "running", 0),
        (20, "block", "running", "blocked", 0),
    ]
    assert of[10] == [(40, "wake", "blocked", "idle", 9)]


def test_the_states_of_a_umcg_program_are_those_of_its_word():
    run = labkit.import_trace(TRACES / "trace-cmd-report.txt")
    roles = dict(run.tasks.select("tid", "role").iter_rows())
    assert (roles[97], roles[99]) == ("worker", "server")
    history = run.events.filter(
        (pl.col("tid") == 97) & (pl.col("kind").is_in(["run", "umcg_block", "umcg_wake"]))
    )
    assert history["kind"].to_list()[:3] == ["umcg_wake", "run", "umcg_block"]
    assert analysis.df_wake(run).height == 1


def test_the_pages_have_nanoseconds_and_names_of_tasks():
    run = labkit.import_trace(TRACES / "pages")
    assert run.environment["clock"] == "mono"
    assert (run.events["t"] % 1000 != 0).any()
    assert {"sh:69", "rcu_preempt"} <= set(run.tasks["name"])


def test_lines_of_other_machines_are_understood(tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text(LINES, encoding="utf-8")
    trace = text.parse(LINES)
    assert (trace.events.height, trace.bad, trace.unknown) == (6, 0, {})
    run = labkit.import_trace(file)
    assert set(run.tasks["name"]) == {"trace-cmd", "CPU 0/KVM", "bash", "PacerThread"}
    woken = run.events.filter(pl.col("kind") == "sched_wakeup").row(0, named=True)
    assert (woken["tid"], woken["cpu"], woken["peer"]) == (6912, 40, 309)
    left = run.events.filter((pl.col("kind") == "sched_switch") & (pl.col("cpu") == 110))
    assert left.select("peer", "tid", "arg").row(0) == (52501, 0, 1)
    # They are of several machines: nothing makes one history of them.
    assert run.tasks["series"].n_unique() == 3
    assert "3 recordings" in run.spec["notes"][0]


def test_process_and_thread_beside_each_other_as_perf_can_print_them():
    line = "  my sh  12/13 [003]  5.000001:          1 sched:sched_wakeup: comm=a b pid=14 prio=120"
    trace = text.parse(line + " target_cpu=001")
    (row,) = trace.events.iter_rows(named=True)
    assert (row["tid"], row["peer"], row["cpu"]) == (14, 13, 1)
    assert trace.names == {13: "my sh", 14: "a b"}


def test_pages_by_any_name_that_says_whose_they_are(tmp_path):
    folder, other = pages(tmp_path), tmp_path / "other"
    other.mkdir()
    for cpu in (0, 1):
        raw = folder / "per_cpu" / f"cpu{cpu}" / "trace_pipe_raw"
        shutil.copy(raw, other / f"trace.dat.cpu{cpu}")
    for number, file in enumerate(sorted(folder.rglob("format"))):
        shutil.copy(file, other / f"{number}.format")
    assert kernel_rows(labkit.import_trace(other)).height == 159


def test_systrace_as_text_and_as_a_page(tmp_path):
    body = (TRACES / "ftrace.txt").read_text(encoding="utf-8")
    written = tmp_path / "systrace.txt"
    written.write_text("TRACE:\n" + body, encoding="utf-8")
    page = tmp_path / "no-name-that-says-so"
    page.write_text(
        "<!DOCTYPE html>\n<html><head><script>var x = '</p>';</script></head><body>\n"
        '<script class="trace-data" type="application/text">\nUSER PID PPID\nroot 1 0\n</script>\n'
        f'<script class="trace-data" type="application/text">\n{body}</script>\n</body></html>\n',
        encoding="utf-8",
    )
    old = tmp_path / "old.html"
    escaped = body.replace("\n", "\\n\\\n")
    old.write_text(
        f'<html><script>var linuxPerfData = "\\\n{escaped}";</script></html>', encoding="utf-8"
    )
    runs = [labkit.import_trace(file) for file in (TRACES / "ftrace.txt", written, page, old)]
    assert [run.spec["form"] for run in runs] == ["ftrace", "systrace", *["systrace HTML"] * 2]
    assert all(run.events.equals(runs[0].events) for run in runs)
    assert [run.counters["not understood"] for run in runs] == [0] * 4


def test_what_is_not_understood_is_counted_and_shown(tmp_path):
    file = tmp_path / "trace.txt"
    lines = (TRACES / "trace-cmd-report.txt").read_text(encoding="utf-8").splitlines()
    lines[10:10] = ["something else entirely", " x-1 [000] 81.480000: sched_switch: other=fields"]
    lines += [
        " x-1 [001] 82.0: irq_handler_entry: irq=1 name=i8042",
        "CPU:1 [LOST 12 EVENTS]",
        "CPU:0 [3 EVENTS DROPPED]",
        lines[-1][: len(lines[-1]) // 2],  # cut short
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    run = labkit.import_trace(file)
    assert run.counters["not understood"] == 3
    assert run.counters["lost"] == 15
    assert run.counters["no row: irq_handler_entry"] == 1
    said = " ".join(run.spec["notes"])
    assert "not understood: 3; the first is line 11: something else entirely" in said
    assert "irq_handler_entry (1)" in said and "15 events had been lost" in said


def test_nothing_is_known_where_events_were_lost(tmp_path):
    switch = " {} [{:03}] {:.6f}: sched_switch: {} ==> {} [120]"
    lines = [
        switch.format("<idle>-0", 0, 1.0, "swapper/0:0 [120] R", "a:7"),
        switch.format("<idle>-0", 1, 1.1, "swapper/1:0 [120] R", "b:8"),
        "CPU:0 [LOST 5 EVENTS]",
        switch.format("b-8", 1, 1.5, "b:8 [120] S", "swapper/1:0"),
        switch.format("a-7", 0, 2.0, "a:7 [120] S", "swapper/0:0"),
        switch.format("<idle>-0", 0, 3.0, "swapper/0:0 [120] R", "a:7"),
    ]
    run = labkit.import_trace(write(tmp_path, "lost", "\n".join(lines)))
    assert run.counters["lost"] == 5
    occupancy = run.table()
    # Of a nothing is known but that it was BLOCKED from 2.0 to 3.0 s; of b nothing at all.
    (row,) = occupancy.iter_rows(named=True)
    assert (row["name"], row["complete"]) == ("a", False)
    assert (row["blocked"], row["observed_ns"]) == (1, 10**9)


def write(folder, name, data):
    file = folder / name
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return file


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", TruncatedFile, "is empty"),
        (b" \n\n", TruncatedFile, "is empty"),
        ("what is this\nand this\n", ForeignFile, r"line 1: what is this.*trace-cmd report"),
        (bytes(range(256)) * 9, ForeignFile, "binary file of no kind that can be imported"),
        (b"PERFILE2" + bytes(100), ForeignFile, "perf script -i"),
        (b"PAR1....PAR1", ForeignFile, "labkit.load"),
        (b"\x1f\x8b" + bytes(9), ForeignFile, "compressed"),
        ("<html><body>Hello</body></html>", ForeignFile, "without a trace"),
        (" a-1 [000] 1.0: irq_entry: irq=3\n", ForeignFile, "irq_entry; record sched_switch"),
        ("cpus=8\n", ForeignFile, "no event"),
    ],
)
def test_what_is_no_trace_is_refused_in_one_sentence(tmp_path, data, error, says):
    file = write(tmp_path, "file", data)
    with pytest.raises(error, match=says) as raised:
        labkit.import_trace(file)
    assert str(file) in str(raised.value) and "\n" not in str(raised.value)


def test_clocks_that_are_mixed_are_refused(tmp_path):
    body = (TRACES / "ftrace.txt").read_text(encoding="utf-8")
    later = body.replace("  179.", "98179.")
    assert later != body
    lines, other = body.splitlines(), later.splitlines()
    woven = [line for pair in zip(lines[12:], other[12:], strict=True) for line in pair]
    for name, data in (
        ("woven", "\n".join(woven)),
        ("back", later + body.partition("\n")[2]),
        ("forth", body + later),
    ):
        with pytest.raises(ClockMismatch, match=r"at line \d+ .*split the file") as raised:
            labkit.import_trace(write(tmp_path, name, data))
        assert "\n" not in str(raised.value)


def pages(tmp_path):
    return Path(shutil.copytree(TRACES / "pages", tmp_path / "pages"))


def test_pages_on_two_clocks_are_refused(tmp_path):
    folder = pages(tmp_path)
    file = folder / "per_cpu" / "cpu1" / "trace_pipe_raw"
    data = bytearray(file.read_bytes())
    data[:8] = (10**15).to_bytes(8, "little")
    file.write_bytes(data)
    with pytest.raises(ClockMismatch, match="trace_clock mono"):
        labkit.import_trace(folder)


def test_a_page_that_was_cut_short_is_left_out_and_said(tmp_path):
    folder = pages(tmp_path)
    file = folder / "per_cpu" / "cpu1" / "trace_pipe_raw"
    file.write_bytes(file.read_bytes() + b"\0" * 100)
    run = labkit.import_trace(folder)
    assert run.spec["notes"] == [
        "per_cpu/cpu1/trace_pipe_raw ends inside a page: its last 100 bytes were left out"
    ]


def test_pages_say_how_many_events_are_missing(tmp_path):
    folder = pages(tmp_path)
    file = folder / "per_cpu" / "cpu0" / "trace_pipe_raw"
    data = bytearray(file.read_bytes())
    length = int.from_bytes(data[8:16], "little")
    data[8:16] = (length | 1 << 31).to_bytes(8, "little")
    file.write_bytes(data)
    assert labkit.import_trace(folder).counters["lost"] == 1


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: shutil.rmtree(f / "events"), "without format files"),
        (lambda f: shutil.rmtree(f / "per_cpu"), "without per-CPU pages"),
        (
            lambda f: (f / "per_cpu/cpu0/trace_pipe_raw").write_bytes(b"\xff" * 8192),
            "no ring buffer",
        ),
        (
            lambda f: (f / "events/sched/sched_switch/format").write_text(
                "hello", encoding="utf-8"
            ),
            "format file cannot be read",
        ),
    ],
)
def test_folders_that_are_no_trace_say_what_they_lack(tmp_path, spoil, says):
    folder = pages(tmp_path)
    spoil(folder)
    with pytest.raises(TraceError, match=says):
        labkit.import_trace(folder)


def test_trace_dat_needs_trace_cmd(tmp_path, monkeypatch):
    file = write(tmp_path, "trace.dat", b"\x17\x08\x44tracing" + b"6\0")
    if shutil.which("trace-cmd"):
        with pytest.raises(TruncatedFile, match="trace-cmd cannot read it"):
            labkit.import_trace(file)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(TracingUnavailable, match="Debian package trace-cmd"):
        labkit.import_trace(file)


def test_many_tasks_are_two_series(tmp_path):
    line = " x-{0} [000] {1:.6f}: sched_switch: x:{0} [120] S ==> swapper/0:0 [120]\n"
    back = " <idle>-0 [000] {1:.6f}: sched_switch: swapper/0:0 [120] R ==> x:{0} [120]\n"
    lines, t = [], 1.0
    for turn in range(3):
        for task in range(1, 101):
            if turn == 0 or task <= 20:
                lines += [back.format(task, t), line.format(task, t + 1e-5)]
                t += 2e-5
    run = labkit.import_trace(write(tmp_path, "many", "".join(lines)))
    counts = dict(run.tasks.group_by("series").len().iter_rows())
    assert sum(counts.values()) == 100
    busiest = run.tasks.filter(pl.col("series") == importer.BUSIEST)["tid"].to_list()
    assert set(range(1, 21)) <= set(busiest)
    assert "x:7" in run.tasks["name"].to_list(), "two of one name are told apart"


def spoilt(data, rng):
    """The bytes with some changed, taken out or put in."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 2, 5, 30))):
        at, how = rng.randrange(len(made) + 1), rng.randrange(4)
        if how == 0:
            made[at : at + 1] = bytes([rng.randrange(256)])
        elif how == 1:
            del made[at : at + rng.randrange(1, 40)]
        elif how == 2:
            made[at:at] = bytes(rng.choices(b"0123456789[]:-= .", k=rng.randrange(1, 12)))
        else:
            made[at:at] = b"9" * rng.randrange(5, 25)
    return bytes(made)


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 4))]
)
def test_a_damaged_trace_is_a_run_or_one_clear_error(tmp_path, seed):
    rng = random.Random(seed)
    texts, folder = sorted(TRACES.glob("*.txt")), pages(tmp_path)
    parts = sorted(file for file in folder.rglob("*") if file.is_file())
    whole = {file: file.read_bytes() for file in parts}
    outcomes = []
    for turn in range(60):
        if turn % 3:
            source = write(tmp_path, "text", spoilt(rng.choice(texts).read_bytes(), rng))
        else:
            source = folder
            for file, data in whole.items():
                file.write_bytes(data)
            for file in rng.sample(parts, 2):
                file.write_bytes(spoilt(whole[file], rng))
        try:
            run = labkit.import_trace(source)
        except TraceError as error:
            assert "\n" not in str(error)
            outcomes.append(type(error))
        else:
            assert run.table().height <= run.tasks.height
            outcomes.append(run.counters["not understood"] > 0)
    assert {True, False} <= set(outcomes), "both happen, or nothing was tried"


def labkit_command(*argv, cwd):
    command = [sys.executable, "-m", "labkit.cli", *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.mark.slow
def test_the_command(tmp_path):
    done = labkit_command("trace", "import", TRACES / "perf-script.txt", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "wrote perf-script.parquet: 60 events of " in done.stderr
    assert load(tmp_path / "perf-script.parquet").imported
    done = labkit_command(
        *("trace", "import", TRACES / "pages", "-o", "made.parquet", "--json"), cwd=tmp_path
    )
    said = json.loads(done.stdout)
    assert (said["file"], said["form"], said["notes"]) == ("made.parquet", "ring-buffer pages", [])
    assert labkit_command("report", "made.parquet", "-o", "r.html", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_the_command_keeps_its_input_and_says_what_is_wrong(tmp_path):
    file = write(tmp_path, "trace.txt", "no trace\n")
    for argv, says in (
        ((file, "-o", file), "trace.txt"),
        ((file,), "no event that could be shown"),
        (("absent.txt",), "no such file"),
    ):
        done = labkit_command("trace", "import", *argv, cwd=tmp_path)
        assert done.returncode == 4 and says in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
    assert file.read_text(encoding="utf-8") == "no trace\n"
    assert not list(tmp_path.glob("*.parquet"))


def test_the_work_is_done_by_columns_not_by_lines():
    """Twenty times the lines take no twenty times the calls of Python functions."""

    def calls(times):
        body = "\n".join(
            (TRACES / "trace-cmd-report.txt").read_text(encoding="utf-8").splitlines()[1:] * times
        )
        count = 0

        def seen(frame, event, arg):
            nonlocal count
            count += event == "call"

        sys.setprofile(seen)
        try:
            text.parse("\n".join(sorted(body.splitlines(), key=lambda line: line[25:45])))
        finally:
            sys.setprofile(None)
        return count

    assert calls(20) < 2 * calls(1) + 20 * 94
