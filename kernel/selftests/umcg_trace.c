// SPDX-License-Identifier: MIT
/* Tracepoints: each event fires and names the right threads and states. */
#include <signal.h>

#include "libraw.h"
#include "libtrace.h"

static struct pool pool;
static struct server s;
static struct worker w;

static void steps(struct worker *self)
{
	worker_yield(self);
	worker_nap(self);
	state_set(&self->rec, RUNNING, RUNNING | PREEMPTED);
	sys_kick(0, self->tid);
	CHECK_EQ(worker_park(self, NULL, now_ns(CLOCK_MONOTONIC) + NS_PER_MS), -ETIMEDOUT);
}

static void bad_worker(struct worker *self)
{
	self->rec.next_tid = 0;
	pause();
}

static void violates(void *arg)
{
	static struct pool own;
	static struct server server;
	static struct worker bad;

	(void)arg;
	server_register(&server, &own);
	worker_start(&bad, &own, bad_worker, NULL);
	server_expect(&server, &bad);
	server_run(&server, &bad);
	await_death();
}

/* Is there a line of event @name that says @what of thread @tid? */
static bool told(char *text, const char *name, pid_t tid, const char *what)
{
	char want_event[64], want_tid[32];

	snprintf(want_event, sizeof(want_event), ": umcg_%s: ", name);
	snprintf(want_tid, sizeof(want_tid), "tid=%d ", tid);
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *at = strstr(line, want_event);

		if (at && strstr(at, want_tid) && strstr(at, what))
			return true;
	}
	return false;
}

static const struct {
	const char *name;
	struct umcg_task *of;
	const char *states;
} events[] = {
	{ "register", &w.rec, "old=none() new=blocked()" },
	{ "register", &s.rec, "old=none() new=running()" },
	{ "unregister", &s.rec, "old=running() new=none()" },
	{ "unregister", &w.rec, "old=running() new=none()" },	/* by its exit */
	{ "wake", &w.rec, "old=blocked() new=idle()" },
	{ "wake_server", &s.rec, "old=idle() new=running()" },
	{ "run", &w.rec, "old=idle() new=running()" },
	{ "block", &w.rec, "old=running() new=blocked()" },
	{ "switch", &s.rec, "old=idle() new=idle()" },
	{ "switch", &w.rec, "old=idle(locked) new=idle(locked)" },
	{ "preempt", &w.rec, "old=running(preempted) new=idle(preempted)" },
	{ "timeout", &w.rec, "old=idle(0x2000) new=blocked(0x2000)" },	/* PARKED */
	{ "timeout", &s.rec, "old=idle() new=idle()" },
};

int main(void)
{
	raw_start();
	trace_begin();
	server_register(&s, &pool);
	worker_start(&w, &pool, steps, NULL);
	server_loop(&s);
	worker_join(&w);
	state_set(&s.rec, RUNNING, IDLE);
	CHECK_EQ(sys_wait(MONOTONIC, 1), -ETIMEDOUT);
	state_set(&s.rec, IDLE, RUNNING);
	server_unregister(&s);
	check_dies(violates, NULL, SIGSEGV, "a worker without a server");

	trace_end();
	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
		pid_t tid = events[i].of == &s.rec ? s.tid : w.tid;

		if (!told(trace_text(), events[i].name, tid, events[i].states))
			FAIL("no umcg_%s of thread %d with %s in the trace:\n%.4000s",
			     events[i].name, tid, events[i].states, trace_text());
	}
	if (!strstr(trace_text(), ": umcg_violation: "))
		FAIL("no umcg_violation in the trace");
	return 0;
}
