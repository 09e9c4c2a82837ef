# SPDX-License-Identifier: MIT
"""`python ask.py ADDRESS CONNECTION_FILE`: a Jupyter kernel, made by the process listening there.

It ends when the kernel has ended, and passes on the signals that Jupyter sends to it.
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Ask for the kernel, and wait for its end."""
    asked = {"file": sys.argv[2], "folder": os.getcwd(), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect("\0" + sys.argv[1])
        socket.send_fds(connection, [json.dumps(asked).encode()], [1, 2])
        pid = int(connection.recv(16))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(pid, number))
        # The kernel alone has the other end open now.
        connection.recv(1)


main()
