// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The policy is wrong. It is reported and replaced by rr, so that the program's
 * threads go on; what the policy knew is lost, so all that are ready begin anew.
 */
#include <stdlib.h>
#include <string.h>

#include "call.h"

extern const struct umcg_policy umcg_policy_rr;

static void replace_policy(struct runtime *rt)
{
	const struct umcg_policy *rr = &umcg_policy_rr;

	rt->base.policy = rr;
	rt->base.policy_data = rt->spare;
	rt->base.server_data = rt->spare_servers;
	rt->base.flags = rr->flags;
	rt->base.ready = 0;
	rt->arrived = NULL;
	rt->arrived_end = &rt->arrived;
	rt->asks = false;
	rt->error = NULL;
}

/* @t, which the old policy may have had, or was about to get. */
static void hand_over(struct runtime *rt, struct thread *t)
{
	memset(&t->pub + 1, 0, rt->stride - sizeof(*t));
	t->pub.flags = 0;
	if (t->pub.state != UMCG_SCHED_READY && !t->requeue)
		return;
	t->requeue = false;
	store(&t->pub.state, UMCG_SCHED_READY);
	rt->base.ready++;
	rt->version++;
	policy_ready(rt, t, UMCG_WHY_WOKEN);
}

void fail_policy(struct runtime *rt, enum umcg_fault fault, struct thread *t)
{
	struct actor *self = umcg_sched_actor;

	/* The watchdog has told of those it wanted out. */
	if (!atomic_exchange(&self->stuck, false))
		report_policy(rt, fault, t, self);
	if (rt->fallen)
		abort();	/* rr itself: nothing to go on with */
	rt->fallen = true;
	replace_policy(rt);
	for (uint32_t i = 0; i < rt->used_slots; i++)
		if (slot_at(rt, i)->task != UMCG_NONE)
			hand_over(rt, slot_at(rt, i));
	/* Threads that run now have a slice, too. */
	for (uint32_t i = 0; i < rt->base.servers; i++) {
		struct server *server = &rt->servers[i];

		if (!rt->base.running[i])
			continue;
		server->slice_ns = policy_slice(rt, thread_of(rt->base.running[i]));
		server->slice_end = rt->base.now_ns + server->slice_ns;
		timer_notice(rt, server->slice_end);
	}
	pass_on(rt);
}

/*
 * The calling thread has been got out of the policy, with the lock held and
 * whatever it was doing half done.
 */
void recover(struct actor *self)
{
	struct runtime *rt = self->rt;
	struct server *server = NULL;

	self->last_inside = atomic_exchange(&self->inside, OUTSIDE);
	for (uint32_t i = 0; i < rt->base.servers; i++)
		if (self == &rt->servers[i].actor)
			server = &rt->servers[i];
	if (server && server->sleep == SLEEPING) {
		server->sleep = AWAKE;
		rt->sleeping--;
	}
	/* A turn that had begun, but not for the thread. */
	if (server && rt->base.running[server->index]) {
		struct thread *t = thread_of(rt->base.running[server->index]);

		rt->base.running[server->index] = NULL;
		rt->seated--;
		server->slice_end = NEVER;
		t->pub.state = UMCG_SCHED_READY;
	}
	fail_policy(rt, atomic_load(&self->stuck) ? UMCG_FAULT_STUCK : UMCG_FAULT_CRASHED, NULL);
}
