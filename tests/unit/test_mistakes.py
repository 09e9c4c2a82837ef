# SPDX-License-Identifier: MIT
"""The mistakes that the notebooks' notes for the teacher speak of do not pass their exercises."""

from __future__ import annotations

import pytest

from labkit.grading import grade, master, supervise
from labkit.grading.grade import FAILED

pytestmark = pytest.mark.long

#: Notebook, the mistake, what is otherwise in a solution, and the tests that find it.
MISTAKES = [
    (
        "00-quickstart",
        "the ratio of the medians",
        "statistics.median(value / base for value, base in pairs)",
        "statistics.median(values) / statistics.median(baseline)",
        "exercise-check",
    ),
    (
        "01-price-of-a-hand-off",
        "a thread is left behind",
        "        thread.join()",
        "        pass\n    while len(order) < 2 * rounds:\n        pass\n"
        "    threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "exercise-check",
    ),
    (
        "02-swap",
        "if for while around the condition's wait",
        "if not self.changed.wait_for(lambda: self.kept, timeout):",
        "if not self.kept and not self.changed.wait(timeout):",
        "exercise-check",
    ),
    (
        "03-servers-and-workers",
        "the smallest number, not the first that came",
        "0 if 0 in ready else ready[0]",
        "min(ready)",
        "exercise-check",
    ),
    (
        "04-blocking",
        "the third bound is forgotten",
        "    if locked:",
        "    if False:",
        "exercise-check",
    ),
    (
        "04-blocking",
        "more CPUs make one worker faster",
        "[workers / (busy_us + idle_us)",
        "[workers * cpus / (busy_us + idle_us)",
        "exercise-check",
    ),
    (
        "05-waking",
        "one at a time, with an exchange for each",
        "taken, order = head.exchange(None), []",
        "taken, order = head.exchange(None), []\n    head.exchange(None)",
        "exercise-check",
    ),
    (
        "05-waking",
        "read and then written",
        "taken, order = head.exchange(None), []",
        "taken, order = head.value, []\n    head.value = None\n    head.exchanges += 1",
        "exercise-check",
    ),
    (
        "06-preemption",
        "everybody whose slice is over, also when nobody waits",
        "[:needed]",
        "",
        "exercise-check",
    ),
    (
        "07-races",
        "no last look",
        "if not (yield read",
        "if True or not (yield read",
        "exercise-check",
    ),
    (
        "07-races",
        "the slot is not left",
        '    yield write("slot", None)\n',
        "",
        "exercise-check",
    ),
    (
        "08-your-own-scheduler",
        "the last of equals",
        "max(self.queue, key",
        "max(reversed(self.queue), key",
        "check-python-order",
    ),
    (
        "08-your-own-scheduler",
        "a deadline of 0 is the earliest",
        "if (one && (!other || one < other))",
        "if (one < other)",
        "check-c",
    ),
    (
        "08-your-own-scheduler",
        "the one that was chosen stays on the list",
        "umcg_list_remove(&mine->queue, best);",
        ";",
        "check-c",
    ),
    (
        "08-your-own-scheduler",
        "every thread that waits is looked at",
        "heapq.heappop(self.heap)[-1]",
        "self.heap.pop(self.heap.index(min(self.heap, key=lambda entry: entry[:2])))[-1]",
        "check-many",
    ),
    (
        "10-deadlines",
        "sound waits for a frame of the map",
        "    def before(self, a, b):",
        "    def not_before(self, a, b):",
        "check-sound",
    ),
    (
        "10-deadlines",
        "sound goes first only when its deadline is the earliest",
        '(thread.klass != "sound", thread.deadline_ns)',
        "thread.deadline_ns",
        "check-sound",
    ),
    (
        "10-deadlines",
        "dropped before the deadline is over",
        "best.deadline_ns < self.sched.now_ns",
        "best.deadline_ns < self.sched.now_ns + 3_000_000",
        "check-dropped",
    ),
    (
        "11-a-server",
        "the long ones first",
        "thread.service_ns < TURN",
        "thread.service_ns > TURN",
        "check-turns",
    ),
    (
        "11-a-server",
        "turns without an end",
        "    def slice(self, thread):",
        "    def no_slice(self, thread):",
        "check-short",
    ),
    (
        "12-inside-the-kernel",
        "files that an earlier patch of the series has made",
        "if file.path not in made",
        "if not file.is_added_file",
        "exercise-check",
    ),
]


@pytest.mark.parametrize(
    ("name", "solution", "mistake", "test"),
    [(name, *rest) for name, _, *rest in MISTAKES],
    ids=[f"{name[:2]}: {what}" for name, what, *_ in MISTAKES],
)
def test_a_mistake_is_found(name: str, solution: str, mistake: str, test: str) -> None:
    made = master.read(name)
    exercise = next(e for e in made.exercises if test in [t.name for t in e.tests])
    (wrong,) = (n for n, code in exercise.solutions.items() if solution in code)
    code = exercise.solutions[wrong].replace(solution, mistake)
    ran = supervise.run(grade._cells(made, exercise, {**exercise.solutions, wrong: code}), 1800)
    verdicts = {one.test: (one.verdict, one.reason) for one in grade._results(exercise, ran)}
    assert verdicts[test][0] == FAILED, verdicts
    assert "NameError" not in verdicts[test][1] and "SyntaxError" not in verdicts[test][1]
