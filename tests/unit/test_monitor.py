# SPDX-License-Identifier: MIT
"""Words with QEMU: what its monitor says arrives, also when it is an error or an event."""

import json
import socket
import threading

import pytest

from labkit.vm import monitor, places
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


REGISTERS = """
CPU#0
RAX=0000000000000000 RBX=0000000000000000 RCX=ffffffff82000000 RDX=0000000000000001
RIP=ffffffff8100012b RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1
CS =0010 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]

CPU#1
RAX=0000000000000000 RBX=0000000000000000 RCX=ffffffff82000000 RDX=0000000000000001
RIP=ffffffff81000200 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0

CPU#2
RIP=00007f0000001000 RFL=00000246 [---Z-P-] CPL=3 II=0 A20=1 SMM=0 HLT=0
"""


def test_where_the_cpus_of_a_guest_are(qemu, tmp_path):
    path, _ = qemu([{"return": {}}], [{"return": REGISTERS.replace("\n", "\r\n")}])
    symbols = ["ffffffff81000200 T spins", "0000000000000000 D data", "ffffffff81000120 t halts"]
    (tmp_path / "System.map").write_text("\n".join(symbols), encoding="ascii")
    assert places.cpus(path, tmp_path / "bzImage") == [
        "CPU 0 is in the kernel, at halts+0xb, interrupts on, halted",
        "CPU 1 is in the kernel, at spins+0x0, interrupts off",
        "CPU 2 is in a program, at 0x7f0000001000",
    ]


def test_a_qemu_that_does_not_say_where_its_cpus_are(tmp_path):
    (said,) = places.cpus(tmp_path / "gone", tmp_path / "bzImage")
    assert "does not answer" in said
