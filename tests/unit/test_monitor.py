# SPDX-License-Identifier: MIT
"""Words with QEMU: what its monitor says arrives, also when it is an error or an event."""

import json
import socket
import threading

import pytest

from labkit.vm import monitor
from labkit.vm.errors import VmError


@pytest.fixture
def qemu(tmp_path):
    """Something that speaks as QEMU does: call it with the answers; then it has `heard`."""
    path = tmp_path / "monitor"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    threads = []

    def speak(*answers):
        heard = []

        def serve():
            connection, _ = listener.accept()
            with connection, connection.makefile("rw") as stream:
                stream.write('{"QMP": {"version": {}}}\n')
                stream.flush()
                for said in answers:
                    heard.append(json.loads(stream.readline()))
                    stream.write("".join(json.dumps(line) + "\n" for line in said))
                    stream.flush()

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return path, heard

    yield speak
    for thread in threads:
        thread.join()
    listener.close()


def test_a_command_and_its_answer_among_events(qemu):
    event = {"event": "NIC_RX_FILTER_CHANGED", "data": {}}
    path, heard = qemu([{"return": {}}], [event, {"return": "could not\r\n"}])
    assert monitor.command(path, "hostfwd_add x") == "could not"
    assert heard[1]["arguments"] == {"command-line": "hostfwd_add x"}


def test_a_refusal(qemu):
    path, _ = qemu([{"return": {}}], [{"error": {"class": "GenericError", "desc": "no such"}}])
    with pytest.raises(VmError, match="refuses human-monitor-command: no such"):
        monitor.command(path, "nonsense")


def test_a_qemu_that_goes_away(qemu, tmp_path):
    path, _ = qemu([{"return": {}}])
    with pytest.raises(VmError, match="does not answer"):
        monitor.command(path, "info status")
    with pytest.raises(VmError, match="does not answer"):
        monitor.command(tmp_path / "nobody", "info status")
