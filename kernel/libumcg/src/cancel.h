/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* The guard beside which a task may be cancelled; see cancel.c. */
#ifndef LIBUMCG_CANCEL_H
#define LIBUMCG_CANCEL_H

#include "internal.h"

static inline void umcg_unwound(struct umcg_thread **guard)
{
	if (unlikely(*guard))
		umcg_end_wait(*guard);
}

/*
 * Declares @guard: while it is not NULL, unwinding this frame ends the wait of
 * task @self. The caller sets it to NULL when the wait is over.
 */
#define UMCG_GUARD(guard, self) \
	struct umcg_thread *guard __attribute__((cleanup(umcg_unwound))) = (self)

/* Sleep in umcg_wait(2), a cancellation point. Returns what that returns. */
static inline long umcg_wait_guarded(struct umcg_thread *self, uint64_t timeout)
{
	UMCG_GUARD(guard, self);
	long ret = umcg_sys_wait_cancellable(UMCG_WAIT_CLOCK_MONOTONIC, timeout);

	guard = NULL;
	return ret;
}

int umcg_slept_server(struct umcg_thread *self, uint64_t s, long ret, uint64_t timeout);
int umcg_slept_worker(struct umcg_thread *self, long ret, uint64_t timeout);

/*
 * The calling server or basic task, IDLE, sleeps until its word is RUNNING; with
 * @next, that thread is switched to. Returns 0, or -EINTR, -ETIMEDOUT with the
 * word RUNNING again, unless a wake-up came first: then it counts.
 */
static inline int umcg_sleep_server(struct umcg_thread *self, pid_t next, uint64_t timeout)
{
	uint64_t s;
	long ret;

	store(&self->rec.next_tid, (uint32_t)next);
	ret = umcg_wait_guarded(self, timeout);
	s = load_acquire(&self->rec.state_ts);
	return likely((s & STATE) == RUNNING) ? 0 : umcg_slept_server(self, s, ret, timeout);
}

/*
 * The calling worker, IDLE|LOCKED, switches to @next and sleeps until some
 * server runs it. Returns 0 or -ETIMEDOUT. The task that runs it has set its server.
 */
static inline int umcg_sleep_worker(struct umcg_thread *self, pid_t next, uint64_t timeout)
{
	long ret;

	store(&self->rec.next_tid, (uint32_t)next);
	ret = umcg_wait_guarded(self, timeout);
	return likely(!ret && (load_acquire(&self->rec.state_ts) & STATE) == RUNNING) ?
		0 : umcg_slept_worker(self, ret, timeout);
}

#endif /* LIBUMCG_CANCEL_H */
