# SPDX-License-Identifier: MIT
"""The verdict about KVM."""

import os

import pytest

from labkit.vm import accel
from labkit.vm.errors import VmError
from labkit.vm.options import VmOptions


@pytest.fixture
def kvm(monkeypatch, tmp_path):
    """A machine with QEMU, with /dev/kvm, and without a verdict yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    monkeypatch.setattr(accel, "need_programs", lambda: None)


def test_a_lack_is_no_verdict(kvm, tmp_path):
    with pytest.raises(VmError, match="nowhere"):
        accel.choose(VmOptions(image=tmp_path / "nowhere"))
    assert accel.cached() is None


def test_a_verdict_is_kept(kvm, monkeypatch, tmp_path):
    image = tmp_path / "bzImage"
    image.touch()
    monkeypatch.setattr(accel, "_prove", lambda options: ("tcg", "a reason"))
    assert accel.choose(VmOptions(image=image)) == "tcg"
    assert accel.cached() == ("tcg", "a reason")
