// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Threads of the scheduler's own: made, registered, marked as what they are. */
#include <signal.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"

/*
 * Signals are for the program's own threads; the four tell of a policy that crashes,
 * if we handle them.
 */
static void block_signals(const struct runtime *rt, sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	if (!(rt->config.flags & UMCG_SCHED_NO_HANDLER)) {
		sigdelset(&all, SIGSEGV);
		sigdelset(&all, SIGBUS);
		sigdelset(&all, SIGILL);
		sigdelset(&all, SIGFPE);
	}
	pthread_sigmask(SIG_SETMASK, &all, old);
}

int actor_make(struct actor *actor, void *(*body)(void *actor), int cpu)
{
	struct runtime *rt = actor->rt;
	pthread_attr_t attr;
	sigset_t old;
	cpu_set_t set;
	int error;

	error = pthread_attr_init(&attr);
	if (error)
		goto out;
	if (cpu >= 0) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	block_signals(rt, &old);
	error = (rt->config.spawn ? rt->config.spawn : pthread_create)(&actor->thread, &attr, body, actor);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
out:
	actor->made = !error;
	errno = error;
	return error ? -1 : 0;
}

static int enlist(struct actor *self, bool server)
{
	if (guard_enter(self))
		return -1;
	self->task = umcg_get_utid();
	if ((server ? umcg_register_server(self->rt->group, 0) : umcg_register_basic_task(0)) != UMCG_NONE)
		return 0;
	guard_leave(self);
	return -1;
}

int actor_enlist(struct actor *self, bool server)
{
	int error;

	/*
	 * A handler that ends a server's sleep would pass for the wake-up that was
	 * promised to it, and the next one would wait for that to be consumed.
	 */
	block_signals(self->rt, &self->old_mask);
	self->tid = (pid_t)syscall(SYS_gettid);
	umcg_sched_actor = self;
	if (!enlist(self, server))
		return 0;
	error = errno;
	umcg_sched_actor = NULL;
	pthread_sigmask(SIG_SETMASK, &self->old_mask, NULL);
	errno = error;
	return -1;
}

void actor_resign(struct actor *self)
{
	umcg_unregister_task();
	guard_leave(self);
	umcg_sched_actor = NULL;
	pthread_sigmask(SIG_SETMASK, &self->old_mask, NULL);
}

static int start_report(struct runtime *rt, int error)
{
	pthread_mutex_lock(&rt->start_lock);
	rt->started++;
	if (error && !rt->start_error)
		rt->start_error = error;
	pthread_cond_broadcast(&rt->start_moved);
	pthread_mutex_unlock(&rt->start_lock);
	return error ? -1 : 0;
}

int actor_begin(struct actor *self, bool server)
{
	pthread_setname_np(pthread_self(), self->name);
	return start_report(self->rt, actor_enlist(self, server) ? errno : 0);
}
