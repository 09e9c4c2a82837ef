# SPDX-License-Identifier: MIT
"""What a newcomer asks first: for which work is UMCG worth it, and by how much, in these runs?"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from labkit import analysis
from labkit.analysis.compare import head_and_rest
from labkit.analysis.requires import MissingSamples
from labkit.records import Record
from labkit.verdict import BETTER, WORSE


class Work(NamedTuple):
    """Something that people do, and the series that measure it.

    Attributes:
        experiment: which.
        rest: of the series' names, after the first `/`.
        unit: of its samples.
        words: the work; `{how}` is what the series does it with, `{passing}` says it of places that
            pass on.
        head: of the series' names; "": all over UMCG.
    """

    experiment: str
    rest: str
    unit: str
    words: str
    head: str = ""


_WORK = (
    Work("mixed", "urgent p99", "ns", "Urgent requests beside reports and batch, under the policy "
         "{how}: the 99th percentile of their latency"),
    Work("mixed", "report", "ns", "The reports beside them, under {how}: the median"),
    Work("mixed", "batch", "share", "What batch gets of the CPU time that they leave, under {how}"),
    Work("preempt", "urgent p99", "ns", "Short requests among runaways: their 99th percentile"),
    Work("wake", "1 places", "ns",
         "Waking a crowd over one server with {how}{passing}: the median until each runs"),
    Work("swap", "pinned", "ns/switch", "Handing a turn over on one CPU", "umcg-swap"),
    Work("swap", "unpinned", "ns/switch", "Handing a turn over, wherever threads are", "umcg-swap"),
    Work("block", "sleep", "op/s",
         "Operations a second that sleep and compute, as workers{passing}"),
    Work("block", "pipe", "op/s",
         "Operations a second that wait for a device, as workers{passing}"),
)  # fmt: skip

#: How series do their work, where their names do not say it to a newcomer.
_WAYS = {"futex": "a futex", "umcg": "umcg_wake()"}

#: Behind the head of series in which they do, as `labkit.experiments.policy.TOLD` has it.
_PASSING = "-pass-on"

_BASELINES = {"cfs": "plain threads", "pthread": "plain threads", "futex": "a futex"}
_HEADS = (
    (BETTER, "Worth it here"),
    ("", "No clear difference here"),
    (WORSE, "The price, here"),
)


def _lines(record: Record) -> Iterator[tuple[str, str]]:
    """Verdict and sentence of each work that the run has measured."""
    try:
        rows = analysis.df_ratio(record).to_dicts()
    except MissingSamples:
        return
    for work in _WORK:
        for row in rows if work.experiment == record.experiment else ():
            head, rest = head_and_rest(row["series"])
            if rest != work.rest or row["unit"] != work.unit:
                continue
            if not head.startswith(work.head or "umcg"):
                continue
            other = head_and_rest(row["baseline"])[0]
            against = _BASELINES.get(other, other)
            how = head.removeprefix("umcg-").removesuffix(_PASSING)
            passing = ", places passing on" if head.endswith(_PASSING) else ""
            words = work.words.format(how=_WAYS.get(how, how), passing=passing)
            sure = f", 95 % interval {row['ci_low']:.2f} to {row['ci_high']:.2f}"
            known = row["ci_low"] == row["ci_low"]  # not a nan
            yield (
                row["verdict"],
                f"{words}: {row['ratio']:.2f} times that of {against}{sure if known else ''}.",
            )


def section(records: Sequence[Record]) -> str:
    """The section's HTML; "" when no run has measured any of it."""
    lines = [line for record in records for line in _lines(record)]
    if not lines:
        return ""
    parts = [
        '<section id="worth"><h2>What it is for</h2><p>With UMCG a program says itself which of '
        "its threads runs next, without privileges. That pays where work of different urgency "
        "shares CPUs that are full; it costs something where threads do nothing but block and "
        "wake, less where places may pass on, and changes little where all work is alike. In "
        "these runs:</p>"
    ]
    for verdict, head in _HEADS:
        said = [text for found, text in lines if _group(found) == verdict]
        if said:
            items = "".join(f"<li>{html.escape(text)}</li>" for text in said)
            parts.append(f"<h3>{head}</h3><ul>{items}</ul>")
    return "".join(parts) + "</section>"


def _group(verdict: str) -> str:
    return verdict if verdict in (BETTER, WORSE) else ""
