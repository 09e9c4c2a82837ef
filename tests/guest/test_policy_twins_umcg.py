# SPDX-License-Identifier: MIT
"""On the kernel, too, a policy in Python decides as its twin in C: call for call.

Two runs on a kernel are never the same, so one run is recorded, every call of the policy with all
that it was told, and its twin is called with the same: it has to give the same answers.
"""

import pytest
from labkit.sim._simulator import ffi, lib
from python_policies import Fifo, Las, Priority

from labkit.experiments.own import Own
from labkit.native import engine
from labkit.sim import core
from labkit.sim.python_policy import WHYS

FIELDS = (
    *("deadline_ns", "expected_ns", "weight", "priority", "tenant", "klass", "state", "flags"),
    *("id", "server", "seq", "service_ns", "request_service_ns", "request_ns", "ready_ns"),
    "turn_ns",
)


class SlowPriority(Priority):
    slice_ns = 500_000


class SlowLas(Las):
    quantum_ns = 300_000


TWINS = (
    ("fifo", Fifo),
    ("priority:slice_us=500", SlowPriority),
    ("las:quantum_us=300,wait_ms=0", SlowLas),
)


def recording(kind, log):
    """The same policy, which writes its calls and answers down."""

    class Recording(kind):
        may_starve = True

        def told(self, thread):
            return {name: getattr(thread._of, name) for name in FIELDS}

        def note(self, call, answer, *given):
            log.append((call, self.sched.now_ns, answer, *given))
            return answer

        def ready(self, thread, why):
            self.note("ready", None, self.told(thread), WHYS.index(why))
            super().ready(thread, why)

        def next(self, server):
            found = super().next(server)
            self.note("next", found and found._of.seq, server)
            return found

        def stopped(self, thread, why, ran_ns):
            self.note("stopped", None, self.told(thread), WHYS.index(why), ran_ns)

    if hasattr(kind, "slice"):

        def slice(self, thread):
            return self.note("slice", kind.slice(self, thread), self.told(thread))

        Recording.slice = slice
    if hasattr(kind, "before"):

        def before(self, a, b):
            return self.note("before", kind.before(self, a, b), self.told(a), self.told(b))

        Recording.before = before
    return Recording


class Replay:
    """A policy in C without a host: called as a log says."""

    def __init__(self, text):
        self.choice, options = core.choose(text)
        self.policy = self.choice.policy
        self.data = ffi.new("uint64_t[]", self.policy.sched_size // 8 + 1)
        self.server_data = ffi.new("uint64_t[]", 64 * (self.policy.server_size // 8 + 1))
        self.sched = ffi.new("struct umcg_sched *")
        self.sched.policy, self.sched.policy_data = self.policy, self.data
        self.sched.server_data = ffi.cast("char *", self.server_data)
        self.sched.servers = 2
        self.threads = {}
        why = ffi.new("char[]", lib.UMCG_SENTENCE)
        assert lib.umcg_policy_options(self.policy, options.encode(), self.data, why) == 0
        if self.policy.init != ffi.NULL:
            assert self.policy.init(self.sched) == 0

    def thread(self, told):
        if told["seq"] not in self.threads:
            size = ffi.sizeof("struct umcg_sched_thread") + self.policy.thread_size
            self.threads[told["seq"]] = ffi.new("uint64_t[]", size // 8 + 1)
        of = ffi.cast("struct umcg_sched_thread *", self.threads[told["seq"]])
        for name, value in told.items():
            setattr(of, name, value)
        return of

    def call(self, name, *given):
        """The answer of C to what Python was told."""
        function = getattr(self.policy, name)
        if function == ffi.NULL:
            return None
        given = [self.thread(one) if isinstance(one, dict) else one for one in given]
        found = function(self.sched, *given)
        if name != "next":
            return found
        if found == ffi.NULL:
            return None
        found.state = 2  # RUNNING, as the host says before the next call
        return found.seq


@pytest.mark.parametrize("text, kind", TWINS)
def test_c_and_python_decide_alike(text, kind):
    log = []
    engine.load(
        "mixed",
        umcg=True,
        workers=6,
        servers=2,
        urgent=2,
        busy_us=200,
        urgent_us=100,
        idle_us=500,
        max_ops=300,
        policy=Own(recording(kind, log)),
    )
    replay = Replay(text)
    answers = 0
    for number, (call, now, answer, *given) in enumerate(log):
        replay.sched.now_ns = now
        assert replay.call(call, *given) == answer, (number, call, given)
        answers += answer is not None
    assert answers > 30, "there was something to decide"
