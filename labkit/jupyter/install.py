# SPDX-License-Identifier: MIT
"""Puts "Python (UMCG)" and the lab's settings where the Jupyter of this environment finds them."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from jupyter_server.config_manager import BaseJSONConfigManager

from labkit import __version__, vm
from labkit.jupyter import DISPLAY_NAME, KERNEL_NAME, extension, kernels
from labkit.native import engine

_SPEC = {
    "argv": ["python", "-m", "labkit.jupyter.relay", "{connection_file}"],
    "display_name": DISPLAY_NAME,
    "language": "python",
    "interrupt_mode": "signal",
    "metadata": {"kernel_provisioner": {"provisioner_name": "labkit-vm"}},
}

# A notebook that names no kernel starts with the default one at once, and says that it waits for
# it; nothing looks for news, updates or extensions on the Internet.
_LAB_SETTINGS = {
    "@jupyterlab/notebook-extension:tracker": {
        "autoStartDefaultKernel": True,
        "enableKernelInitNotification": True,
    },
    "@jupyterlab/apputils-extension:notification": {
        "checkForUpdates": False,
        "fetchNews": "false",
    },
    "@jupyterlab/extensionmanager-extension:plugin": {"enabled": False},
}

#: Pages that JupyterLab or nbconvert makes of a notebook: nothing of the Internet in them, either.
_TEMPLATE = "umcg-lab"
_EXPORT = {
    "HTMLExporter": {"template_name": _TEMPLATE},
    # Slides are a kind of page to nbconvert, and would take the template, too.
    "SlidesExporter": {"template_name": "reveal"},
}

_EXTENSION = {
    "name": "labkit",
    "version": __version__,
    "license": "MIT",
    "jupyterlab": {"_build": {"load": "static/booting.js", "extension": "./extension"}},
}


def problem() -> str:
    """Why the kernel cannot start here, with what to do; empty when it can."""
    if engine.enabled():
        return ""
    try:
        vm.check()
    except vm.VmError as error:
        return str(error)
    return ""


def _install_extension(folder: Path) -> None:
    """JupyterLab's part, in the form of one that was built."""
    static = folder / "static"
    static.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(json.dumps(_EXTENSION, indent=1) + "\n")
    (static / "booting.js").write_text(Path(__file__).with_name("booting.js").read_text())


def _install_template(folder: Path) -> None:
    """What exported pages are made with: JupyterLab's own, without its links to the Internet."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conf.json").write_text(json.dumps({"base_template": "lab"}) + "\n")
    (folder / "index.html.j2").write_text(Path(__file__).with_name("export.html").read_text())


def install(prefix: Path | None = None) -> Path:
    """Install the kernel, or renew it, and make it the default where it can start.

    Args:
        prefix: the environment; None: the one this Python runs in.

    Returns:
        The kernel's folder.

    Raises:
        OSError: the environment cannot be written.
    """
    prefix = prefix or Path(sys.prefix)
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder)
        spec.chmod(0o755)
        (spec / "kernel.json").write_text(json.dumps(_SPEC, indent=1) + "\n")
        logo = Path(__file__).with_name("logo.svg").read_bytes()
        (spec / "logo-svg.svg").write_bytes(logo)
        where = KernelSpecManager().install_kernel_spec(folder, KERNEL_NAME, prefix=str(prefix))
    shared = prefix / "share" / "jupyter"
    _install_extension(shared / "labextensions" / "labkit")
    _install_template(shared / "nbconvert" / "templates" / _TEMPLATE)
    default = NATIVE_KERNEL_NAME if problem() else KERNEL_NAME
    etc = prefix / "etc" / "jupyter"
    server = BaseJSONConfigManager(config_dir=str(etc))
    server.update(
        "jupyter_server_config",
        {
            "MultiKernelManager": {"default_kernel_name": default},
            "ServerApp": {
                "jpserver_extensions": {extension.__name__: True},
                "kernel_manager_class": f"{kernels.__name__}.{kernels.KernelManager.__name__}",
            },
            **_EXPORT,
        },
    )
    server.update("jupyter_nbconvert_config", _EXPORT)
    settings = BaseJSONConfigManager(config_dir=str(etc / "labconfig"))
    settings.update("default_setting_overrides", _LAB_SETTINGS)
    return Path(where)
