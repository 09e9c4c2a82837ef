# SPDX-License-Identifier: MIT
"""For all tests: they measure nothing that another run of tests on this machine could spoil."""

import faulthandler
import os
import signal
import tempfile

# Experiments take turns on a machine; two runs of the tests need not.
_folder = tempfile.TemporaryDirectory(prefix="labkit-tests-")
os.environ.setdefault("LABKIT_LOCK", os.path.join(_folder.name, "experiment.lock"))


def pytest_configure() -> None:
    """`make test` ends with SIGQUIT what hangs: where it stood is what one wants to know then."""
    # Not descriptor 2, which leads into a test's own output while it runs.
    faulthandler.register(signal.SIGQUIT, os.dup(2), chain=True)
