# SPDX-License-Identifier: MIT
"""Runs the cells of one exercise in this process, which may end in any way: `supervise` started it.

    python -m labkit.grading.child FD

Cells come as JSON on stdin. What becomes of each goes as a line of JSON to the file descriptor FD:
`begin` before it, then `ok`, `error` or `undecided` with the exception's last line.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import Any

#: What one submission may have: memory of its own, and the size of any file, in bytes.
MOST_MEMORY, MOST_FILE = 3 << 30, 64 << 20


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE, MOST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write that is too much is an error


def _shell() -> Any:
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    settings = Config()
    settings.HistoryManager.enabled = False
    settings.InteractiveShell.colors = "NoColor"
    return InteractiveShell.instance(config=settings)


def _word(error: BaseException) -> str:
    return "undecided" if type(error).__name__ == "Undecided" else "error"


def main() -> None:
    """See the module."""
    tell = os.fdopen(int(sys.argv[1]), "w", encoding="utf-8", buffering=1)
    os.set_inheritable(tell.fileno(), False)
    cells = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what asks for input gets none
    _limit()
    shell = _shell()
    for name, code in cells:
        print(json.dumps({"cell": name, "is": "begin"}), file=tell)
        result = shell.run_cell(code, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        said = {"cell": name, "is": "ok"}
        if error is not None:
            text = f"{type(error).__name__}: {error}"
            said = {"cell": name, "is": _word(error), "why": text[:2000]}
        print(json.dumps(said), file=tell)
    print(json.dumps({"cell": "", "is": "end"}), file=tell)
    tell.close()
    # A thread that the submission has left behind must not keep the process.
    os._exit(0)


if __name__ == "__main__":
    main()
