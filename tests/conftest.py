# SPDX-License-Identifier: MIT
"""For all tests: they measure nothing that another run of tests on this machine could spoil."""

import faulthandler
import os
import signal
import tempfile

# Experiments take turns on a machine; two runs of the tests need not.
_folder = tempfile.TemporaryDirectory(prefix="labkit-tests-")
_lock = os.environ.get("LABKIT_LOCK") or os.path.join(_folder.name, "experiment.lock")
# Nor need the processes that share the tests of one run (`pytest -n`).
os.environ["LABKIT_LOCK"] = _lock + os.environ.get("PYTEST_XDIST_WORKER", "")


def pytest_configure() -> None:
    """`make test` ends with SIGQUIT what hangs: where it stood is what one wants to know then."""
    # Not descriptor 2, which leads into a test's own output while it runs.
    faulthandler.register(signal.SIGQUIT, os.dup(2), chain=True)
