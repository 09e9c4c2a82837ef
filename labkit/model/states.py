# SPDX-License-Identifier: MIT
"""The protocol's vocabulary: states, flags, and what may make which transition.

Source: the kernel ABI's section 4, "the contract, transition by transition". One entry is one
compare-and-swap on one task's state word.
"""

from __future__ import annotations

from typing import NamedTuple

#: Bit 6: the task's user space is in the middle of a transition, the kernel keeps out.
LOCKED = 0x40
#: Bit 7: user space wants the worker off its server.
PREEMPTED = 0x80
#: Bit 8, of an IDLE server: its place may pass on without it.
ADOPT = 0x100
#: Bit 9, of an IDLE server: it sleeps for work; with ADOPT: no worker has its place.
FREE = 0x200
#: Bit 10, with ADOPT: a worker of better rank may take its place.
RANK = 0x400
#: Bit 16, the library's: the worker sleeps in `umcg_wait`, not on the idle list.
IN_WAIT = 0x10000
#: Bit 17, the library's: a wake-up waits to be consumed.
WAKEUP_QUEUED = 0x20000


class Transition(NamedTuple):
    """A legal change of one task's state.

    `role` is the role of the task that changes; `by` what makes the change: `self`, `worker`,
    `server` (of UMCG, on the task), `kernel`, or `any` thread of the process.
    """

    role: str
    kind: str
    old: str
    new: str
    by: str


_TABLE = """
server  register   none     running  self
server  unregister running  none     self
server  run        running  idle     self
server  run        idle     running  self
server  yield      idle     running  worker
server  swap       running  idle     self
server  swap       idle     running  server
server  block      idle     running  kernel
server  preempt    idle     running  kernel
server  unregister idle     running  any
server  wait       running  idle     self
server  wait       idle     running  any
server  wake       idle     running  any
server  timeout    idle     running  self
worker  register   none     blocked  self
worker  unregister running  none     any
worker  run        idle     running  server
worker  run        blocked  running  kernel
worker  yield      running  idle     self
worker  wait       running  idle     self
worker  swap       running  idle     self
worker  swap       idle     running  worker
worker  block      running  blocked  kernel
worker  wake       blocked  idle     kernel
worker  wake       running  idle     kernel
worker  preempt    running  idle     kernel
worker  preempt    running  blocked  kernel
worker  timeout    idle     blocked  kernel
worker  timeout    blocked  idle     kernel
basic   register   none     running  self
basic   unregister running  none     self
basic   swap       running  idle     self
basic   swap       idle     running  any
basic   wait       running  idle     self
basic   wait       idle     running  any
basic   wake       idle     running  any
basic   timeout    idle     running  self
thread  register   none     running  self
thread  unregister running  none     self
thread  wait       running  blocked  self
thread  wait       blocked  running  any
thread  wake       blocked  running  any
thread  yield      running  blocked  self
thread  yield      blocked  running  any
thread  swap       running  blocked  self
thread  swap       blocked  running  any
thread  block      running  blocked  kernel
thread  block      blocked  running  kernel
thread  timeout    blocked  running  self
"""

#: Every legal change of state. Changes of flags alone (old == new) are legal for a registered task.
TRANSITIONS: tuple[Transition, ...] = tuple(
    Transition(*line.split()) for line in _TABLE.strip().splitlines()
)

_LEGAL = {t[:4] for t in TRANSITIONS}


def is_legal(role: str, kind: str, old: str, new: str) -> bool:
    """May a task of this role go from `old` to `new` by an event of this kind?"""
    return (old == new and old != "none") or (role, kind, old, new) in _LEGAL


def who(role: str, kind: str, old: str, new: str) -> str | None:
    """What makes this transition (`Transition.by`), or None when nothing may."""
    for t in TRANSITIONS:
        if t[:4] == (role, kind, old, new):
            return t.by
    return None
