# SPDX-License-Identifier: MIT
"""Puts "Python (UMCG)" and the lab's settings where the Jupyter of this environment finds them."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    (folder / "package.json").write_text(json.dumps(_EXTENSION, indent=1) + "\n", encoding="utf-8")
    (static / "booting.js").write_text(
        Path(__file__).with_name("booting.js").read_text(encoding="utf-8"), encoding="utf-8"
    )


def _install_template(folder: Path) -> None:
    """What exported pages are made with: JupyterLab's own, without its links to the Internet."""
    from plotly.offline import get_plotlyjs

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conf.json").write_text(json.dumps({"base_template": "lab"}) + "\n", encoding="utf-8")
    (folder / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    (folder / "index.html.j2").write_text(
        Path(__file__).with_name("export.html").read_text(encoding="utf-8"), encoding="utf-8"
    )


def prefix() -> Path:
    """The environment that this Python runs in, which is what everything is installed into."""
    return Path(sys.prefix)


def _folders(into: Path) -> tuple[Path, Path]:
    """JupyterLab's part, and the template of exported pages."""
    shared = into / "share" / "jupyter"
    return shared / "labextensions" / "labkit", shared / "nbconvert" / "templates" / _TEMPLATE


def _settings(default: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What is set, by folder of `etc` and file; `default`: the kernel of new notebooks."""
    server = {
        "MultiKernelManager": {"default_kernel_name": default},
        "ServerApp": {
            "jpserver_extensions": {extension.__name__: True},
            "kernel_manager_class": f"{kernels.__name__}.{kernels.KernelManager.__name__}",
        },
        **_EXPORT,
    }
    return {
        ("jupyter", "jupyter_server_config"): server,
        ("jupyter", "jupyter_nbconvert_config"): _EXPORT,
        ("jupyter/labconfig", "default_setting_overrides"): _LAB_SETTINGS,
    }


def install(into: Path | None = None) -> Path:
    """Install the kernel, or renew it, and make it the default where it can start.

    Args:
        into: the environment; None: `prefix()`.

    Returns:
        The kernel's folder.

    Raises:
        OSError: the environment cannot be written.
    """
    into = into or prefix()
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder)
        spec.chmod(0o755)
        (spec / "kernel.json").write_text(json.dumps(_SPEC, indent=1) + "\n", encoding="utf-8")
        logo = Path(__file__).with_name("logo.svg").read_bytes()
        (spec / "logo-svg.svg").write_bytes(logo)
        where = KernelSpecManager().install_kernel_spec(folder, KERNEL_NAME, prefix=str(into))
    page_part, template = _folders(into)
    _install_extension(page_part)
    _install_template(template)
    for (place, name), data in _settings(NATIVE_KERNEL_NAME if problem() else KERNEL_NAME).items():
        BaseJSONConfigManager(config_dir=str(into / "etc" / place)).update(name, data)
    return Path(where)


def uninstall(into: Path | None = None) -> list[Path]:
    """Take away what `install` has put there; settings that somebody has changed since stay.

    Args:
        into: the environment; None: `prefix()`.

    Returns:
        The folders that are gone and the files that are gone or shorter.

    Raises:
        OSError: the environment cannot be written.
    """
    into = into or prefix()
    changed = []
    for folder in (into / "share" / "jupyter" / "kernels" / KERNEL_NAME, *_folders(into)):
        if folder.is_dir():
            shutil.rmtree(folder)
            changed.append(folder)
    for default in (KERNEL_NAME, NATIVE_KERNEL_NAME):
        for (place, name), ours in _settings(default).items():
            file = into / "etc" / place / f"{name}.json"
            if not file.is_file():
                continue
            kept = json.loads(file.read_text(encoding="utf-8"))
            left = _without(kept, ours)
            if left == kept:
                continue
            changed.append(file)
            if left:
                file.write_text(json.dumps(left, indent=2), encoding="utf-8")
            else:
                file.unlink()
    return list(dict.fromkeys(changed))


def _without(kept: dict[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those that are as ours; a group of them that is empty then goes, too."""
    left = {}
    for name, value in kept.items():
        if name not in ours:
            left[name] = value
        elif isinstance(value, dict) and isinstance(ours[name], Mapping):
            if rest := _without(value, ours[name]):
                left[name] = rest
        elif value != ours[name]:
            left[name] = value
    return left
