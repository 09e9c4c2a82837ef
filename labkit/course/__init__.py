# SPDX-License-Identifier: MIT
"""What the notebooks share: the opening line, live or recorded results, sentences made of data.

    lab = course.begin("02-swap")                  # says where it runs
    guess = lab.predict(ratio="swap over futex")   # results are held until it is answered
    panel = lab.panel("swap", repetitions=5)       # or: run = lab.run("swap", repetitions=5)
    run = lab.result(panel)
    course.say(run, "umcg-swap/pinned", "futex/pinned", predicted=guess["ratio"])
    course.check(run)

On a kernel without UMCG every result comes from `notebooks/recorded`, and says so.
"""

from labkit.course.counting import instructions
from labkit.course.figures import close_up, ratios, storm, table, tail, values, verdicts
from labkit.course.lab import Lab, Missing, begin
from labkit.course.passed_over import Choices, Waiting, choices
from labkit.course.predictions import Held, Predictions
from labkit.course.sentences import Comparison, answer, check, claim, say, say_across
from labkit.course.series import Patch, patches
from labkit.course.traces import (
    meanwhile,
    pairs_in_order,
    running_at_once,
    transitions,
    with_kernel,
)

__all__ = [
    "Choices",
    "Comparison",
    "Held",
    "Lab",
    "Missing",
    "Patch",
    "Predictions",
    "Waiting",
    "answer",
    "begin",
    "check",
    "choices",
    "claim",
    "close_up",
    "instructions",
    "meanwhile",
    "pairs_in_order",
    "patches",
    "ratios",
    "running_at_once",
    "say",
    "say_across",
    "storm",
    "table",
    "tail",
    "transitions",
    "values",
    "verdicts",
    "with_kernel",
]
