# SPDX-License-Identifier: MIT
"""No worker is kept in a queue beside a server that sleeps."""

import contextlib
import os
import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest

from labkit import environment
from labkit.native import engine, serving

ENDLESS_US = 1e12
#: Looks at the batch work, twenty a second: so many are made before any counts, as the request has
#: to come first, and so many after it without a batch operation are too many.
EARLY, PATIENCE = 20, 600

#: Keeps a CPU from everybody else, most of the time.
HOG = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(60))
print(flush=True)
while os.getppid() == int(sys.argv[2]):
    end = time.monotonic() + 0.02
    while time.monotonic() < end:
        pass
    time.sleep(0.005)
"""


@contextlib.contextmanager
def hog(cpu):
    words = [sys.executable, "-c", HOG, str(cpu), str(os.getpid())]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def batch_goes_on(cpus):
    """Beside a request without end on one of two servers, does the other run the batch worker?"""
    stop, looks, went_on = threading.Event(), [], []

    def watch(progress):
        if stop.is_set():
            return  # what ends now counts as done
        looks.append(progress.ops)
        late = looks[EARLY:]
        if any(a < b for a, b in pairwise(late)):
            went_on.append(True)
        if went_on or len(late) > PATIENCE:
            stop.set()

    with pytest.raises(engine.Stopped):
        serving.serve(
            [serving.Group(threads=1, priority=1), serving.Group(threads=1, endless=True)],
            serving.Requests(
                arrival_ns=np.array([50_000_000], np.uint64), service_us=np.array([ENDLESS_US])
            ),
            policy="rr:slice_us=500",
            servers=2,
            cpus=cpus,
            client_cpu=cpus[0],
            stop=stop,
            watch=watch,
        )
    return bool(went_on)


@pytest.mark.long
def test_no_batch_worker_waits_beside_a_server_that_sleeps():
    """The second server comes late for the request: the first, which preempted batch, takes it."""
    cpus = environment.cpus()[:2]
    assert len(cpus) == 2
    with hog(cpus[1]):
        assert all(batch_goes_on(cpus) for _ in range(10))
