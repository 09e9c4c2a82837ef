// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Servers sleep, and are woken when there is something for them; see internal.h. */
#include "internal.h"

/* Under lock. @server is to look again, if it sleeps; the wake-up goes out after. */
void wake_server(struct runtime *rt, struct server *server)
{
	if (unlikely(rt->passing))
		recall(rt, server);
	if (server->sleep != SLEEPING)
		return;
	server->sleep = WOKEN;
	rt->sleeping--;
	server->next_wake = rt->wakes;
	rt->wakes = server;
	count(&rt->stats.wakeups, 1);
}

/* Not under lock. The next one is read first: a woken server may be in a list again. */
void umcg_sched_send_wakeups(struct server *list)
{
	while (list) {
		umcg_tid task = list->actor.task;

		list = list->next_wake;
		umcg_wake(task, false);
	}
}

/* A server that sleeps and has something to look at: the one that had @t last, else the first. */
static struct server *find_sleeper(struct runtime *rt, const struct thread *t)
{
	uint32_t last = t ? t->pub.server : UMCG_NO_SERVER;
	struct server *server;

	if (last != UMCG_NO_SERVER) {
		server = &rt->servers[last];
		if (server->sleep == SLEEPING && server->looked != rt->version)
			return server;
	}
	for (uint32_t i = 0; i < rt->base.servers; i++) {
		server = &rt->servers[i];
		if (server->sleep == SLEEPING && server->looked != rt->version)
			return server;
	}
	return NULL;
}

/*
 * Those left are for others. Servers that are awake without a thread are on their
 * way and will look; for each thread more one that sleeps is woken; and where none
 * does, those that have just become ready may take the place of others.
 */
static void share_out(struct runtime *rt, struct thread *arrived)
{
	uint32_t coming;

	/* What is ready may be run by servers that would not be told that they can. */
	if (unlikely(rt->passing))
		recall_all(rt);
	coming = rt->attached - rt->seated - rt->sleeping - rt->vacant;
	while (rt->base.ready > coming && rt->sleeping) {
		struct server *server = find_sleeper(rt, arrived);

		if (!server)
			break;
		wake_server(rt, server);
		coming++;
	}
	if (!rt->base.policy->before)
		return;
	for (struct thread *t = arrived; t; t = t->next_arrived) {
		if (t->pub.state != UMCG_SCHED_READY)
			continue;
		if (coming)
			coming--;
		else
			make_place(rt, t);
	}
}

/* Under lock, at the end of whatever made threads ready, and after next(). */
void pass_on(struct runtime *rt)
{
	struct thread *arrived = rt->arrived;

	rt->arrived = NULL;
	rt->arrived_end = &rt->arrived;
	if (rt->base.ready)
		share_out(rt, arrived);
}

/* For the statistics and the trace: @server sleeps for want of work, and looks again. */
void note_sleep(struct server *server)
{
	struct runtime *rt = server->actor.rt;

	count(&rt->stats.sleeps, 1);
	emit(rt, UMCG_SCHED_EVENT_SLEEP, NULL, server->index, 0, (uint64_t)server->actor.tid);
}

void note_wake(struct server *server)
{
	emit(server->actor.rt, UMCG_SCHED_EVENT_WAKE, NULL, server->index, 0, (uint64_t)server->actor.tid);
}

/* Under lock, which is not held meanwhile. next() had nothing for @self. */
void sleep_for_work(struct server *self)
{
	struct runtime *rt = self->actor.rt;
	umcg_tid task;

	self->looked = rt->version;
	if (unlikely(rt->passing) && offer_place(self))
		return;
	self->since_ns = rt->base.now_ns;
	/* WOKEN stays: that wake-up ends the sleep below. */
	if (self->sleep == AWAKE) {
		self->sleep = SLEEPING;
		rt->sleeping++;
	}
	note_sleep(self);
	pass_on(rt);
	unlock(rt);
	task = umcg_get_idle_worker(true);
	lock(rt);
	tick(rt, umcg_get_time_ns());
	if (self->sleep == SLEEPING) {
		self->sleep = AWAKE;
		rt->sleeping--;
	} else if (task == UMCG_NONE) {
		self->sleep = AWAKE;	/* the wake-up that was promised */
	}
	note_wake(self);
	catch_up(rt);
	if (task != UMCG_NONE)
		arrive(rt, task);
}
