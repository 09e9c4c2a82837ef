# SPDX-License-Identifier: MIT
"""The kernel's patch series, to be read in a notebook."""

from __future__ import annotations

import email
import re
from dataclasses import dataclass

from unidiff.patch import PatchSet

from labkit.course.lab import Missing
from labkit.repository import FOLDER as REPOSITORY


@dataclass(frozen=True)
class Patch:
    """One patch of `kernel/patches`.

    Attributes:
        number: place in the series, from 1.
        subject: its first line.
        message: the rest of what its author says.
        files: what it changes, by file and hunk.
    """

    number: int
    subject: str
    message: str
    files: PatchSet


def patches() -> list[Patch]:
    """The kernel's patch series, as the repository has it.

    Raises:
        Missing: this labkit was installed without the repository.
    """
    found = sorted((REPOSITORY / "kernel" / "patches").glob("*.patch"))
    if not found:
        raise Missing("there is no kernel/patches here: open the notebook in the repository")
    return [_patch(i, path.read_text(encoding="utf-8")) for i, path in enumerate(found, start=1)]


def _patch(number: int, text: str) -> Patch:
    mail = email.message_from_string(text)
    subject = re.sub(r"^\[PATCH[^]]*\]\s*", "", " ".join(str(mail["Subject"]).split()))
    message = str(mail.get_payload()).partition("\n---\n")[0].strip()
    return Patch(number, subject, message, PatchSet(text))
