// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* A turn is to end before its thread gives way. All of it under the lock. */
#include "internal.h"

/*
 * Under the lock the turn cannot become another one, so the thread that is hit is
 * the one that was meant, or it has just blocked, which is as good.
 */
static void try_end(struct runtime *rt, struct server *server)
{
	struct thread *t = thread_of(rt->base.running[server->index]);
	bool again = server->retry;

	server->retry = umcg_preempt_worker(t->task) && errno == EAGAIN;
	if (server->retry)
		timer_notice(rt, rt->base.now_ns + RETRY_NS);
	else if (again)
		count(&rt->stats.late_kicks, 1);
}

void ask_end(struct runtime *rt, struct server *server, enum umcg_why why)
{
	struct umcg_sched_thread *pub;

	/* Then it is known who has the place, and does not change. */
	if (unlikely(rt->passing))
		recall(rt, server);
	pub = rt->base.running[server->index];
	if (!pub || atomic_load_explicit(&server->asked, memory_order_relaxed))
		return;
	atomic_store(&server->asked, (uint32_t)why + 1);
	count(&rt->stats.kicks, 1);
	emit(rt, UMCG_SCHED_EVENT_KICK, thread_of(pub), server->index, why, 0);
	try_end(rt, server);
}

/* For the timer: it was too early. */
void ask_again(struct runtime *rt, struct server *server)
{
	if (rt->base.running[server->index])
		try_end(rt, server);
	else
		server->retry = false;
}

/*
 * @t is ready, and no server is free for it. Which turn has to end is chosen as
 * umcg-policy.h says, so that every host chooses the same.
 */
void make_place(struct runtime *rt, struct thread *t)
{
	struct server *chosen = NULL;

	for (uint32_t i = 0; i < rt->base.servers; i++) {
		struct umcg_sched_thread *pub = rt->base.running[i], *best;

		if (!pub || atomic_load_explicit(&rt->servers[i].asked, memory_order_relaxed) ||
		    !policy_before(rt, t, thread_of(pub)))
			continue;
		best = chosen ? rt->base.running[chosen->index] : NULL;
		if (!best || policy_before(rt, thread_of(best), thread_of(pub)) ||
		    (pub->turn_ns < best->turn_ns &&
		     !policy_before(rt, thread_of(pub), thread_of(best))))
			chosen = &rt->servers[i];
	}
	if (chosen)
		ask_end(rt, chosen, UMCG_WHY_PREEMPTED);
}
