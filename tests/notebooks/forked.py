# SPDX-License-Identifier: MIT
"""`python forked.py ARGUMENT...`: pytest with nbmake, on kernels that need not import anything.

This process imports what the notebooks import, draws a chart, and forks for every kernel: under
emulation that is more than a minute of each notebook.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

NAME = "python-forked"

#: What a kernel and the first cells load.
MODULES = ("ipykernel.ipkernel", "ipykernel.kernelapp", "labkit.api", "labkit.course")

#: The most that `ask.py` may say, in bytes: it is one packet.
MOST_ASKED = 1 << 18

_PR_SET_PDEATHSIG = 1


def _draw() -> None:
    """Draw something: what Plotly loads for the first chart of a process takes half a minute."""
    # Here, as it may load NumPy: main() has said before that this has no threads of its own.
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=2, cols=1)
    figure.add_trace(go.Scatter(x=[0], y=[0], line={"width": 1}))
    figure.add_trace(go.Bar(x=[0], y=[0], error_x={"array": [0]}))
    figure.update_layout(template="plotly_white", font={"size": 12}, margin={"l": 10})
    figure.update_xaxes(title_text="x", range=[0, 1])
    figure.update_yaxes(title_text="y", rangemode="tozero")
    go.Figure(figure).to_json()


def _install(folder: Path, address: str) -> None:
    """Describe the kernel to Jupyter, in a folder that JUPYTER_PATH is to name."""
    ask = Path(__file__).with_name("ask.py")
    spec = {
        "argv": [sys.executable, "-I", "-S", str(ask), address, "{connection_file}"],
        "display_name": "Python (forked)",
        "language": "python",
    }
    home = folder / "kernels" / NAME
    home.mkdir(parents=True)
    (home / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")


def _become_kernel(connection: socket.socket, parent: int) -> None:
    """Be the kernel that is asked for, until it ends; never returns."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    from ipykernel.kernelapp import launch_new_instance

    try:
        text, outputs, _, _ = socket.recv_fds(connection, MOST_ASKED, 2)
        asked = json.loads(text)
        for number, fd in enumerate(outputs, 1):
            os.dup2(fd, number)
            os.close(fd)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.path[0] = ""
        connection.sendall(str(os.getpid()).encode())
        launch_new_instance(argv=["-f", asked["file"]])
    except Exception:
        traceback.print_exc()
    finally:
        # To unwind further would tidy up what is of the process that has forked.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def main(arguments: list[str]) -> int:
    """Run pytest; its exit code."""
    # A kernel reads it when it is imported: 1 is "watch no parent", which is not Jupyter here.
    os.environ["JPY_PARENT_PID"] = "1"
    # And a fork has no other threads.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for module in MODULES:
        importlib.import_module(module)
    _draw()
    with (
        tempfile.TemporaryDirectory() as text,
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as server,
    ):
        # An abstract one: the file system that host and guest share has no sockets.
        address = f"labkit-kernels-{os.getpid()}"
        server.bind(f"\0{address}")
        server.listen()
        server.settimeout(0.5)
        _install(Path(text), address)
        cells = Path(__file__).with_name("cells.py")
        pytest = subprocess.Popen(
            [sys.executable, str(cells), f"--nbmake-kernel={NAME}", *arguments],
            env={**os.environ, "JUPYTER_PATH": text},
        )
        here, kernels = os.getpid(), set[int]()
        while pytest.poll() is None:
            kernels -= {pid for pid in kernels if os.waitpid(pid, os.WNOHANG)[0]}
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                pid = os.fork()
                if pid == 0:
                    server.close()
                    _become_kernel(connection, here)
                kernels.add(pid)
    return pytest.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
