# SPDX-License-Identifier: MIT
"""JupyterHub for a class: each student has a JupyterLab, a copy of the course, and guests.

    pip install -e '.[lab,vm,hub]'; labkit jupyter install
    jupyterhub -f notebooks/teaching/jupyterhub_config.py

Students log in with their accounts on this machine (PAM). What else it needs, and how much memory:
`notebooks/teaching/guide.md`, "A JupyterHub".
"""

import os
import sys
from pathlib import Path

c = get_config()  # type: ignore[name-defined]  # noqa: F821

#: Of each guest. A kernel "Python (UMCG)" is a guest of its own.
GUEST_CPUS, GUEST_MIB = 2, 1024
#: A kernel that nobody has used for so long is ended, and its guest with it.
IDLE_S = 1800
#: What a JupyterLab, or a guest, may take to start.
START_S = 600

# The same Python for all: students need not be able to write there.
tools = Path(sys.executable).parent

# What a student has edited is never written over; see `labkit release --help`.
start = '"$0/labkit" release course >&2 && exec "$0/jupyterhub-singleuser" "$@"'
c.Spawner.cmd = ["sh", "-c", start, str(tools)]
c.Spawner.notebook_dir = "course"
c.Spawner.default_url = "/lab/tree/00-quickstart.ipynb"
c.Spawner.args = [
    f"--VmProvisioner.cpus={GUEST_CPUS}",
    f"--VmProvisioner.memory_mib={GUEST_MIB}",
    f"--VmProvisioner.start_timeout_s={START_S}",
    f"--MappingKernelManager.cull_idle_timeout={IDLE_S}",
    "--MappingKernelManager.cull_connected=True",
]
# The kernel of Linux that all guests boot: a file that students can read.
c.Spawner.environment = {
    "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
    **{name: os.environ[name] for name in ("LABKIT_KERNEL",) if name in os.environ},
}
# A JupyterLab takes some seconds to start, and on a busy machine many.
c.Spawner.start_timeout = c.Spawner.http_timeout = START_S
# The answer to "start a kernel" comes when its guest has booted; the proxy must wait for it.
c.ConfigurableHTTPProxy.command = [
    "configurable-http-proxy",
    f"--proxy-timeout={START_S * 1000}",
]
