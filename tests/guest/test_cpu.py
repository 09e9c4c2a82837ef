# SPDX-License-Identifier: MIT
"""What the guest's CPU claims."""

from pathlib import Path

import pytest


def test_no_avx2_where_qemu_emulates():
    """QEMU 7.2 emulates gathers by vector register 4 as if they had no index."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    if "QEMU TCG" not in text:
        pytest.skip("no emulated CPU")
    assert " avx2" not in text
