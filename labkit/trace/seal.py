# SPDX-License-Identifier: MIT
"""A file's digest inside the file: damage is found before anything in it is parsed.

Parsers of damaged bytes do not only raise: they return other content, panic, or ask for more memory
than there is. So the digest is found by its place, as bytes, and is compared first. It covers every
byte of the file but itself.
"""

from __future__ import annotations

import hashlib

#: What stands in a file's layout where the digest will be.
BLANK = "0" * 64


def seal(data: bytes, before: bytes) -> bytes:
    """Put the digest where `before` and then `BLANK` stand.

    Raises:
        ValueError: they stand nowhere.
    """
    at = data.index(before + BLANK.encode()) + len(before)
    return data[:at] + _digest(data, at) + data[at + len(BLANK) :]


def is_sealed(data: bytes, before: bytes) -> bool:
    """Does a digest stand behind `before`?"""
    return data.rfind(before) >= 0


def is_whole(data: bytes, before: bytes) -> bool:
    """Is every byte what it was when the digest was put behind `before`?"""
    at = data.rfind(before) + len(before)
    return data[at : at + len(BLANK)] == _digest(data, at)


def _digest(data: bytes, at: int) -> bytes:
    made = hashlib.sha256(memoryview(data)[:at])
    made.update(BLANK.encode())
    made.update(memoryview(data)[at + len(BLANK) :])
    return made.hexdigest().encode()
