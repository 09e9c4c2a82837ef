// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The scheduler's own threads are made and sent home. */
#include <time.h>

#include "internal.h"

/* The next server that no thread is yet. */
static struct server *seat(struct runtime *rt)
{
	struct server *server = NULL;

	lock(rt);
	if (rt->taken < rt->base.servers && !rt->closing)
		server = &rt->servers[rt->taken++];
	unlock(rt);
	return server;
}

static void *server_body(void *actor)
{
	struct actor *self = actor;
	struct server *server = (struct server *)(void *)((char *)actor - offsetof(struct server, actor));

	if (actor_begin(self, true))
		return NULL;
	serve(server);
	actor_resign(self);
	return NULL;
}

static int cpu_of(struct runtime *rt, uint32_t index)
{
	return rt->config.nr_cpus ? rt->config.cpus[index % rt->config.nr_cpus] : -1;
}

/* How many of our threads were made; their number is what is waited for. */
static uint32_t made(struct runtime *rt)
{
	uint32_t made = rt->timer.made + rt->dispatcher.made + rt->watchdog.made;

	for (uint32_t i = 0; i < rt->base.servers; i++)
		made += rt->servers[i].actor.made;
	return made;
}

/* All that were made have said that they are there, or that they cannot be. */
static int await(struct runtime *rt)
{
	int error;

	pthread_mutex_lock(&rt->start_lock);
	while (rt->started < made(rt))
		pthread_cond_wait(&rt->start_moved, &rt->start_lock);
	error = rt->start_error;
	pthread_mutex_unlock(&rt->start_lock);
	errno = error;
	return error ? -1 : 0;
}

/* The first makes the threads that help all servers. */
static int make_helpers(struct runtime *rt)
{
	int failed = 0;

	pthread_mutex_lock(&rt->start_lock);
	if (!rt->helped) {
		rt->helped = true;
		failed = actor_make(&rt->timer, timer_body, -1) ||
			 (rt->base.policy->before &&
			  actor_make(&rt->dispatcher, dispatcher_body, -1)) ||
			 (rt->config.watchdog_ns != NEVER && actor_make(&rt->watchdog, watch_body, -1));
	}
	pthread_mutex_unlock(&rt->start_lock);
	return failed || await(rt) ? -1 : 0;
}

static void go_home(struct runtime *rt)
{
	lock(rt);
	if (rt->timer.made)
		timer_close(rt);
	rt->closing = true;
	unlock(rt);
}

static void join(struct runtime *rt)
{
	for (uint32_t i = 0; i < rt->base.servers; i++)
		if (rt->servers[i].actor.made)
			pthread_join(rt->servers[i].actor.thread, NULL);
	if (rt->timer.made)
		pthread_join(rt->timer.thread, NULL);
	if (rt->dispatcher.made)
		pthread_join(rt->dispatcher.thread, NULL);
	watch_close(rt);
	if (rt->watchdog.made)
		pthread_join(rt->watchdog.thread, NULL);
}

EXPORT int umcg_sched_start(struct umcg_sched *s)
{
	struct runtime *rt = runtime_of(s);
	struct server *server;
	int error;

	if (make_helpers(rt))
		goto fail;
	while ((server = seat(rt)))
		if (actor_make(&server->actor, server_body, cpu_of(rt, server->index)))
			goto fail;
	if (!await(rt))
		return 0;
fail:
	error = errno;
	go_home(rt);
	join(rt);
	errno = error;
	return -1;
}

EXPORT int umcg_sched_serve(struct umcg_sched *s)
{
	struct runtime *rt = runtime_of(s);
	struct server *server;

	if (umcg_sched_actor || umcg_sched_self || make_helpers(rt)) {
		errno = errno ? errno : EINVAL;
		return -1;
	}
	server = seat(rt);
	if (!server) {
		errno = EBUSY;
		return -1;
	}
	if (actor_enlist(&server->actor, true))
		return -1;
	serve(server);
	actor_resign(&server->actor);
	return 0;
}

/*
 * Is there a thread that has not left? Those that have are tidied up by their
 * servers, or here if they ended after another had swapped to them, as no server
 * knows of that.
 */
static bool is_used(struct runtime *rt, bool *tidy)
{
	bool used = false;

	lock(rt);
	for (uint32_t i = 0; i < rt->used_slots && !used; i++) {
		struct thread *t = slot_at(rt, i);

		if (t->task == UMCG_NONE)
			continue;
		used = umcg_get_task_state(t->task) != UMCG_TASK_NONE;
		if (!used && !rt->passing && t->pub.state == UMCG_SCHED_BLOCKED)
			slot_put(rt, t);
	}
	*tidy = !rt->base.threads;
	unlock(rt);
	return used;
}

EXPORT int umcg_sched_stop(struct umcg_sched *s)
{
	const struct timespec moment = { .tv_nsec = 100000 };
	struct runtime *rt = runtime_of(s);
	bool tidy;

	do {
		if (is_used(rt, &tidy)) {
			errno = EBUSY;
			return -1;
		}
	} while (!tidy && !nanosleep(&moment, NULL));
	go_home(rt);
	join(rt);
	return 0;
}
