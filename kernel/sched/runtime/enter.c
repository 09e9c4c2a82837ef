// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Threads enter, leave, give way. */
#include <unistd.h>
#include <sys/syscall.h>

#include "internal.h"

static const struct umcg_sched_attr ordinary = { .weight = UMCG_WEIGHT_NORMAL };

/* The first lines of a thread's life with us: it is still a plain thread, which may lock. */
static struct thread *settle(struct runtime *rt, const struct umcg_sched_attr *attr, uint64_t tag)
{
	sigset_t all, old;
	struct thread *t;

	/* A handler of the program's must not run with the lock held. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	lock(rt);
	t = rt->closing ? NULL : slot_get(rt);
	if (t) {
		store(&t->tag, tag);
		store(&t->tid, (pid_t)syscall(SYS_gettid));
		t->pub.deadline_ns = attr->deadline_ns;
		t->pub.expected_ns = attr->expected_ns;
		t->pub.weight = attr->weight ? attr->weight : UMCG_WEIGHT_NORMAL;
		t->pub.priority = attr->priority;
		t->pub.tenant = attr->tenant;
		store(&t->pub.klass, attr->klass);
		t->copy = attr->stats;
		t->checked_cpu_ns = cpu_time_of(t->tid);
		if (rt->passing)
			passing_enter(t);
		__atomic_store_n(&t->task, umcg_get_utid(), __ATOMIC_RELEASE);
	}
	unlock(rt);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return t;
}

EXPORT int umcg_sched_enter(struct umcg_sched *s, const struct umcg_sched_attr *attr, uint64_t tag)
{
	struct runtime *rt = runtime_of(s);
	struct thread *t;
	int error;

	attr = attr ? attr : &ordinary;
	if (umcg_sched_self || umcg_sched_actor || attr->tenant >= UMCG_TENANTS ||
	    attr->weight > UMCG_WEIGHT_MAX) {
		errno = EINVAL;
		return -1;
	}
	t = settle(rt, attr, tag);
	if (!t) {
		errno = EAGAIN;
		return -1;
	}
	umcg_sched_self = t;
	if (umcg_register_worker(rt->group, (intptr_t)t) != UMCG_NONE)
		return 0;
	error = errno;
	umcg_sched_self = NULL;
	lock(rt);
	slot_put(rt, t);
	unlock(rt);
	errno = error;
	return -1;
}

EXPORT int umcg_sched_leave(void)
{
	struct thread *t = umcg_sched_self;

	if (!t) {
		errno = EINVAL;
		return -1;
	}
	/* From the next line on the slot may be another's. */
	umcg_sched_self = NULL;
	if (!umcg_unregister_task())
		return 0;
	umcg_sched_self = t;
	return -1;
}

EXPORT int umcg_sched_yield(void)
{
	struct thread *t = umcg_sched_self;

	if (!t) {
		errno = EINVAL;
		return -1;
	}
	/*
	 * A preemption asked for by itself: wake-ups sent to it meanwhile stay queued.
	 * umcg_yield() would put it on the idle list, where the thread that finds it first
	 * would take it for one that was woken.
	 */
	atomic_store_explicit(&t->yields, true, memory_order_relaxed);
	if (!umcg_preempt_worker(t->task))
		return 0;
	atomic_store_explicit(&t->yields, false, memory_order_relaxed);
	return -1;
}
