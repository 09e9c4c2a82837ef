# SPDX-License-Identifier: MIT
"""A Jupyter server used through its port alone, as a browser uses it."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import requests
import websocket


class CellFailed(AssertionError):
    """A cell raised; the message is its traceback."""


class Server:
    """The server at `http://localhost:PORT`, with its token."""

    def __init__(self, port: int, token: str) -> None:
        self.address = f"http://localhost:{port}"
        self.token = token
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"token {token}"

    def get(self, path: str) -> Any:
        """The JSON at `/api/PATH`; tries for two minutes, as the port is a tunnel to the guest."""
        end = time.monotonic() + 120
        while True:
            try:
                answer = self._session.get(f"{self.address}/api/{path}", timeout=60)
                break
            except requests.ConnectionError:
                if time.monotonic() > end:
                    raise
                time.sleep(1)
        answer.raise_for_status()
        return answer.json()

    @contextlib.contextmanager
    def kernel(self, name: str) -> Iterator[Kernel]:
        """A kernel of that name, ended afterwards."""
        asked = {"name": name}
        made = self._session.post(f"{self.address}/api/kernels", json=asked, timeout=300)
        made.raise_for_status()
        number = made.json()["id"]
        address = f"{self.address.replace('http', 'ws', 1)}/api/kernels/{number}/channels"
        socket = websocket.create_connection(
            address, header=[f"Authorization: token {self.token}"], timeout=600
        )
        try:
            yield Kernel(socket)
        finally:
            socket.close()
            self._session.delete(f"{self.address}/api/kernels/{number}", timeout=120)


def _message(frame: str | bytes) -> Any:
    """A message. One with buffers, as widgets send them, comes as bytes, its JSON first.

    Such a frame begins with the number of parts and each part's offset, big-endian 32-bit numbers.
    """
    if isinstance(frame, bytes):
        count = int.from_bytes(frame[:4])
        begin = int.from_bytes(frame[4:8])
        end = int.from_bytes(frame[8:12]) if count > 1 else len(frame)
        frame = frame[begin:end].decode()
    return json.loads(frame)


class Kernel:
    """A running kernel; its messages are those of the Jupyter protocol, as JSON."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self._socket = socket
        self._session = uuid.uuid4().hex

    def run(self, code: str) -> str:
        """Execute a cell; what it printed.

        Raises:
            CellFailed: it raised an exception.
        """
        number = uuid.uuid4().hex
        header = {"msg_id": number, "msg_type": "execute_request", "version": "5.3"}
        header |= {"session": self._session, "username": "test", "date": ""}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self._socket.send(json.dumps({**message, "channel": "shell", "buffers": []}))
        printed, error, replied, idle = "", "", False, False
        while not (replied and idle):
            answer = _message(self._socket.recv())
            if answer["parent_header"].get("msg_id") != number:
                continue
            kind, content = answer["msg_type"], answer["content"]
            if kind == "stream":
                printed += content["text"]
            elif kind == "error":
                error = "\n".join(content["traceback"])
            replied = replied or kind == "execute_reply"
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
        if error:
            raise CellFailed(f"{code}\n{error}")
        return printed
