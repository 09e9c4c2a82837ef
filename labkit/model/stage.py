# SPDX-License-Identifier: MIT
"""What can be gone through step by step: the model (`stepper`) or a trace (`retrace`)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import polars as pl


class Actor(NamedTuple):
    """One task as it is at a moment.

    Attributes:
        tid: thread id.
        name: what it is called.
        role: `server` or `worker`.
        state: of its word.
        flags: of its word.
        next: what `next_tid` names, in words; empty: nothing.
        where: where its thread is, in words; empty: a trace does not tell.
        then: what its operation has still to do, in words.
    """

    tid: int
    name: str
    role: str
    state: str
    flags: int
    next: str
    where: str
    then: tuple[str, ...] = ()


class Choice(NamedTuple):
    """What may happen next: which task does it, what it is called, what it means."""

    actor: str
    label: str
    text: str


class Stage(Protocol):
    """What is shown, and the ways through it that both kinds have."""

    @property
    def at(self) -> int:
        """Steps made so far."""

    @property
    def length(self) -> int:
        """Steps that are known: `at`, and those one can go forward to."""

    @property
    def tasks(self) -> pl.DataFrame:
        """The task table."""

    def go(self, at: int) -> None:
        """Be after this many steps; as near to it as is known."""

    def actors(self) -> list[Actor]:
        """Every task as it is now."""

    def idle_list(self) -> list[str]:
        """What waits on the idle list, last pushed first."""

    def slot(self) -> str | None:
        """The server in the slot, empty: none, None: a trace does not tell."""

    def choices(self) -> list[Choice]:
        """What may happen now."""

    def said(self) -> str:
        """What the last step did."""

    def broken(self) -> list[str]:
        """Sentences about what is wrong now."""

    def rows(self) -> pl.DataFrame:
        """The event table so far; `t` in ns."""
