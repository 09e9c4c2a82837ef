// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Waits that pthread_cancel() ends.
 *
 * The waits are cancellation points, nothing else in the library is one. The
 * stack is unwound from within the system call. Its caller has a guard there,
 * which calls umcg_end_wait(): a server or basic task becomes RUNNING again and is
 * on no list, so that the clean-up handlers of the application run as they would
 * at any other cancellation point. A worker's run at once, too, but without a server.
 *
 * The guard costs nothing where no thread is cancelled. It covers a call, and so
 * works at whatever instruction of the callee the signal arrives.
 */
#include "cancel.h"

/*
 * We are in the middle of umcg_wait() or the like, LOCKED, and have not switched
 * yet to the task that next_tid names. That one is woken. We have no server: on
 * the list one may find us.
 */
static void end_switch(struct umcg_thread *self, uint64_t s)
{
	umcg_sys_wake(self, (pid_t)load(&self->rec.next_tid), false);
	if ((s & IN_WAIT) && !umcg_is_listed(self)) {
		while (!umcg_mark(self, &s, IDLE | LOCKED | (s & QUEUED)))
			;
		umcg_push_idle(self->group, self);
		umcg_nudge(self, self->group);
	}
	umcg_clear(self, LOCKED);
}

/*
 * The calling worker does not wait any more. Has a server just run it, it goes on
 * with that. Else it has none, and waits for none, as no server may come that runs it: to
 * the kernel it is in a signal handler that it never leaves. Returns whether it has one.
 */
static bool end_wait_worker(struct umcg_thread *self)
{
	uint64_t s = load_acquire(&self->rec.state_ts);
	unsigned int spins = 0;

	/* A server that is about to run us. */
	for (; (s & (STATE | LOCKED | OWN)) == (RUNNING | LOCKED);
	     s = load_acquire(&self->rec.state_ts))
		umcg_relax(&spins);

	if ((s & STATE) == RUNNING) {
		/* Returns at once, and the kernel knows that it runs. */
		umcg_sys_wait(UMCG_WAIT_CLOCK_MONOTONIC, 0);
		return true;
	}
	if ((s & (STATE | LOCKED)) == (IDLE | LOCKED))
		end_switch(self, s);
	return false;
}

/* The calling server gets its place back: the task that has it is preempted. */
static void evict(struct umcg_thread *self)
{
	const uint64_t patience = 1000000;	/* ns; the worker may be LOCKED just now */
	struct umcg_thread *w;

	/* next_tid is as it was: perhaps we have not switched yet. */
	while ((load_acquire(&self->rec.state_ts) & STATE) != RUNNING) {
		if (self->seat && umcg_want_place(self))
			break;
		w = self->seat ? umcg_by_tid((pid_t)load(&self->rec.tenant_tid)) :
				 umcg_find(load(&self->worker));
		if (w)
			umcg_interrupt_worker(w, self);
		umcg_sys_wait(UMCG_WAIT_CLOCK_MONOTONIC, umcg_get_time_ns() + patience);
		store(&self->rec.next_tid, 0);
	}
}

/* The calling server or basic task sleeps no more. */
static void end_wait_server(struct umcg_thread *self)
{
	uint64_t s = load_acquire(&self->rec.state_ts);
	struct umcg_thread *w;
	umcg_tid utid;

	switch (load(&self->mode)) {
	case MODE_GET:
		umcg_end_sleep(self, self->group);
		/* It may have been woken for work, which is another one's now. */
		umcg_relay_now(self, self->group);
		break;
	case MODE_RUN:
		evict(self);
		utid = umcg_place_is_back(self);
		/* As above, where its place was FREE. */
		if (self->seat)
			umcg_relay_now(self, self->group);
		w = umcg_find(utid);
		if (w && umcg_is_preempted(utid) && !umcg_give_back(self, w, utid))
			umcg_nudge(self, self->group);
		break;
	default:
		while ((s & STATE) == IDLE &&
		       !umcg_change(self, &s, umcg_awake(s), umcg_get_time_ns()))
			;
		/* Made RUNNING by us, but perhaps not switched to yet. */
		if (load(&self->rec.next_tid))
			umcg_sys_wake(self, (pid_t)load(&self->rec.next_tid), false);
		store(&self->rec.next_tid, 0);
	}
}

/*
 * The stack of the calling thread is being unwound, or has been: by
 * pthread_cancel(), or by pthread_exit() in a signal handler: it waits no more.
 */
void umcg_end_wait(struct umcg_thread *self)
{
	/* pthread_exit() in a handler that has interrupted a step: that step is given up. */
	if (load(&self->rec.state_ts) & OWN)
		umcg_unlock_self(self, true);
	self->inside = 0;
	umcg_step_begins(self);
	if (self->kind != KIND_WORKER)
		end_wait_server(self);
	else if (!end_wait_worker(self))
		/*
		 * The step never ends: its word says RUNNING for a moment when a server
		 * is about to run it, and what waits must be refused then, too.
		 */
		return;
	umcg_step_ends(self);
}
