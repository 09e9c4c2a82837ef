// SPDX-License-Identifier: MIT
/*
 * Tracepoints of a group in a pid namespace: tid and peer are numbers of one kind, the
 * initial namespace's, as in all other tracepoints.
 */
#include <sched.h>

#include "libraw.h"
#include "libtrace.h"

static struct pool pool;
static struct server s;
static struct worker w;

static void steps(struct worker *self)
{
	worker_nap(self);
	state_set(&self->rec, RUNNING, RUNNING | PREEMPTED);
	sys_kick(0, self->tid);
	worker_yield(self);
}

static void inside(void *arg)
{
	(void)arg;
	CHECK_EQ(getpid(), 1);
	server_register(&s, &pool);
	worker_start(&w, &pool, steps, NULL);
	server_loop(&s);
	worker_join(&w);
	server_unregister(&s);
}

/* Of the line @text the numbers behind tid= and peer=. */
static void numbers(const char *text, int *tid, int *peer)
{
	const char *at = strstr(text, "tid=");

	CHECK(at);
	*tid = atoi(at + 4);
	at = strstr(text, "peer=");
	CHECK(at);
	*peer = atoi(at + 5);
}

int main(void)
{
	static const char * const events[] = {
		"umcg_block", "umcg_run", "umcg_preempt", "umcg_switch", "umcg_wake_server",
	};
	int server = 0, worker = 0, of[5] = { 0 };

	raw_start();
	trace_begin();
	CHECK_EQ(unshare(CLONE_NEWPID), 0);
	check_exits(inside, NULL, 0, "inside");
	trace_end();

	for (char *line = strtok(trace_text(), "\n"); line; line = strtok(NULL, "\n")) {
		int tid, peer;

		if (line[0] == '#' || !strstr(line, ": umcg_"))
			continue;
		numbers(line, &tid, &peer);
		if (strstr(line, ": umcg_register: "))
			*(server ? &worker : &server) = tid;
		for (int i = 0; i < 5; i++) {
			char name[64];

			snprintf(name, sizeof(name), ": %s: ", events[i]);
			if (!strstr(line, name))
				continue;
			of[i]++;
			CHECK(server && worker);
			if (!((tid == server && peer == worker) ||
			      (tid == worker && peer == server)))
				FAIL("server %d, worker %d, and the trace has: %s", server,
				     worker, line);
		}
	}
	for (int i = 0; i < 5; i++)
		if (!of[i])
			FAIL("no %s in the trace", events[i]);
	return 0;
}
