// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Servers that find no work sleep, listed in sleepers. The tid of one of them is
 * in slot: what brings work (kernel or waker) takes it out and wakes that server.
 * One server is woken for one piece of work, and what else there is to do is
 * passed on. What must hold, and what ensures it:
 *
 * 1. A server is in the slot only while it sleeps for work: IDLE|FREE. Only its own
 *    word says whether it does. A late look at the slot never wakes a server that
 *    meanwhile runs a worker; what has taken one out wakes it if it sleeps
 *    for work, however often it has run meanwhile.	umcg_nudge(), the kernel
 * 2. Work is published before the slot is read, and the slot filled before work
 *    is looked for, both sequentially consistent: one side sees the other.
 *						umcg_nudge(), sleep_for_work()
 * 3. While there is work and a sleeper, some server is awake that will take care of
 *    both. A server that was woken, or that leaves for any other reason, first
 *    puts the next sleeper into the slot, then looks for work. A server that takes
 *    a worker and sees that there are more, wakes the server that is in the slot.
 *						take(), umcg_relay()
 * 4. A server that does not sleep any more is neither in sleepers nor in the slot
 *    when it does anything else, so that its memory can be used again.
 *						umcg_end_sleep()
 *
 * Where places pass on, each server has a slot of its own, and nobody has to be put
 * there by others: see place.c.
 *
 * 3 is as good as the server that is awake: while the system does not let it run
 * (a signal handler, a debugger, a task of higher priority), others sleep on, until
 * a server comes back from its worker and sees it: umcg_relay() in run.c.
 * umcg_get_idle_worker(3) says so.
 */
#include "cancel.h"
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
 * Under lock. If the slot is empty put a sleeper there; those that have
 * been woken but have not run yet are no sleepers any more. Filled only here.
 */
static void fill_empty_slot(struct umcg_group *g)
{
	struct umcg_thread *t;

	while ((t = g->sleepers)) {
		if (load(&t->rec.state_ts) & FREE) {
			store_release(&g->slot_server, t);
			__atomic_store_n(&g->slot, (uint32_t)t->tid, __ATOMIC_SEQ_CST);
			return;
		}
		unlist_sleeper(t);
	}
}

static inline void fill_slot(struct umcg_group *g)
{
	if (load(&g->sleepers) && !load(&g->slot))
		fill_empty_slot(g);
}

/*
 * Take the server out of the slot. NULL if it is empty. While a tid stands there
 * @slot_server is whose it is. That a thread has ended without leaving the slot
 * should not be, but if it has, no task may wait here for ever.
 */
static struct umcg_thread *take_from_slot(struct umcg_group *g)
{
	uint32_t tid = __atomic_load_n(&g->slot, __ATOMIC_SEQ_CST);
	struct umcg_thread *t;
	bool there;

