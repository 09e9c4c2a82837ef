# SPDX-License-Identifier: MIT
"""What a full ring of the engine leaves unknown, and of which tasks.

The first server's ring has the state changes of all workers and servers, as the scheduler decided
them: when it is full, the states of all are unknown from then on. A thread's own ring is about
nobody else.
"""

from __future__ import annotations

import polars as pl

from labkit.native import engine
from labkit.trace import loss


def loss_rows(outcome: engine.Outcome) -> pl.DataFrame:
    """Rows of kind `lost` and `lost_op` of a measurement's tasks, until its last event."""
    tasks = outcome.tasks
    if not any(task.lost for task in tasks):
        return loss.rows([])
    until = max(int(outcome.events["t"].max(initial=0)), *(task.lost_last for task in tasks))
    full = [task.lost_states for task in tasks if task.role == "server" and task.lost_states]
    found: list[tuple[int, str, int, int]] = []
    for task in tasks:
        since = [task.lost_states] if task.lost_states else []
        if task.role in ("worker", "server"):
            since += full
        if since:
            found.append((task.tid, "lost", min(since), until))
        if task.lost_ops:
            found.append((task.tid, "lost_op", task.lost_ops, until))
    return loss.rows(found)
