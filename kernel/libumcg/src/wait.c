// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_wait(), and how tasks sleep. */
#include "internal.h"

/*
 * The calling server or basic task, IDLE, sleeps until its word is RUNNING; with
 * @next, that thread is switched to. Returns 0, or -EINTR, -ETIMEDOUT with the
 * word RUNNING again, unless a wake-up came first: then it counts.
 */
int umcg_sleep_server(struct umcg_thread *self, pid_t next, uint64_t timeout)
{
	uint64_t s;
	long ret;

	for (;;) {
		store(&self->rec.next_tid, (uint32_t)next);
		ret = umcg_sys_wait(UMCG_WAIT_CLOCK_MONOTONIC, timeout);
		s = load_acquire(&self->rec.state_ts);
		if (likely((s & STATE) == RUNNING))
			return 0;
		/* @next has been woken. Or it has ended: nobody to wake any more. */
		next = 0;
		if (ret == 0 || ret == -ESRCH || ret == -EPERM)
			continue;
		do {
			if ((s & STATE) == RUNNING)
				return 0;
		} while (!umcg_change(self, &s, (s & FLAGS & ~STATE) | RUNNING,
				      umcg_get_time_ns()));
		return (int)ret;
	}
}

/*
 * The calling worker, IDLE|LOCKED, switches to @next and sleeps until some
 * server runs it. Returns 0 or -ETIMEDOUT. Whoever runs it has set its server.
 */
int umcg_sleep_worker(struct umcg_thread *self, pid_t next, uint64_t timeout)
{
	bool late = false;
	long ret;

	store(&self->rec.next_tid, (uint32_t)next);
	for (;;) {
		ret = umcg_sys_wait(UMCG_WAIT_CLOCK_MONOTONIC, timeout);
		late |= ret == -ETIMEDOUT;
		if (likely((load_acquire(&self->rec.state_ts) & STATE) == RUNNING))
			return late ? -ETIMEDOUT : 0;
		/* The thread to switch to has ended. Somebody else will run us. */
		store(&self->rec.next_tid, 0);
	}
}

/* The caller, a LOCKED worker, gives @server, IDLE in MODE_RUN, its place back. */
void umcg_release_server(struct umcg_thread *server, uint64_t now)
{
	uint64_t s = load(&server->rec.state_ts);

	while (!umcg_change(server, &s, (s & FLAGS & ~STATE) | RUNNING, now))
		;
}

/* The caller, with word @s, has a wake-up QUEUED: take it. Returns 0. */
COLD int umcg_consume(struct umcg_thread *self, uint64_t s)
{
	/* Only we clear it, but others may mark us PREEMPTED meanwhile. */
	while (!umcg_mark(self, &s, s & FLAGS & ~QUEUED))
		;
	umcg_trace(self, UMCG_TRACE_CONSUME, RUNNING | QUEUED, RUNNING, 0, 0);
	return 0;
}

/* A wake-up that arrives after the timeout, but before the return, is taken. */
COLD int umcg_wait_failed(struct umcg_thread *self, int error)
{
	uint64_t s = load_acquire(&self->rec.state_ts);

	if (s & QUEUED)
		return umcg_consume(self, s);
	if (error == -ETIMEDOUT || error == -EINTR)
		umcg_trace(self, error == -EINTR ? UMCG_TRACE_INTERRUPT :
			   UMCG_TRACE_TIMEOUT,
			   self->kind == KIND_WORKER ? RUNNING : IDLE, RUNNING, 0, 0);
	return umcg_fail(-error);
}

/* Either RUNNING -> IDLE, or a queued wake-up is consumed. Never both. */
EXPORT int umcg_wait(uint64_t abs_timeout)
{
	struct umcg_thread *self = umcg_caller(), *server;
	uint64_t now, s;
	bool worker;
	pid_t tid;
	int ret;

	if (unlikely(!self))
		return umcg_fail_caller();
	worker = self->kind == KIND_WORKER;
	now = umcg_get_time_ns();
	s = load(&self->rec.state_ts);
	do {
		if (unlikely((s & (STATE | LOCKED)) != RUNNING || self->inside))
			return umcg_fail(EINVAL);
		if (s & QUEUED)
			return umcg_consume(self, s);
		if (worker)
			store(&self->timed, abs_timeout != 0);
		else
			store(&self->mode, MODE_WAIT);
	} while (!umcg_change(self, &s, worker ? IDLE | LOCKED | IN_WAIT : IDLE, now));

	if (worker) {
		/* LOCKED, so nobody touches us and the server is still ours. */
		server = load(&self->server);
		tid = umcg_tid_of(server);
		umcg_trace(self, UMCG_TRACE_WAIT, RUNNING, IDLE | IN_WAIT, tid, abs_timeout);
		store(&server->yielded, 1);
		umcg_release_server(server, now);
		ret = umcg_sleep_worker(self, tid, abs_timeout);
	} else {
		umcg_trace(self, UMCG_TRACE_WAIT, RUNNING, IDLE, 0, abs_timeout);
		ret = umcg_sleep_server(self, 0, abs_timeout);
	}
	return likely(!ret) ? 0 : umcg_wait_failed(self, ret);
}
