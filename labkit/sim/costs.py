# SPDX-License-Identifier: MIT
"""What switching costs in the simulator's virtual time."""

from __future__ import annotations

from dataclasses import dataclass

from labkit.sim.errors import SettingError

#: Guest instructions that `make -C kernel cost` counts (the table in kernel/README.md).
SERVER_ROUND_TRIP = 4198  # libumcg: server runs worker, worker waits; two switches
PIPE_ROUND_TRIP = 21608  # libumcg-sched, fifo: two workers over a pipe, one server: two messages
PIPE_CALLS = 1523  # of one message, in pipe and vfs


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Costs in ns of virtual time. All 0: the textbook.

    Attributes:
        switch_ns: of a server's place, from its choice until the thread runs.
        block_ns: of a place, from a thread that blocks, waits, yields or ends until the server
            runs.
        preempt_ns: the same for a thread that is taken off.
        wake_ns: of a thread, from when it could go on (or came) until it is ready. No place pays.
    """

    switch_ns: int = 0
    block_ns: int = 0
    preempt_ns: int = 0
    wake_ns: int = 0

    def __post_init__(self) -> None:
        for name in ("switch_ns", "block_ns", "preempt_ns", "wake_ns"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10**12:
                raise SettingError(f"{name} is {value!r}; give whole ns from 0 to 10^12")

    @classmethod
    def counted(cls, instructions_per_ns: float = 1.0) -> Costs:
        """From the instruction counts of the patched kernel and libumcg.

        A switch between server and worker is half of their round trip; preempting costs the
        switch back; waking is what a message between two workers costs beside its block, its switch
        and the pipe itself.

        Args:
            instructions_per_ns: how fast the machine is; 1 is what QEMU's -icount takes.

        Raises:
            SettingError: that is not above 0.
        """
        if not instructions_per_ns > 0:
            raise SettingError(f"instructions_per_ns is {instructions_per_ns!r}; give more than 0")
        switch = SERVER_ROUND_TRIP // 2
        wake = PIPE_ROUND_TRIP // 2 - 2 * switch - PIPE_CALLS
        return cls(
            switch_ns=round(switch / instructions_per_ns),
            block_ns=round(switch / instructions_per_ns),
            preempt_ns=round(switch / instructions_per_ns),
            wake_ns=round(wake / instructions_per_ns),
        )


#: No cost at all: schedules as textbooks draw them.
TEXTBOOK = Costs()
