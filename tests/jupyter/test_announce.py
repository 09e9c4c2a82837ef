# SPDX-License-Identifier: MIT
"""What a page and the terminal hear of a start."""

import asyncio
import logging

from jupyter_events import EventLogger

from labkit.jupyter import announce


def test_a_page_hears_of_each_step_and_that_time_passes(monkeypatch, caplog):
    monkeypatch.setattr(announce, "REPEAT_S", 0.01)
    heard = []
    told = asyncio.Event()

    async def listen(logger, schema_id, data):
        heard.append((data["kernel_id"], data["state"], data["text"]))
        if "so far" in data["text"]:
            told.set()

    async def scene():
        events = EventLogger()
        announce.register(events)
        events.add_listener(schema_id=announce.SCHEMA, listener=listen)
        start = announce.Announcer("Python", "7", logging.getLogger(), events)
        start.waiting("booting")
        repeated = asyncio.create_task(start.repeat())
        await told.wait()
        repeated.cancel()
        start.ready()
        await events.gather_listeners()

    with caplog.at_level(logging.INFO):
        asyncio.run(scene())
    assert heard[0] == ("7", "waiting", "Python: booting")
    assert heard[-1] == ("7", "ready", f"Python is ready. {announce.IN_THE_GUEST}")
    assert "%pip" in heard[-1][2] and "no network" in heard[-1][2]
    assert "Python: booting" in caplog.text and "ready after" in caplog.text


def test_without_a_jupyter_server_there_is_the_log(caplog):
    start = announce.Announcer("Python", "7", logging.getLogger(), None)
    start.failed("no QEMU: make deps")
    assert "no QEMU: make deps" in caplog.text
