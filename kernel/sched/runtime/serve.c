// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The servers' loop: one turn after the other. */
#include "call.h"

static enum umcg_why why_asked(struct server *self)
{
	uint32_t asked = atomic_load_explicit(&self->asked, memory_order_relaxed);

	return asked ? asked - 1 : UMCG_WHY_PREEMPTED;
}

static inline __attribute__((always_inline))
enum umcg_why why_off(struct server *self, struct thread *t, umcg_tid back, int error)
{
	uint64_t state;

	/* Not run at all: a thread has swapped to it meanwhile. It comes back by itself. */
	if (unlikely(back == UMCG_NONE && error))
		return UMCG_WHY_WAITING;
	/* It has left, or is about to (RUNNING); or it swapped to one that has, and waits. */
	if (back != t->task)
		return umcg_state_of(umcg_get_task_state(t->task)) == UMCG_TASK_IDLE ? UMCG_WHY_WAITING
										      : UMCG_WHY_ENDED;
	state = umcg_get_task_state(back);
	/* The commonest first: one that is preempted is IDLE. */
	if (umcg_state_of(state) != UMCG_TASK_BLOCKED && umcg_is_preempted(back)) {
		if (atomic_exchange_explicit(&t->yields, false, memory_order_relaxed))
			return UMCG_WHY_YIELDED;
		return why_asked(self);
	}
	return state & UMCG_UTF_WORKER_IN_WAIT ? UMCG_WHY_WAITING : UMCG_WHY_BLOCKED;
}

COLD enum umcg_why why_back(struct server *self, struct thread *t, umcg_tid back)
{
	return why_off(self, t, back, 0);
}

/*
 * Threads may swap to each other (umcg_swap()), so that another comes back than
 * was run. To the policy the turn was that of the first.
 */
static COLD void other_back(struct runtime *rt, umcg_tid back)
{
	struct thread *t = (struct thread *)umcg_get_task_tag(back);

	if (t && umcg_is_preempted(back) && t->pub.state == UMCG_SCHED_BLOCKED)
		be_ready(rt, t, UMCG_WHY_PREEMPTED);
}

/* Where places pass on: was it run, so that its turn is not the only one there was? */
static COLD bool returned(struct server *self, bool early, umcg_tid back, int error)
{
	self->lent = false;
	if (early || (back == UMCG_NONE && error))
		return false;
	take_back(self, back, error);
	return true;
}

/* Under lock, but while a thread runs. False: this server is dismissed. */
static bool serve_one(struct server *self)
{
	struct runtime *rt = self->actor.rt;
	struct thread *t;
	umcg_tid task, back;
	uint64_t turn;
	bool early;
	int error;

	take_arrivals(rt);
	t = policy_next(rt, self);
	if (!t) {
		if (rt->closing)
			return false;
		sleep_for_work(self);
		return true;
	}
	begin_turn(rt, self, t);
	pass_on(rt);
	if (unlikely(rt->passing))
		lend_place(self);
	turn = t->turn;
	task = t->task;
	unlock(rt);

	/* Asked for before it could be done: it is, without a switch. */
	early = atomic_load(&self->asked);
	back = unlikely(early) ? task : umcg_run_worker(task);
	error = errno;

	lock(rt);
	tick(rt, umcg_get_time_ns());
	if (unlikely(rt->passing) && returned(self, early, back, error))
		return true;
	/* The one that found it on the idle list before us has ended the turn. */
	if (t->turn == turn && t->pub.state == UMCG_SCHED_RUNNING)
		end_turn(rt, t, unlikely(early) ? why_asked(self) : why_off(self, t, back, error));
	if (unlikely(back != task))
		other_back(rt, back);
	return true;
}

/* The last wake-up that was promised is waited for: it must not hit what comes after. */
static void depart(struct server *self)
{
	struct runtime *rt = self->actor.rt;
	bool owed = self->sleep == WOKEN;

	self->sleep = AWAKE;
	self->there = false;
	unlock(rt);
	if (owed)
		umcg_wait(0);
	lock(rt);
}

/* The calling thread is enlisted as @self. */
void serve(struct server *self)
{
	struct runtime *rt = self->actor.rt;

	lock(rt);
	rt->attached++;
	self->there = true;
	tick(rt, umcg_get_time_ns());
	if (sigsetjmp(self->actor.env, 0))
		recover(&self->actor);
	while (serve_one(self))
		;
	depart(self);
	unlock(rt);
}
