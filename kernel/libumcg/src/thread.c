// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The calling thread's task: from first use to the end of the thread, and fork(). */
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "internal.h"
#include "ring.h"

__thread struct umcg_thread *umcg_self;
/*
 * The last round of destructors. ThreadSanitizer's run time leaves a thread in that of the
 * system, before us, and what is built with it must not run afterwards.
 */
#ifdef __SANITIZE_THREAD__
#define LAST_ROUND	(PTHREAD_DESTRUCTOR_ITERATIONS - 1)
#else
#define LAST_ROUND	PTHREAD_DESTRUCTOR_ITERATIONS
#endif

static __thread unsigned int rounds;	/* of them that have been */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool key_made;

/*
 * A thread that ends registered leaves properly, so its server is told: in the
 * last round of destructors, as those of others may wait, or block.
 */
static void thread_ends(void *thread)
{
	struct umcg_thread *self = thread;

	if (++rounds < LAST_ROUND && !pthread_setspecific(key, self))
		return;
	rounds = LAST_ROUND;
	if (load(&self->kind) != KIND_NONE) {
		/* Cancelled, or ended in a signal handler, in the middle of something. */
		if (self->inside || (load_acquire(&self->rec.state_ts) & (STATE | LOCKED)) !=
				    RUNNING)
			umcg_end_wait(self);
		if (!umcg_leave(self))
			return;
	}
	umcg_self = NULL;
	umcg_thread_free(self);
}

/*
 * The child of fork() has one thread, which is no UMCG task. Whatever the others
 * were in the middle of will never be finished, so every list starts anew.
 */
static void forked(void)
{
	struct umcg_thread *t;
	struct umcg_group *g;
	uint32_t i;

	for (i = 0; (t = umcg_thread_at(i)); i++) {
		if (load(&t->utid) <= 0)
			continue;
		umcg_ring_drop(t);
		store(&t->kind, KIND_NONE);
		store(&t->tid, 0);
		store(&t->group, &umcg_basic_group);
		store(&t->pprev, NULL);
		store(&t->waits_for, UMCG_NONE);
		store(&t->rec.state_ts, NONE);
		t->inside = 0;
		if (t != umcg_self)
			umcg_thread_free(t);
	}
	for (i = 0; (g = umcg_group_at(i)); i++) {
		umcg_idle_reset(g);
		if (load(&g->members) > 0)
			store(&g->members, 0);
	}
}

static void make_key(void)
{
	key_made = !pthread_key_create(&key, thread_ends) &&
		   !pthread_atfork(NULL, NULL, forked);
}

struct umcg_thread *umcg_thread_self(void)
{
	struct umcg_thread *self = umcg_self;

	if (likely(self))
		return self;
	pthread_once(&once, make_key);
	/* After the last round no task would take back what the thread gets now. */
	if (!key_made || rounds == LAST_ROUND)
		return NULL;
	self = umcg_thread_alloc();
	if (!self)
		return NULL;
	if (pthread_setspecific(key, self)) {
		umcg_thread_free(self);
		return NULL;
	}
	umcg_self = self;
	return self;
}

EXPORT umcg_tid umcg_get_utid(void)
{
	struct umcg_thread *self = umcg_thread_self();

	if (self)
		return load(&self->utid);
	errno = ENOMEM;
	return UMCG_NONE;
}
