// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_swap(): wake one and wait, as one switch. */
#include "cancel.h"

/* The general case: the two steps one after the other. */
static int wake_and_wait(struct umcg_thread *self, struct umcg_thread *t, umcg_tid utid,
			 uint64_t abs_timeout)
{
	if (umcg_wake_thread(self, t, utid, true, true))
		return -1;
	return umcg_wait(abs_timeout);
}

#define TRY_AGAIN	1	/* @t is not as it was: nothing has been done */

/*
 * Servers. @t, with word @s, waits. It is made RUNNING first, though it sleeps
 * until our system call: should it be up already (it was interrupted) and swap
 * back before we are IDLE, that wake-up is queued and we do not sleep.
 */
static inline __attribute__((always_inline))
int swap_server(struct umcg_thread *self, struct umcg_thread *t, uint64_t s,
		uint64_t abs_timeout)
{
	uint64_t now = umcg_get_time_ns(), own = load(&self->rec.state_ts);
	pid_t tid = load(&t->tid);

	umcg_step_begins(self);
	if (unlikely(!umcg_change(t, &s, RUNNING, now))) {
		umcg_step_ends(self);
		return TRY_AGAIN;
	}
	umcg_trace(t, UMCG_TRACE_WAKE, IDLE, RUNNING, self->tid, 0);
	store(&self->mode, MODE_WAIT);
	do {
		if (unlikely(own & QUEUED)) {
			umcg_sys_wake(self, tid, true);
			umcg_step_ends(self);
			return umcg_consume(self, own);
		}
	} while (!umcg_change(self, &own, IDLE, now));
	umcg_trace(self, UMCG_TRACE_SWAP, RUNNING, IDLE, tid, abs_timeout);
	store(&self->rec.next_tid, (uint32_t)tid);
	umcg_step_ends(self);
	return umcg_sleep_server(self, tid, abs_timeout);
}

/*
 * Workers. @t, with word @s, waits. We leave RUNNING first, LOCKED: nothing can
 * stop us then with @t half way. If @t is not to be had after all we come back;
 * waiting for it here could be waiting for one that swaps with us.
 */
static inline __attribute__((always_inline))
int swap_worker(struct umcg_thread *self, struct umcg_thread *t, uint64_t s,
		uint64_t abs_timeout)
{
	uint64_t now = umcg_get_time_ns(), own = load(&self->rec.state_ts), back;
	struct umcg_thread *server;
	pid_t tid = load(&t->tid);

	store(&self->timed, abs_timeout != 0);
	do {
		if (unlikely((own & (STATE | LOCKED | QUEUED)) != RUNNING))
			return TRY_AGAIN;
	} while (!umcg_change(self, &own, IDLE | LOCKED | IN_WAIT, now));

	if (unlikely(!umcg_change(t, &s, RUNNING | LOCKED, now))) {
		/* A preemption that we had seen is still wanted. */
		back = load(&self->rec.state_ts);
		umcg_change(self, &back, RUNNING | (own & PREEMPTED), now);
		if (own & PREEMPTED)
			umcg_sys_kick(0, self->tid);
		return TRY_AGAIN;
	}

	/* The server's place goes to @t. */
	server = umcg_server_of(self);
	umcg_trace(self, UMCG_TRACE_SWAP, RUNNING, IDLE | IN_WAIT, tid, abs_timeout);
	umcg_trace(t, UMCG_TRACE_RUN, s & FLAGS, RUNNING, umcg_tid_of(server), 0);
	umcg_give_place(server, t, (uint32_t)tid, load(&self->server));
	umcg_clear(t, LOCKED);
	return umcg_sleep_worker(self, tid, abs_timeout);
}

/* Does @t, IDLE with word @s, sleep in umcg_wait() or umcg_swap()? */
static inline bool waits(struct umcg_thread *t, bool worker, uint64_t s)
{
	return worker ? umcg_worker_waits(t, s) : load(&t->mode) == MODE_WAIT;
}

/* Whatever there may be, as often as the other task has to be looked at. */
static COLD int swap(umcg_tid next, uint64_t abs_timeout)
{
	struct umcg_thread *self = umcg_caller(), *t;
	unsigned int spins = 0;
	uint64_t own, s;
	uint8_t kind;
	bool worker;
	int ret;

	if (!self)
		return umcg_fail_caller();
	worker = self->kind == KIND_WORKER;

	for (;; umcg_relax(&spins)) {
		own = load(&self->rec.state_ts);
		if (umcg_must_not_wait(self, own))
			return umcg_fail(EAGAIN);
		t = umcg_find(next);
		if (!t)
			return umcg_fail(ESRCH);
		s = load_acquire(&t->rec.state_ts);
		kind = load_acquire(&t->kind);
		if (load(&t->utid) != next || kind == KIND_NONE || (s & STATE) == NONE)
			return umcg_fail(ESRCH);
		if (t == self || worker != (kind == KIND_WORKER) ||
		    (worker && load(&t->group) != self->group))
			return umcg_fail(EINVAL);

		if ((s & (STATE | LOCKED)) == (IDLE | LOCKED))
			continue;
		if ((own & QUEUED) || (s & (STATE | QUEUED)) != IDLE || !waits(t, worker, s))
			return wake_and_wait(self, t, next, abs_timeout);

		ret = worker ? swap_worker(self, t, s, abs_timeout) :
			       swap_server(self, t, s, abs_timeout);
		if (ret != TRY_AGAIN)
			return !ret ? 0 : umcg_wait_failed(self, ret);
	}
}

/* The common case, a task that waits, on the shortest way; all else is swap()'s. */
EXPORT int umcg_swap(umcg_tid next, uint64_t abs_timeout)
{
	struct umcg_thread *self = umcg_self, *t = umcg_locate(next);
	uint64_t own, s;
	int ret;

	if (unlikely(!self || !t))
		return swap(next, abs_timeout);
	own = load(&self->rec.state_ts);
	s = load_acquire(&t->rec.state_ts);
	/* Words like these have only tasks that are registered, and two of them. */
	if (unlikely((own & (STATE | LOCKED | QUEUED)) != RUNNING || self->inside ||
		     (s & (STATE | LOCKED | QUEUED)) != IDLE || load(&t->utid) != next))
		return swap(next, abs_timeout);

	if (self->kind == KIND_WORKER) {
		if (unlikely(load_acquire(&t->kind) != KIND_WORKER ||
			     load(&t->group) != self->group || !waits(t, true, s)))
			return swap(next, abs_timeout);
		ret = swap_worker(self, t, s, abs_timeout);
	} else {
		if (unlikely(load_acquire(&t->kind) == KIND_WORKER || !waits(t, false, s)))
			return swap(next, abs_timeout);
		ret = swap_server(self, t, s, abs_timeout);
	}
	if (likely(!ret))
		return 0;
	return ret == TRY_AGAIN ? swap(next, abs_timeout) : umcg_wait_failed(self, ret);
}
