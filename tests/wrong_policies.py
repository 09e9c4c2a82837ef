# SPDX-License-Identifier: MIT
"""Policies that go wrong, in C and in Python: fifo with a place for it. For every host."""

from __future__ import annotations

import time
from typing import Any

#: fifo in C; see `source`. `how` is for who compiles one that goes wrong in several ways.
SOURCE = """
#include <umcg-policy.h>
#include <umcg-queue.h>
#include <stdlib.h>
#include <unistd.h>

struct all { uint64_t how, turns; struct umcg_list queue; struct umcg_sched_thread *last; };

static const struct umcg_option options[] = {
	{ .name = "how", .help = "what goes wrong", .max = 9 },	/* the first of struct all */
	{ .name = NULL }
};

static void ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct all *all = umcg_sched_data(s);

	(void)why;
	READY
	umcg_list_put(&all->queue, umcg_thread_data(t));
}

static struct umcg_sched_thread *next(struct umcg_sched *s, uint32_t server)
{
	struct all *all = umcg_sched_data(s);
	struct umcg_sched_thread *t;

	(void)server;
	all->turns++;
	NEXT
	t = umcg_thread_of(umcg_list_get(&all->queue));
	if (t)
		all->last = t;
	return t;
}

static void dump(struct umcg_sched *s)
{
	struct all *all = umcg_sched_data(s);

	umcg_print(s, "asked %llu times", (unsigned long long)all->turns);
	DUMP
}

UMCG_POLICY(wrong,
	.summary = "goes wrong",
	.options = options,
	.sched_size = sizeof(struct all),
	.thread_size = sizeof(struct umcg_link),
	.ready = ready,
	.next = next,
	.dump = dump
);
"""

#: In C: when it goes wrong.
LATER = "all->turns > 20"
#: What is put into `ready` so that thread 3 is lost, once it has run.
LOSES = "if (t->id == 3 && t->service_ns) return;"


def source(**parts: str) -> str:
    """A policy named `wrong`, with `READY`, `NEXT` and `DUMP` at the beginning of these."""
    text = SOURCE
    for part in ("READY", "NEXT", "DUMP"):
        text = text.replace(part, parts.get(part, ""))
    return text


class Fifo:
    """First come, first served."""

    sched: Any

    def __init__(self) -> None:
        self.queue: list[Any] = []
        self.turns = 0

    def ready(self, thread: Any, why: str) -> None:
        self.queue.append(thread)

    def next(self, server: int) -> Any:
        self.turns += 1
        return self.queue.pop(0) if self.queue else None


class Raises(Fifo):
    def next(self, server: int) -> Any:
        if self.turns > 5:
            raise ZeroDivisionError("mine")
        return super().next(server)


class Spins(Fifo):
    def next(self, server: int) -> Any:
        while self.turns > 5:
            pass
        return super().next(server)


class Sleeps(Fifo):
    def next(self, server: int) -> Any:
        if self.turns > 5:
            time.sleep(1000)
        return super().next(server)


class Loses(Fifo):
    """Forgets the first thread that it has seen, once that has run."""

    first: Any = None

    def ready(self, thread: Any, why: str) -> None:
        self.first = self.first or thread
        if thread is not self.first or not thread.service_ns:
            super().ready(thread, why)


class Twice(Fifo):
    """Gives a server a thread that another one runs."""

    def next(self, server: int) -> Any:
        return self.sched.running(1 - server) or super().next(server)


class Rubbish(Fifo):
    def next(self, server: int) -> Any:
        return 5


class Ended(Fifo):
    """Returns one that has left."""

    gone: Any = None

    def stopped(self, thread: Any, why: str, ran_ns: int) -> None:
        if why == "ended":
            self.gone = thread

    def next(self, server: int) -> Any:
        return self.gone or super().next(server)


class Slow(Fifo):
    def slice(self, thread: Any) -> Any:
        return "long"
