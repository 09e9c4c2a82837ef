// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Servers that find no work sleep, listed in sleepers. The tid of one of them is
 * in slot: who brings work (kernel or waker) takes it out and wakes that server.
 * One server is woken for one piece of work, and what else there is to do is
 * passed on:
 *
 * - A server that has been woken, or leaves for any other reason, first puts the
 *   next sleeper into the slot, then looks for work.
 * - A server that takes a worker and sees that there are more, wakes whoever is
 *   in the slot.
 *
 * So while there is work and a sleeper, some server is on its way that will take
 * care of both. Work is published before the slot is read, and the slot filled
 * before work is looked for, both sequentially consistent: one side sees the
 * other. A server is in the slot only while it sleeps for work, and only its own
 * word says whether it does: a late look at the slot never wakes a server that
 * meanwhile runs a worker.
 */
#include "idle.h"

static void list_sleeper(struct umcg_group *g, struct umcg_thread *t)
{
	struct umcg_thread *first = g->sleepers;

	store(&t->next, first);
	t->pprev = &g->sleepers;
	if (first)
		first->pprev = &t->next;
	store(&g->sleepers, t);
}

static void unlist_sleeper(struct umcg_thread *t)
{
	if (!t->pprev)
		return;
	if (t->next)
		t->next->pprev = t->pprev;
	store(t->pprev, t->next);
	t->pprev = NULL;
}

/*
 * Under lock. If nobody is in the slot put a sleeper there; those that somebody
 * has woken but that have not run yet are no sleepers any more. Filled only here.
 */
static void fill_slot(struct umcg_group *g)
{
	struct umcg_thread *t;

	if (load(&g->slot))
		return;
	while ((t = g->sleepers)) {
		if ((load(&t->rec.state_ts) & STATE) == IDLE) {
			store_release(&g->slot_server, t);
			__atomic_store_n(&g->slot, (uint32_t)t->tid, __ATOMIC_SEQ_CST);
			return;
		}
		unlist_sleeper(t);
	}
}

/*
 * Wake the server in the slot, if there is one: there is work. The caller is
 * LOCKED if it is a worker. Having taken a server out of the slot we must not
 * give up on it: it is woken if it still sleeps for work, however often it has
 * got up meanwhile. (The kernel, which does not know what a server sleeps for,
 * gives up; run.c makes good for that.)
 */
void umcg_nudge(struct umcg_thread *self, struct umcg_group *g)
{
	uint8_t inside = self->inside;
	struct umcg_thread *t;
	uint32_t tid;
	uint64_t s;

	self->inside = 1;
	do {
		tid = __atomic_load_n(&g->slot, __ATOMIC_SEQ_CST);
		if (!tid)
			goto out;
		t = load_acquire(&g->slot_server);
		/* Not the same: one was stored in between. */
	} while (!t || (uint32_t)load(&t->tid) != tid ||
		 !__atomic_compare_exchange_n(&g->slot, &tid, 0, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));

	/* By now it may even be another thread's task, which has another tid. */
	s = load_acquire(&t->rec.state_ts);
	while ((s & STATE) == IDLE && load(&t->mode) == MODE_GET) {
		pid_t sleeper = load(&t->tid);

		if (umcg_change(t, &s, (s & FLAGS & ~STATE) | RUNNING,
				umcg_get_time_ns())) {
			umcg_sys_wake(self, sleeper, false);
			break;
		}
	}
out:
	self->inside = inside;
}

/* A server has been busy elsewhere: is everything as the rules above want it? */
void umcg_relay(struct umcg_thread *self, struct umcg_group *g)
{
	bool work;

	if (likely(load(&g->slot) || !load(&g->sleepers)))
		return;
	umcg_lock_group(self, g);
	fill_slot(g);
	work = umcg_has_work(g);
	umcg_unlock_group(self, g);
	if (work)
		umcg_nudge(self, g);
}

static COLD void trace_pop(struct umcg_thread *self, struct umcg_thread *w)
{
	uint64_t s = load_acquire(&w->rec.state_ts);

	umcg_trace_emit(w, UMCG_TRACE_POP, s & FLAGS, s & FLAGS & ~IN_WAIT, self->tid, s);
}

