# SPDX-License-Identifier: MIT
"""deadline: frames that must be done in time, beside batch; the experiment, asked."""

from labkit.benchmark.contests import outcomes
from labkit.benchmark.suite import Bench, Contrast, Suite
from labkit.experiments.deadline import DeadlineSpec, frames

LOAD_PERCENT = 90.0
DURATION_MS = 320.0
#: With batch beside the frames, and without.
ASKED = {
    f"{batch} batch": {
        "policy": ["edf", "priority"],
        "beside": ["cfs", "pool", "sched-fifo"],
        "load_percent": LOAD_PERCENT,
        "batch": batch,
    }
    for batch in (0, 1)
}
WORDS = {
    "cfs": "plain threads",
    "pool": "a thread pool",
    "sched-fifo": "SCHED_FIFO, shorter periods first",
    "umcg-priority": "UMCG with priorities, shorter periods first",
}


def measure(bench: Bench) -> None:
    """Frames that were done in time, and that were not, as shares of all; CPUs kept busy."""
    duration = bench.count(round(DURATION_MS), 80)
    specs = {
        case: DeadlineSpec(duration_ms=float(duration), **fields)  # type: ignore[arg-type]
        for case, fields in ASKED.items()
    }
    for name, repetition, result in outcomes(bench, specs):
        asked = sum(count.asked for count in result.counts.values())
        met = next(value for what, value, _ in frames(result) if what == "met")
        bench.sample(f"{name}/met", repetition, met, "share", asked)
        bench.sample(f"{name}/missed", repetition, 1 - met, "share", asked)
        bench.sample(name, repetition, result.busy, "cpu", asked)
        # What the shares are shares of.
        bench.sample("all frames", repetition, 1.0, "share", asked)


def _of_all(series: str, what: str, limit: float) -> Contrast:
    return Contrast(series, "all frames", "share", what, "come", limit=limit)


SUITE = Suite(
    name="deadline",
    order=10,
    title="Frames with deadlines",
    question="How many frames of three streams are done in time at 90 % of a CPU, alone and beside "
    "a thread that computes all the time?",
    refuted_by="Over UMCG with the earliest deadline first less than 0.99 of the frames in time; "
    "plain threads beside batch that miss less than 0.05.",
    measure=measure,
    contrasts=[
        _of_all(f"umcg-edf/{case}/met", f"Frames done in time over UMCG with {case}", 0.99)
        for case in ASKED
    ]
    + [
        _of_all(f"cfs/{case}/missed", f"Frames that plain threads miss with {case}", 0.05)
        for case in ASKED
    ]
    + [
        _of_all(f"{other}/{case}/met", f"Frames done in time by {words} with {case}", 0.0)
        for case in ASKED
        for other, words in WORDS.items()
    ],
    spec={"asked": ASKED, "duration_ms": DURATION_MS},
    help="What fits into a CPU is done in time when the earliest deadline goes first (Liu and "
    "Layland, 1973); the kernel is told by SCHED_DEADLINE or, nearly as well here, by SCHED_FIFO, "
    "both of which take privileges. Plain threads share evenly with batch, and then it does not "
    "fit.",
)
