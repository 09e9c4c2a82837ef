# SPDX-License-Identifier: MIT
"""What can go wrong with the microVM."""

from __future__ import annotations


class VmError(Exception):
    """The machine failed, not the command in it; `str()` says what happened and what to do.

    Attributes:
        kernel_lines: the last lines of the guest's console, oldest first; may be empty.
    """

    def __init__(self, message: str, kernel_lines: list[str] | None = None) -> None:
        super().__init__(message)
        self.kernel_lines = kernel_lines or []
