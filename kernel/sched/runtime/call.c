// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Calls of the policy that are rare, and what it may call itself. See call.h. */
#include <stdarg.h>
#include <stdio.h>

#include "call.h"

__thread struct actor *umcg_sched_actor;

/* What the policy has asked for meanwhile, and could not be done while it ran. */
COLD void follow_up(struct runtime *rt, struct thread *t)
{
	rt->asks = false;
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

/* next() has returned @pub, which is not one of our threads that may run. */
COLD void refuse_next(struct runtime *rt, struct umcg_sched_thread *pub)
{
	enum umcg_fault fault = UMCG_FAULT_NOT_READY;

	if (!is_slot(rt, thread_of(pub)))
		fault = UMCG_FAULT_RUBBISH;
	else if (pub->state == UMCG_SCHED_RUNNING)
		fault = UMCG_FAULT_TWICE;
	fail_policy(rt, fault, fault == UMCG_FAULT_RUBBISH ? NULL : thread_of(pub));
}

static void host_kick(struct umcg_sched *s, uint32_t server, uint32_t how)
{
	struct runtime *rt = runtime_of(s);

	if (server >= s->servers) {
		umcg_error(s, "umcg_kick() of server %u of %u", server, s->servers);
		return;
	}
	rt->servers[server].kicked |= how;
	rt->asks = true;
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
	rt->asks = true;
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
