/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/*
 * Calls of the policy. The caller is marked as being inside, so that a signal
 * there is the policy's fault and not ours, and that the watchdog sees which call
 * does not come back. All of it under the lock, and here for its cost: a turn makes
 * three or four of them.
 */
#ifndef UMCG_SCHED_CALL_H
#define UMCG_SCHED_CALL_H

#include "internal.h"

#define INLINE	static inline __attribute__((always_inline))

INLINE struct actor *go_in(enum umcg_inside where, struct thread *t)
{
	struct actor *self = umcg_sched_actor;

	atomic_store_explicit(&self->calls, atomic_load_explicit(&self->calls, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	atomic_store_explicit(&self->about, t, memory_order_relaxed);
	atomic_store_explicit(&self->inside, where, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	return self;
}

INLINE void come_out(struct actor *self)
{
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&self->inside, OUTSIDE, memory_order_relaxed);
}

INLINE void followed(struct runtime *rt, struct thread *t)
{
	if (unlikely(rt->asks))
		follow_up(rt, t);
}

INLINE void policy_ready(struct runtime *rt, struct thread *t, enum umcg_why why)
{
	struct actor *self = go_in(IN_READY, t);

	rt->base.policy->ready(&rt->base, &t->pub, why);
	come_out(self);
	followed(rt, t);
}

INLINE void policy_stopped(struct runtime *rt, struct thread *t, enum umcg_why why, uint64_t ran_ns)
{
	struct actor *self;

	if (!rt->base.policy->stopped)
		return;
	self = go_in(IN_STOPPED, t);
	rt->base.policy->stopped(&rt->base, &t->pub, why, ran_ns);
	come_out(self);
	followed(rt, t);
}

INLINE uint64_t policy_slice(struct runtime *rt, struct thread *t)
{
	struct actor *self;
	uint64_t ns;

	if (!rt->base.policy->slice)
		return 0;
	self = go_in(IN_SLICE, t);
	ns = rt->base.policy->slice(&rt->base, &t->pub);
	come_out(self);
	followed(rt, t);
	return ns;
}

INLINE struct thread *policy_next(struct runtime *rt, struct server *server)
{
	for (;;) {
		struct actor *self = go_in(IN_NEXT, NULL);
		struct umcg_sched_thread *pub = rt->base.policy->next(&rt->base, server->index);

		come_out(self);
		followed(rt, NULL);
		if (!pub)
			return NULL;
		if (likely(is_slot(rt, thread_of(pub)) && pub->state == UMCG_SCHED_READY))
			return thread_of(pub);
		/* Another has its place after that, and may know better. */
		refuse_next(rt, pub);
	}
}

#endif /* UMCG_SCHED_CALL_H */
