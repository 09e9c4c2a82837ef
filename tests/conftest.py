# SPDX-License-Identifier: MIT
"""For all tests: they measure nothing that another run of tests on this machine could spoil."""

import os
import tempfile

# Experiments take turns on a machine; two runs of the tests need not.
_folder = tempfile.TemporaryDirectory(prefix="labkit-tests-")
os.environ.setdefault("LABKIT_LOCK", os.path.join(_folder.name, "experiment.lock"))
