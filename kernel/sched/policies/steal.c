// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * steal: a queue for each server. A thread goes back to the server that had it
 * last, a new one to the server with the fewest; a server without work takes the
 * newest of the longest queue. As P. Zijlstra proposed for UMCG, where each server
 * has its own lists of threads. With steal=0 none takes anything: then it is one
 * scheduler for each server.
 *
 * Good for many servers: threads stay where their data is. Fails at fairness: two
 * servers with two and three threads give them a half and a third, and nothing
 * moves until one has no work at all.
 */
#include <umcg-policy.h>
#include <umcg-queue.h>

struct steal {
	uint64_t slice_us, steal;
};

struct steal_server {
	struct umcg_list queue;
};

struct steal_thread {
	struct umcg_link link;
};

static const struct umcg_option steal_options[] = {
	UMCG_OPTION(struct steal, slice_us, "turn in microseconds; 0: no end",
		    10000, 0, 1000000000),
	UMCG_OPTION(struct steal, steal, "0: a server runs only its own threads", 1, 0, 1),
	{ .name = NULL }
};

static int steal_init(struct umcg_sched *s)
{
	const struct steal *steal = umcg_sched_data(s);

	if (!steal->steal)
		s->flags = (s->flags | UMCG_MAY_IDLE) & ~UMCG_MAY_PASS_ON;
	/* A long queue and a short one: which thread is in which is not a matter of turns. */
	s->flags |= UMCG_MAY_STARVE;
	return 0;
}

/* How many threads @server has, with the one that runs. */
static uint32_t steal_load(struct umcg_sched *s, uint32_t server)
{
	const struct steal_server *its = umcg_server_data(s, server);

	return its->queue.length + (s->running[server] != NULL);
}

static uint32_t steal_home(struct umcg_sched *s, const struct umcg_sched_thread *t)
{
	uint32_t best = 0;

	if (t->server != UMCG_NO_SERVER)
		return t->server;
	for (uint32_t i = 1; i < s->servers; i++)
		if (steal_load(s, i) < steal_load(s, best))
			best = i;
	return best;
}

static void steal_ready(struct umcg_sched *s, struct umcg_sched_thread *t, enum umcg_why why)
{
	struct steal_thread *mine = umcg_thread_data(t);
	uint32_t home = steal_home(s, t);
	struct steal_server *its = umcg_server_data(s, home);

	if (why == UMCG_WHY_PREEMPTED)
		umcg_list_put_first(&its->queue, &mine->link);
	else
		umcg_list_put(&its->queue, &mine->link);
	/* The host wakes t->server; a new thread has none yet. */
	if (t->server == UMCG_NO_SERVER)
		umcg_kick(s, home, UMCG_KICK_WAKE);
}

static struct umcg_sched_thread *steal_next(struct umcg_sched *s, uint32_t server)
{
	const struct steal *steal = umcg_sched_data(s);
	struct steal_server *own = umcg_server_data(s, server), *victim = NULL;

	if (own->queue.first)
		return umcg_thread_of(umcg_list_get(&own->queue));
	for (uint32_t i = 0; steal->steal && i < s->servers; i++) {
		struct steal_server *its = umcg_server_data(s, i);

		if (its->queue.length && (!victim || its->queue.length > victim->queue.length))
			victim = its;
	}
	return victim ? umcg_thread_of(umcg_list_get_last(&victim->queue)) : NULL;
}

static uint64_t steal_slice(struct umcg_sched *s, struct umcg_sched_thread *t)
{
	const struct steal *steal = umcg_sched_data(s);

	(void)t;
	return steal->slice_us * 1000;
}

static void steal_dump(struct umcg_sched *s)
{
	for (uint32_t i = 0; i < s->servers; i++) {
		const struct steal_server *its = umcg_server_data(s, i);

		umcg_print(s, "server %u: ", i);
		umcg_list_print(s, "queue", &its->queue);
	}
}

UMCG_POLICY(steal,
	.summary = "a queue for each server, an empty one takes from the longest; "
		   "threads stay near their data, but shares are as uneven as the queues",
	.flags = UMCG_MAY_PASS_ON,
	.sched_size = sizeof(struct steal),
	.server_size = sizeof(struct steal_server),
	.thread_size = sizeof(struct steal_thread),
	.options = steal_options,
	.init = steal_init,
	.ready = steal_ready,
	.next = steal_next,
	.slice = steal_slice,
	.dump = steal_dump
);