/* Take a worker, and pass on what else there is to do. */
static struct umcg_thread *take(struct umcg_thread *self, struct umcg_group *g)
{
	struct umcg_thread *w;
	unsigned int spins = 0;
	bool again, work;

	for (;; umcg_relax(&spins)) {
		umcg_lock_group(self, g);
		fill_slot(g);
		w = umcg_next_ready(g, &again);
		work = w && load(&g->slot) && umcg_has_work(g);
		umcg_unlock_group(self, g);
		if (!again)
			break;
	}
	if (w) {
		if (umcg_traced(g))
			trace_pop(self, w);
		umcg_hold(g, w);
	}
	if (work)
		umcg_nudge(self, g);
	return w;
}

/*
 * Go IDLE and into the list of sleepers. False: a wake-up was queued, which is
 * consumed. IDLE comes before the slot, as who finds us there wakes us only then.
 */
static bool begin_sleep(struct umcg_thread *self, struct umcg_group *g)
{
	uint64_t now = umcg_get_time_ns(), s = load(&self->rec.state_ts);

	store(&self->mode, MODE_GET);
	store(&self->rec.next_tid, 0);
	do {
		if (s & QUEUED) {
			umcg_consume(self, s);
			return false;
		}
	} while (!umcg_change(self, &s, IDLE, now));
	umcg_trace(self, UMCG_TRACE_SLEEP, RUNNING, IDLE, 0, 0);

	umcg_lock_group(self, g);
	list_sleeper(g, self);
	fill_slot(g);
	umcg_unlock_group(self, g);
	return true;
}

/*
 * Awake, for whatever reason: RUNNING, off the list and out of the slot. The slot
 * comes last and under lock: who fills it may have seen us IDLE a moment ago, and
 * a server that stays there when it leaves is in the way of all the others.
 */
static void end_sleep(struct umcg_thread *self, struct umcg_group *g)
{
	uint32_t tid = (uint32_t)self->tid;
	uint64_t s = load_acquire(&self->rec.state_ts);

	while ((s & STATE) == IDLE &&
	       !umcg_change(self, &s, (s & FLAGS & ~STATE) | RUNNING, umcg_get_time_ns()))
		;
	umcg_lock_group(self, g);
	unlist_sleeper(self);
	__atomic_compare_exchange_n(&g->slot, &tid, 0, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_RELAXED);
	umcg_unlock_group(self, g);
	umcg_trace(self, UMCG_TRACE_WAKE, IDLE, RUNNING, 0, 0);
}

/*
 * Sleep until there may be work. Returns 0, or EINTR after a signal handler.
 * A wake-up by umcg_wake() is left QUEUED.
 */
static int sleep_for_work(struct umcg_thread *self, struct umcg_group *g)
{
	long ret = 0;
	bool work;

	/* What came before we could be found. */
	umcg_lock_group(self, g);
	work = umcg_has_work(g);
	umcg_unlock_group(self, g);
	while (!work && !ret && (load_acquire(&self->rec.state_ts) & STATE) == IDLE)
		ret = umcg_sys_wait(UMCG_WAIT_CLOCK_MONOTONIC, 0);
	end_sleep(self, g);
	return (int)-ret;
}

EXPORT umcg_tid umcg_get_idle_worker(bool wait)
{
	struct umcg_thread *self = umcg_caller(), *w;
	struct umcg_group *g;
	int error = 0;

	if (unlikely(!self)) {
		umcg_fail_caller();
		return UMCG_NONE;
	}
	if (unlikely(self->kind != KIND_SERVER || self->inside ||
		     (load(&self->rec.state_ts) & STATE) != RUNNING)) {
		errno = EINVAL;
		return UMCG_NONE;
	}
	g = self->group;
	/* Work comes before errors: a signal does not keep a worker waiting. */
	for (;;) {
		w = take(self, g);
		if (w)
			return w->utid;
		if (!wait || error)
			break;
		/*
		 * A queued wake-up is consumed, and must end this call: who sent it
		 * may wait for that. A worker that came meanwhile is the next call's.
		 */
		if (!begin_sleep(self, g)) {
			error = EINTR;
			break;
		}
		error = sleep_for_work(self, g);
	}
	errno = error;
	return UMCG_NONE;
}
