// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Calls of the policy. The caller is marked as being inside, so that a signal
 * there is the policy's fault and not ours, and that the watchdog sees which call
 * does not come back.
 */
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

__thread struct actor *umcg_sched_actor;

static inline struct actor *go_in(enum umcg_inside where, struct thread *t)
{
	struct actor *self = umcg_sched_actor;

	atomic_store_explicit(&self->calls, atomic_load_explicit(&self->calls, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	atomic_store_explicit(&self->about, t, memory_order_relaxed);
	atomic_store_explicit(&self->inside, where, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	return self;
}

static inline void come_out(struct actor *self)
{
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&self->inside, OUTSIDE, memory_order_relaxed);
}

/* What the policy has asked for meanwhile, and could not be done while it ran. */
static COLD void follow_up(struct runtime *rt, struct thread *t)
{
	rt->kicked = false;
	for (uint32_t i = 0; i < rt->base.servers; i++) {
		struct server *server = &rt->servers[i];
		uint32_t how = server->kicked;

		server->kicked = 0;
		if (how & UMCG_KICK_WAKE) {
			rt->version++;
			wake_server(rt, server);
		}
		if (how & UMCG_KICK_PREEMPT)
			ask_end(rt, server, UMCG_WHY_PREEMPTED);
	}
	if (rt->error)
		fail_policy(rt, UMCG_FAULT_ERROR, t);
}

static inline void followed(struct runtime *rt, struct thread *t)
{
	if (unlikely(rt->kicked || rt->error))
		follow_up(rt, t);
}

int policy_init(struct runtime *rt)
{
	struct actor *self;
	int failed;

	if (!rt->base.policy->init)
		return 0;
	self = go_in(IN_INIT, NULL);
	failed = rt->base.policy->init(&rt->base);
	come_out(self);
	return failed;
}

/* For a report, which nothing may follow. */
void policy_dump(struct runtime *rt)
{
	struct actor *self;

	if (!rt->base.policy->dump)
		return;
	self = go_in(IN_DUMP, NULL);
	rt->base.policy->dump(&rt->base);
	come_out(self);
}

void policy_ready(struct runtime *rt, struct thread *t, enum umcg_why why)
{
	struct actor *self = go_in(IN_READY, t);

	rt->base.policy->ready(&rt->base, &t->pub, why);
	come_out(self);
	followed(rt, t);
}

void policy_stopped(struct runtime *rt, struct thread *t, enum umcg_why why, uint64_t ran_ns)
{
	struct actor *self;

	if (!rt->base.policy->stopped)
		return;
	self = go_in(IN_STOPPED, t);
	rt->base.policy->stopped(&rt->base, &t->pub, why, ran_ns);
	come_out(self);
	followed(rt, t);
}

uint64_t policy_slice(struct runtime *rt, struct thread *t)
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

bool policy_before(struct runtime *rt, struct thread *a, struct thread *b)
{
	struct actor *self;
	bool before;

	/* It may have been replaced since the caller looked. */
	if (!rt->base.policy->before)
		return false;
	self = go_in(IN_BEFORE, a);
	before = rt->base.policy->before(&rt->base, &a->pub, &b->pub);
	come_out(self);
	followed(rt, a);
	return before;
}

/* Is it one of our threads, and one that may run? */
static enum umcg_fault check(struct runtime *rt, struct umcg_sched_thread *pub)
{
	if (!is_slot(rt, thread_of(pub)))
		return UMCG_FAULT_RUBBISH;
	if (likely(pub->state == UMCG_SCHED_READY))
		return UMCG_FAULT_NONE;
	return pub->state == UMCG_SCHED_RUNNING ? UMCG_FAULT_TWICE : UMCG_FAULT_NOT_READY;
}

struct thread *policy_next(struct runtime *rt, struct server *server)
{
	for (;;) {
		struct actor *self = go_in(IN_NEXT, NULL);
		struct umcg_sched_thread *pub = rt->base.policy->next(&rt->base, server->index);
		enum umcg_fault fault;

		come_out(self);
		followed(rt, NULL);
		if (!pub)
			return NULL;
		fault = check(rt, pub);
		if (likely(!fault))
			return thread_of(pub);
		/* Another has its place now, and may know better. */
		fail_policy(rt, fault, fault == UMCG_FAULT_RUBBISH ? NULL : thread_of(pub));
	}
}

static void host_kick(struct umcg_sched *s, uint32_t server, uint32_t how)
{
	struct runtime *rt = runtime_of(s);

	if (server >= s->servers) {
		umcg_error(s, "umcg_kick() of server %u of %u", server, s->servers);
		return;
	}
	rt->servers[server].kicked |= how;
	rt->kicked = true;
}

__attribute__((format(printf, 2, 3)))
static void host_error(struct umcg_sched *s, const char *format, ...)
{
	struct runtime *rt = runtime_of(s);
	va_list args;

	if (rt->error)
		return;	/* the first is what went wrong */
	va_start(args, format);
	vsnprintf(rt->said, sizeof(rt->said), format, args);
	va_end(args);
	rt->error = rt->said;
}

__attribute__((format(printf, 2, 3)))
static void host_print(struct umcg_sched *s, const char *format, ...)
{
	struct runtime *rt = runtime_of(s);
	size_t room = sizeof(rt->report) - rt->report_length;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(rt->report + rt->report_length, room, format, args);
	va_end(args);
	if (length > 0)
		rt->report_length += (size_t)length < room ? (size_t)length : room - 1;
}

const struct umcg_sched_host umcg_sched_host_table = {
	.kick = host_kick, .error = host_error, .print = host_print,
};
