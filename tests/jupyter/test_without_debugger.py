# SPDX-License-Identifier: MIT
"""The Python kernel that runs in the guest, started here: without a debugger, else as any other."""

import json
import subprocess
import sys

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from labkit.jupyter import relay

PATIENCE_S = 500

CODE = """
import json, sys
import ipykernel.debugger, debugpy
print(json.dumps([ipykernel.debugger._is_debugpy_available, debugpy.__name__, sys.path]))
"""


def test_it_loads_no_debugger_and_cells_may(tmp_path):
    spec = tmp_path / "kernels" / "slim"
    spec.mkdir(parents=True)
    argv = relay.kernel_command("{connection_file}", [])
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Slim"}), encoding="utf-8"
    )
    specs = KernelSpecManager(kernel_dirs=[str(spec.parent)])
    manager = KernelManager(kernel_name="slim", kernel_spec_manager=specs)
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    said = []
    try:
        client.wait_for_ready(timeout=PATIENCE_S)
        client.execute_interactive(
            CODE,
            output_hook=lambda m: said.append(m["content"].get("text", "")),
            timeout=PATIENCE_S,
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    available, name, path = json.loads("".join(said))
    assert not available and name == "debugpy"
    ordinary = [sys.executable, "-c", "import sys; print(sys.path[1:])"]
    told = subprocess.run(ordinary, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert str([p for p in path if p]) == told.stdout.strip()
