# SPDX-License-Identifier: MIT
"""Which commit of the project this is."""

from __future__ import annotations

import os
import subprocess
from functools import cache

from labkit import repository

#: Tells a guest, in which git looks at every file of the checkout for seconds.
VARIABLE = "LABKIT_COMMIT"


@cache
def commit() -> str:
    """As `git describe` says it, `-dirty` where files were changed; empty: no checkout, or no git.

    Of the moment in which it was first asked for: what this process has loaded is not newer.
    """
    told = os.environ.get(VARIABLE)
    if told is not None:
        return told
    try:
        made = subprocess.run(
            ["git", "-C", str(repository.FOLDER), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return made.stdout.strip()
