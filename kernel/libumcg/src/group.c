// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Groups: created, destroyed. Their members: see register.c. */
#include <signal.h>

#include "internal.h"

#define SIGNAL_FLAGS	UMCG_GROUP_PREEMPT_SIGNAL(0x7f)
#define GROUP_FLAGS	(UMCG_GROUP_ENABLE_PREEMPTION | UMCG_GROUP_NEWEST_FIRST | \
			 UMCG_GROUP_KEEP_PREEMPTED | UMCG_GROUP_HOLD_SIGNALS | \
			 UMCG_GROUP_PASS_ON | UMCG_GROUP_RANKS | SIGNAL_FLAGS)

/* Basic tasks are in no group; for tracing they are in this one. */
struct umcg_group umcg_basic_group;

static void interrupt(int sig)
{
	(void)sig;
}

/*
 * The signal only has to interrupt the worker, so an empty handler does. One
 * that the application has installed serves as well and stays.
 */
static int prepare_signal(int sig)
{
	struct sigaction sa;

	if (sigaction(sig, NULL, &sa))
		return -1;
	if ((sa.sa_flags & SA_SIGINFO) ||
	    (sa.sa_handler != SIG_DFL && sa.sa_handler != SIG_IGN))
		return 0;
	sa.sa_handler = interrupt;
	sa.sa_flags = SA_RESTART;
	sigemptyset(&sa.sa_mask);
	return sigaction(sig, &sa, NULL);
}

/* Does the kernel know what a group with @flags needs? */
static bool has_features(uint32_t flags)
{
	long features = umcg_sys_ctl(UMCG_CTL_FEATURES, NULL);
	long needs = (flags & UMCG_GROUP_PASS_ON ? UMCG_FEATURE_ADOPT : 0) |
		     (flags & UMCG_GROUP_RANKS ? UMCG_FEATURE_RANK : 0);

	return features > 0 && (features & needs) == needs;
}

EXPORT umcg_t umcg_create_group(uint32_t flags)
{
	int sig = (flags & SIGNAL_FLAGS) >> 8;
	struct umcg_group *g;

	if (!umcg_enabled()) {
		errno = ENOSYS;
		return UMCG_NONE;
	}
	if ((flags & ~GROUP_FLAGS) || (sig && prepare_signal(sig))) {
		errno = EINVAL;
		return UMCG_NONE;
	}
	if (flags & UMCG_GROUP_RANKS)
		flags |= UMCG_GROUP_PASS_ON;
	if ((flags & UMCG_GROUP_PASS_ON) && !has_features(flags)) {
		errno = EOPNOTSUPP;
		return UMCG_NONE;
	}
	g = umcg_group_alloc();
	if (!g) {
		errno = ENOMEM;
		return UMCG_NONE;
	}
	umcg_idle_reset(g);
	store(&g->flags, sig ? flags | UMCG_GROUP_ENABLE_PREEMPTION : flags);
	store(&g->trace, 0);
	store(&g->trace_lost, 0);
	store_release(&g->members, 0);
	return g->handle;
}

EXPORT int umcg_destroy_group(umcg_t group)
{
	struct umcg_group *g = umcg_group_find(group);
	struct umcg_thread *self = umcg_self;

	if (!g)
		return umcg_fail_caller();
	/* A handler may have interrupted what holds the group's lock, which is needed below. */
	if (self && (self->inside || (load(&self->kind) != KIND_NONE &&
				      umcg_must_not_wait(self, load(&self->rec.state_ts)))))
		return umcg_fail(EAGAIN);
	if (!umcg_close_group(g))
		return umcg_fail(load(&g->members) < 0 ? EINVAL : EBUSY);
	umcg_group_free(g);
	return 0;
}
