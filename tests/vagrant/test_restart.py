# SPDX-License-Identifier: MIT
"""The restart into the patched kernel, on Vagrant's own index of machines."""

import subprocess
from pathlib import Path


def test_the_restart_does_not_stop_at_a_lock_that_a_killed_thread_has_left(tmp_path: Path) -> None:
    script = Path(__file__).with_name("restart.rb")
    said = subprocess.run(["ruby", script, tmp_path], capture_output=True, text=True, timeout=300)
    assert said.returncode == 0, said.stderr
    restarting, reload, free = said.stdout.splitlines()
    assert "restarting the machine" in restarting
    assert reload.startswith("reload") and "provision_enabled" in reload
    assert free == "free"