	while (tid) {
		t = load_acquire(&g->slot_server);
		there = t && (uint32_t)load(&t->tid) == tid;
		/* Another one may have been stored in between: then the slot has changed. */
		if (!there && __atomic_load_n(&g->slot, __ATOMIC_SEQ_CST) == tid)
			there = t == load_acquire(&g->slot_server);
		if (there &&
		    __atomic_compare_exchange_n(&g->slot, &tid, 0, false, __ATOMIC_SEQ_CST,
						__ATOMIC_RELAXED))
			return t;
		tid = __atomic_load_n(&g->slot, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/*
 * Wake the server in the slot, if there is one: there is work. The caller is
 * LOCKED if it is a worker.
 */
void umcg_nudge(struct umcg_thread *self, struct umcg_group *g)
{
	struct umcg_thread *t;
	uint64_t s;

	if (unlikely(load(&g->places))) {
		umcg_wake_free(self, g);
		return;
	}
	umcg_step_begins(self);
	t = take_from_slot(g);
	/* By now it may even be another thread's task, which has another tid. */
	s = t ? load_acquire(&t->rec.state_ts) : RUNNING;
	while (s & FREE) {
		pid_t sleeper = load(&t->tid);

		if (umcg_change(t, &s, umcg_awake(s), umcg_get_time_ns())) {
			umcg_sys_wake(self, sleeper, false);
			break;
		}
	}
	umcg_step_ends(self);
}

/* Put a server that sleeps into the slot, and wake it if there is work. */
void umcg_relay_now(struct umcg_thread *self, struct umcg_group *g)
{
	bool work;

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

/*
 * Take a worker, and pass on what else there is to do. @passes: the server's place
 * passes on.
 */
static inline __attribute__((always_inline))
struct umcg_thread *take(struct umcg_thread *self, struct umcg_group *g, bool passes)
{
	struct umcg_thread *w;
	unsigned int spins = 0;
	bool again, work;

	for (;; umcg_relax(&spins)) {
		umcg_lock_group(self, g);
		fill_slot(g);
		w = umcg_next_ready(g, &again);
		if (passes)
			umcg_stand_in(g);
		work = w && (passes || load(&g->slot)) && umcg_has_work(g);
		umcg_unlock_group(self, g);
		if (!again)
			break;
	}
	if (w) {
		if (umcg_traced(g))
			trace_pop(self, w);
		umcg_hold(g, w);
		if (passes)
			umcg_set_held(g, w, true);
	}
	if (work)
		umcg_nudge(self, g);
	return w;
}

static COLD struct umcg_thread *take_passing(struct umcg_thread *self, struct umcg_group *g)
{
	return take(self, g, true);
}

/*
 * Become IDLE and go into the list of sleepers. False: a wake-up was queued, which is
 * consumed. IDLE comes before the slot, as the task that finds us there wakes us only then.
 */
static bool begin_sleep(struct umcg_thread *self, struct umcg_group *g)
{
	uint64_t now = umcg_get_time_ns(), s;
	bool sleeps = false;

	umcg_step_begins(self);
	s = load(&self->rec.state_ts);
	store(&self->mode, MODE_GET);
	store(&self->rec.next_tid, 0);
	do {
		if (s & QUEUED) {
			umcg_consume(self, s);
			goto out;
		}
	} while (!umcg_change(self, &s, IDLE | FREE, now));
	umcg_trace(self, UMCG_TRACE_SLEEP, RUNNING, IDLE, 0, 0);

	if (unlikely(self->seat)) {
		__atomic_store_n(&g->slots[self->seat - 1], (uint32_t)self->tid,
				 __ATOMIC_SEQ_CST);
	} else {
		umcg_lock_group(self, g);
		list_sleeper(g, self);
		fill_slot(g);
		umcg_unlock_group(self, g);
	}
	sleeps = true;
out:
	umcg_step_ends(self);
	return sleeps;
}

/*
 * Server @t, the caller or one whose thread has ended, is off the list and out of
 * the slot. The slot under lock: the task that fills it may have seen @t IDLE a moment ago,
 * and a server that stays there is in the way of all the others.
 */
void umcg_leave_sleepers(struct umcg_thread *self, struct umcg_group *g,
			 struct umcg_thread *t)
{
	uint32_t tid = (uint32_t)load(&t->tid);
	bool locked;

	if (unlikely(load(&t->seat))) {
		store(&g->slots[t->seat - 1], 0);
		return;
	}
	umcg_step_begins(self);
	locked = umcg_lock_self(self);
	umcg_lock_group(self, g);
	unlist_sleeper(t);
	__atomic_compare_exchange_n(&g->slot, &tid, 0, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_RELAXED);
	umcg_unlock_group(self, g);
	umcg_unlock_self(self, locked);
	umcg_step_ends(self);
}

/* Awake, for whatever reason: RUNNING, off the list and out of the slot. */
void umcg_end_sleep(struct umcg_thread *self, struct umcg_group *g)
{
	uint64_t s = load_acquire(&self->rec.state_ts);

	while ((s & STATE) == IDLE &&
	       !umcg_change(self, &s, umcg_awake(s), umcg_get_time_ns()))
		;
	umcg_leave_sleepers(self, g, self);
	store(&self->mode, MODE_WAIT);
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
		ret = umcg_wait_guarded(self, 0);
	umcg_end_sleep(self, g);
	return (int)-ret;
}

EXPORT umcg_tid umcg_get_idle_worker(bool wait)
{
	struct umcg_thread *self = umcg_calling_server(), *w;
	struct umcg_group *g;
	int error = 0;

	if (unlikely(!self))
		return UMCG_NONE;
	g = self->group;
	/* Work comes before errors: a signal does not keep a worker waiting. */
	for (;;) {
		w = unlikely(self->seat) ? take_passing(self, g) : take(self, g, false);
		if (w)
			return w->utid;
		if (!wait || error)
			break;
		/*
		 * A queued wake-up is consumed, and must end this call: its sender
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
