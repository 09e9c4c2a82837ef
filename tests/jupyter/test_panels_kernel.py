# SPDX-License-Identifier: MIT
"""A panel in a real Jupyter kernel: the interrupt button and the end of the kernel stop it."""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

#: Minutes for what takes a moment: this machine may be busy, and nothing is judged by it.
PATIENCE = 500

START = """
import labkit
panel = labkit.panel("block", works=("sleep",), duration_s=60.0, repetitions=1000)
panel
"""


@pytest.fixture
def kernel() -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(client: BlockingKernelClient, code: str) -> tuple[str, list[dict[str, Any]]]:
    """What a cell printed, and everything else it sent."""
    said, messages = [], []

    def hear(message: dict[str, Any]) -> None:
        messages.append(message)
        if message["msg_type"] == "stream":
            said.append(message["content"]["text"])

    reply = client.execute_interactive(code, output_hook=hear, timeout=PATIENCE)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(said), messages


def until(client: BlockingKernelClient, expression: str) -> None:
    """Ask until it is so."""
    end = time.monotonic() + PATIENCE
    while run(client, f"print(bool({expression}))")[0] != "True\n":
        assert time.monotonic() < end, f"never true: {expression}"


def press(client: BlockingKernelClient, button: str) -> None:
    """As a page presses a button: a message to its connection."""
    name, _ = run(client, f"print(panel.{button}.model_id, end='')")
    content = {
        "comm_id": name,
        "data": {"method": "custom", "content": {"event": "click"}},
    }
    client.shell_channel.send(client.session.msg("comm_msg", content))


@pytest.fixture
def pressed(kernel: tuple[KernelManager, BlockingKernelClient]) -> Any:
    """A kernel with a panel whose Run was pressed, and which is running."""
    _, client = kernel
    run(client, START)
    press(client, "_button")
    until(client, "panel.running and panel._live.value")
    return kernel


def test_the_interrupt_button_stops_a_run_of_an_idle_kernel(pressed: Any) -> None:
    manager, client = pressed
    manager.interrupt_kernel()
    until(client, "not panel.running")
    assert "Stopped" in run(client, "print(panel._said.value)")[0]
    # And the kernel is as before: a second time, and an ordinary interrupt.
    press(client, "_button")
    until(client, "panel.running and panel._live.value")
    manager.interrupt_kernel()
    until(client, "not panel.running")
    until(client, "__import__('signal').getsignal(2) is __import__('signal').default_int_handler")


def test_stop_pressed_in_the_page_stops_it(pressed: Any) -> None:
    _, client = pressed
    press(client, "_stopper")
    until(client, "not panel.running")


#: Says so when the main thread is in `function`. A cell's own `print` would be too early: the
#: interrupt could come while it prints.
TELL = """
import sys, threading

def tell(function):
    def look(main=threading.main_thread().ident):
        frame = sys._current_frames()[main]
        while frame is not None:
            if frame.f_code is function.__code__:
                return True
            frame = frame.f_back
    def watch():
        while not look():
            pass
        print("waiting", flush=True)
    threading.Thread(target=watch).start()

def sleep():
    __import__("time").sleep(600)
"""


@pytest.mark.parametrize("function", ["type(panel).wait", "sleep"])
def test_an_interrupt_while_a_cell_executes_stops_it(pressed: Any, function: str) -> None:
    manager, client = pressed
    run(client, TELL)
    call = "panel.wait()" if function != "sleep" else "sleep()"
    # What is asked after it is not to be dropped because of its error.
    message = client.execute(f"tell({function}); {call}", stop_on_error=False)

    def heard(words: str) -> None:
        end = time.monotonic() + PATIENCE
        while words not in str(client.get_iopub_msg(timeout=PATIENCE)["content"]):
            assert time.monotonic() < end, f"never said: {words}"

    heard("waiting")
    manager.interrupt_kernel()
    heard("Stopped")
    end = time.monotonic() + PATIENCE
    while True:
        try:
            reply = client.get_shell_msg(timeout=5)
        except queue.Empty:
            # Python itself misses an interrupt that comes when `sleep` is about to.
            assert function == "sleep" and time.monotonic() < end
            manager.interrupt_kernel()
            continue
        if reply["parent_header"].get("msg_id") == message:
            break
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    until(client, "not panel.running")


def test_a_running_panel_does_not_hold_up_the_end_of_the_kernel(pressed: Any) -> None:
    manager, _ = pressed
    process = manager.provisioner.process
    manager.request_shutdown()  # and nobody kills it if it does not go
    assert process.wait(PATIENCE) == 0


def test_the_picture_of_a_run_is_put_into_the_saved_notebook(
    kernel: tuple[KernelManager, BlockingKernelClient],
) -> None:
    _, client = kernel
    code = START.replace("60.0, repetitions=1000", "0.05, repetitions=1")
    _, messages = run(client, code)
    shown = [m["content"] for m in messages if m["msg_type"] == "display_data"]
    # The widget; a picture of the timeline and a figure of the values, both for the saved notebook.
    assert len(shown) == 3
    assert "application/vnd.jupyter.widget-view+json" in shown[0]["data"]
    picture, figure = (one["transient"]["display_id"] for one in shown[1:])
    _, messages = run(client, "panel.start(); panel.wait()")
    changed = {
        m["content"]["transient"]["display_id"]: m["content"]["data"]
        for m in messages
        if m["msg_type"] == "update_display_data"
    }
    assert changed.keys() == {picture, figure}
    assert "<svg" in changed[picture]["image/svg+xml"]
    assert "Measured values" in changed[picture]["text/html"]
    assert changed[figure]["application/vnd.plotly.v1+json"]["data"]
