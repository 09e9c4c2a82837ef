# SPDX-License-Identifier: MIT
"""Starts ipykernel without its debugger, whose modules are a quarter of what it loads.

In a guest whose instructions are interpreted that is a quarter of the time until it answers.
"""

import sys
from importlib import import_module

if __name__ == "__main__":
    # Not the notebook's folder, while our own modules are loaded; ipykernel puts it back.
    sys.path.pop(0)

    # For ipykernel there is no debugpy; for a cell that imports it there is.
    sys.modules["debugpy"] = None  # type: ignore[assignment]
    import_module("ipykernel.debugger")
    del sys.modules["debugpy"]

    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()
