# SPDX-License-Identifier: MIT
"""For all programs: the kernel has nothing to complain about."""

import pytest
from alike import kernel_log


@pytest.fixture(autouse=True)
def silent_kernel():
    before = kernel_log()
    yield
    assert kernel_log() == before
