// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_swap(): wake one and wait, as one switch. */
#include "internal.h"

/* The general case: the two steps one after the other. */
static int wake_and_wait(struct umcg_thread *self, struct umcg_thread *t, umcg_tid utid,
			 uint64_t abs_timeout)
{
	if (umcg_wake_thread(self, t, utid, true))
		return -1;
	return umcg_wait(abs_timeout);
}

/*
 * Servers. @t, with word @s, waits. It is made RUNNING first, though it sleeps
 * until our system call: should it be up already (it was interrupted) and swap
 * back before we are IDLE, that wake-up is queued and we do not sleep.
 */
static int swap_server(struct umcg_thread *self, struct umcg_thread *t, uint64_t s,
		       uint64_t abs_timeout, bool *done)
{
	uint64_t now = umcg_get_time_ns(), own = load(&self->rec.state_ts);
	pid_t tid = load(&t->tid);

	*done = umcg_change(t, &s, RUNNING, now);
	if (!*done)
		return 0;
	umcg_trace(t, UMCG_TRACE_WAKE, IDLE, RUNNING, self->tid, 0);
	store(&self->mode, MODE_WAIT);
	do {
		if (own & QUEUED) {
			umcg_sys_wake(self, tid, true);
			self->inside = 0;
			return umcg_wait(abs_timeout);	/* consumes it */
		}
	} while (!umcg_change(self, &own, IDLE, now));
	umcg_trace(self, UMCG_TRACE_SWAP, RUNNING, IDLE, tid, abs_timeout);
	self->inside = 0;
	return umcg_sleep_server(self, tid, abs_timeout);
}

/*
 * Workers. @t, with word @s, waits. We leave RUNNING first, LOCKED: nothing can
 * stop us then with @t half way. If @t is not to be had after all we come back;
 * waiting for it here could be waiting for one that swaps with us.
 */
static int swap_worker(struct umcg_thread *self, struct umcg_thread *t, uint64_t s,
		       uint64_t abs_timeout, bool *done)
{
	uint64_t now = umcg_get_time_ns(), own = load(&self->rec.state_ts);
	struct umcg_thread *server;
	pid_t tid = load(&t->tid);

	*done = false;
	store(&self->timed, abs_timeout != 0);
	do {
		if ((own & (STATE | LOCKED)) != RUNNING || (own & QUEUED))
			return 0;
	} while (!umcg_change(self, &own, IDLE | LOCKED | IN_WAIT, now));

	if (!umcg_change(t, &s, RUNNING | LOCKED, now)) {
		/* A preemption that we had seen is still wanted. */
		uint64_t back = load(&self->rec.state_ts);

		umcg_change(self, &back, RUNNING | (own & PREEMPTED), now);
		if (own & PREEMPTED)
			umcg_sys_kick(0, self->tid);
		return 0;
	}
	*done = true;

	/* The server's place goes to @t. */
	server = load(&self->server);
	umcg_trace(self, UMCG_TRACE_SWAP, RUNNING, IDLE | IN_WAIT, tid, abs_timeout);
	umcg_trace(t, UMCG_TRACE_RUN, s & FLAGS, RUNNING, umcg_tid_of(server), 0);
	store(&t->server, server);
	store(&t->rec.next_tid, (uint32_t)umcg_tid_of(server));
	store(&server->rec.next_tid, (uint32_t)tid);
	store(&server->worker, load(&t->utid));
	umcg_unlock(t);
	self->inside = 0;
	return umcg_sleep_worker(self, tid, abs_timeout);
}

/* Does @t, with word @s, sleep in umcg_wait() or umcg_swap()? */
static inline bool waits(struct umcg_thread *t, bool worker, uint64_t s)
{
	if ((s & (STATE | QUEUED)) != IDLE)
		return false;
	return worker ? (s & IN_WAIT) && !umcg_is_listed(t) :
			load(&t->mode) == MODE_WAIT;
}

EXPORT int umcg_swap(umcg_tid next, uint64_t abs_timeout)
{
	struct umcg_thread *self = umcg_caller(), *t;
	unsigned int spins = 0;
	uint64_t own, s;
	bool worker, done;
	uint8_t kind;
	int ret;

	if (unlikely(!self))
		return umcg_fail_caller();
	worker = self->kind == KIND_WORKER;

	for (;; umcg_relax(&spins)) {
		own = load(&self->rec.state_ts);
		if (unlikely((own & (STATE | LOCKED)) != RUNNING || self->inside))
			return umcg_fail(EINVAL);
		t = umcg_find(next);
		if (unlikely(!t))
			return umcg_fail(ESRCH);
		s = load_acquire(&t->rec.state_ts);
		kind = load_acquire(&t->kind);
		if (unlikely(load(&t->utid) != next || kind == KIND_NONE))
			return umcg_fail(ESRCH);
		if (unlikely(t == self || worker != (kind == KIND_WORKER) ||
			     (worker && load(&t->group) != self->group)))
			return umcg_fail(EINVAL);

		if ((s & (STATE | LOCKED)) == (IDLE | LOCKED))
			continue;
		if ((own & QUEUED) || !waits(t, worker, s))
			return wake_and_wait(self, t, next, abs_timeout);

		self->inside = 1;
		ret = worker ? swap_worker(self, t, s, abs_timeout, &done) :
			       swap_server(self, t, s, abs_timeout, &done);
		self->inside = 0;
		if (done)
			return likely(!ret) ? 0 : umcg_wait_failed(self, ret);
	}
}
