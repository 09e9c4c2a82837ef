// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The scheduler of this process: made with the first thread, and once more in a child
 * of fork() that makes threads.
 */
#include <errno.h>
#include <signal.h>

#include "preload.h"

enum { IMPOSSIBLE, DOWN, UP };

static _Atomic int state;
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
static struct umcg_sched *sched, *inherited;

bool servers_are_up(void)
{
	return atomic_load_explicit(&state, memory_order_acquire) == UP;
}

static bool make(void)
{
	const struct umcg_sched_config config = {
		.size = sizeof(config), .policy = settings.policy, .servers = settings.servers,
		/* Handlers of signals are the program's. */
		.flags = UMCG_SCHED_NO_HANDLER | (settings.pass_on ? UMCG_SCHED_PASS_ON : 0),
		.spawn = real_functions()->create,
		.event = records_ring() ? event_decided : NULL,
	};
	char why[UMCG_SENTENCE];

	/* The parent's: here it has no threads, and is not used. */
	if (inherited)
		umcg_sched_destroy(inherited);
	inherited = NULL;
	sched = umcg_sched_create(&config, why);
	if (!sched) {
		say("umcg-run: %s: threads stay plain\n", why);
		return false;
	}
	if (!umcg_sched_start(sched))
		return true;
	say("umcg-run: no servers (errno %d): threads stay plain\n", errno);
	umcg_sched_destroy(sched);
	sched = NULL;
	return false;
}

bool servers_ensure(void)
{
	sigset_t all, old;
	int cancel, now = atomic_load_explicit(&state, memory_order_acquire);

	if (now != DOWN)
		return now == UP;
	/* It waits, and neither a handler nor a cancellation may end it half-way. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	pthread_mutex_lock(&making);
	if (atomic_load(&state) == DOWN) {
		records_begin_process();
		atomic_store(&state, make() ? UP : IMPOSSIBLE);
	}
	pthread_mutex_unlock(&making);
	pthread_setcancelstate(cancel, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return servers_are_up();
}

bool servers_enter(struct run_record *r)
{
	int failed, cancel, error = errno;

	/* To begin is no cancellation point. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	r->attr.stats = settings.shared[0] && !r->loose ? &r->stats : NULL;
	r->stats.state = r->attr.stats ? UMCG_SCHED_BLOCKED : UMCG_SCHED_NONE;
	r->task = umcg_get_utid();
	r->scheduled = true;
	failed = umcg_sched_enter(sched, &r->attr, (uint64_t)r->order);
	r->scheduled = !failed;
	if (failed)
		r->stats.state = UMCG_SCHED_NONE;
	pthread_setcancelstate(cancel, NULL);
	errno = error;
	return !failed;
}

void servers_allow(void)
{
	atomic_store(&state, DOWN);
}

void servers_forked(void)
{
	static const pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

	making = fresh;
	/* Half made, it is left as it is. */
	if (!servers_are_up())
		return;
	inherited = sched;
	sched = NULL;
	atomic_store(&state, DOWN);
}
