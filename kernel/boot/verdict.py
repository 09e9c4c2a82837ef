# SPDX-License-Identifier: MIT
"""What a kernel log must not contain."""

from __future__ import annotations

import re
from itertools import takewhile

_BAD = re.compile(
    r"\bBUG\b|WARNING:|\bOops\b|\[#\d+\]|Call Trace:|Kernel panic|unable to handle"
    r"|KASAN:|KCSAN:|UBSAN:|ODEBUG:|DEBUG_LOCKS_WARN_ON|INFO: (possible|suspicious|trying to)"
    r"|lockdep.*(turned off|splat)|scheduling while atomic|list_(add|del) corruption"
    r"|rcu.*stall|hung_task|blocked for more than|soft lockup|hard LOCKUP|Workqueue lockup"
    r"|general protection fault|kernel stack (overflow|is corrupted)"
    r"|psi: (inconsistent task state|task underflow)"
)
_KILLING = re.compile(r"umcg: .*killing")
_RULE = re.compile(r"={20,}$")
# A stack frame. The names of the reporting command and of the kernel have "umcg" in them, too.
_UMCG_CODE = re.compile(r"(umcg|handoff)\w*\+0x")
_REPORTER = "Reported by Kernel Concurrency Sanitizer"


def findings(lines: list[str], killing: int | None) -> list[str]:
    """The first line of every complaint of the kernel in LINES.

    `killing` contract violations are allowed, any number if it is None. A KCSAN report counts if
    UMCG's code takes part in it: linux-6.1 has data races of its own.
    """
    found: list[str] = []
    kills = 0
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if "KCSAN:" in line:
            end = index
            while end < len(lines) and not _RULE.search(lines[end]):
                end += 1
            stacks = list(takewhile(lambda text: _REPORTER not in text, lines[index - 1 : end]))
            if any(map(_UMCG_CODE.search, stacks)):
                found += lines[index - 1 : end]
            index = end
        elif _KILLING.search(line):
            kills += 1
            if killing is not None and kills > killing:
                found.append(line)
        elif "umcg-run:" not in line and _BAD.search(line):
            found.append(line)
    return found
