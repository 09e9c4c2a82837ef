// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_wait(), umcg_yield(), and how tasks sleep. */
#include "cancel.h"

/*
 * The sleep of umcg_sleep_server() has ended with @ret, and the word is @s, not
 * RUNNING.
 */
COLD int umcg_slept_server(struct umcg_thread *self, uint64_t s, long ret, uint64_t timeout)
{
	while ((s & STATE) != RUNNING) {
		/* The thread to switch to has been woken. Or it has ended: no task to wake. */
		if (ret == 0 || ret == -ESRCH || ret == -EPERM) {
			store(&self->rec.next_tid, 0);
			ret = umcg_wait_guarded(self, timeout);
			s = load_acquire(&self->rec.state_ts);
		} else if (umcg_change(self, &s, umcg_awake(s), umcg_get_time_ns())) {
			return (int)ret;
		}
	}
	return 0;
}

/* The sleep of umcg_sleep_worker() has ended with @ret, perhaps too early. */
COLD int umcg_slept_worker(struct umcg_thread *self, long ret, uint64_t timeout)
{
	bool late = ret == -ETIMEDOUT;
	uint64_t s;

	while ((load_acquire(&self->rec.state_ts) & STATE) != RUNNING) {
		/* The thread to switch to has ended. A task else will run us. */
		store(&self->rec.next_tid, 0);
		late |= umcg_wait_guarded(self, timeout) == -ETIMEDOUT;
	}
	/* A server that takes us off the list clears this; nobody did if we took a place. */
	s = load(&self->rec.state_ts);
	while (unlikely(s & IN_WAIT) && !umcg_mark(self, &s, s & FLAGS & ~IN_WAIT))
		;
	return late ? -ETIMEDOUT : 0;
}

/* The caller, a LOCKED worker, gives @server, IDLE in MODE_RUN, its place back. */
void umcg_release_server(struct umcg_thread *server, uint64_t now)
{
	uint64_t s = load(&server->rec.state_ts);

	while (!umcg_change(server, &s, umcg_awake(s), now))
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

/*
 * Either RUNNING -> @idle, and true; or a queued wake-up is consumed, or the caller must
 * not wait, and *@ret is what the call returns. Never both.
 */
static inline __attribute__((always_inline))
bool leave(struct umcg_thread *self, uint64_t idle, uint64_t abs_timeout, uint64_t now, int *ret)
{
	uint64_t s = load(&self->rec.state_ts);

	do {
		if (unlikely(umcg_must_not_wait(self, s))) {
			*ret = umcg_refuse(KIND_NONE);
			return false;
		}
		if (s & QUEUED) {
			*ret = umcg_consume(self, s);
			return false;
		}
		if (idle & IN_WAIT)
			store(&self->timed, abs_timeout != 0);
		else
			store(&self->mode, MODE_WAIT);
	} while (!umcg_change(self, &s, idle, now));
	return true;
}

/*
 * A function for servers and basic tasks and one for workers: together they would need
 * all registers.
 */
static __attribute__((noinline)) int wait_server(struct umcg_thread *self, uint64_t abs_timeout)
{
	int ret;

	if (unlikely(!leave(self, IDLE, abs_timeout, umcg_get_time_ns(), &ret)))
		return ret;
	umcg_trace(self, UMCG_TRACE_WAIT, RUNNING, IDLE, 0, abs_timeout);
	ret = umcg_sleep_server(self, 0, abs_timeout);
	return likely(!ret) ? 0 : umcg_wait_failed(self, ret);
}

static __attribute__((noinline)) int wait_worker(struct umcg_thread *self, uint64_t abs_timeout)
{
	struct umcg_thread *server, *next;
	uint64_t now = umcg_get_time_ns();
	pid_t tid;
	int ret;

	if (unlikely(!leave(self, IDLE | LOCKED | IN_WAIT, abs_timeout, now, &ret)))
		return ret;
	/* LOCKED, so no task touches us and the server is still ours. */
	server = umcg_server_of(self);
	tid = load(&server->tid);
	umcg_trace(self, UMCG_TRACE_WAIT, RUNNING, IDLE | IN_WAIT, tid, abs_timeout);
	next = unlikely(load(&server->seat)) ? umcg_hand_over(self, server, now) : NULL;
	if (unlikely(next)) {
		tid = load(&next->tid);
	} else {
		store(&server->yielded, 1);
		umcg_release_server(server, now);
	}
	ret = umcg_sleep_worker(self, tid, abs_timeout);
	return likely(!ret) ? 0 : umcg_wait_failed(self, ret);
}

EXPORT int umcg_wait(uint64_t abs_timeout)
{
	struct umcg_thread *self = umcg_self;

	if (unlikely(!self))
		return umcg_refuse(KIND_NONE);
	return self->kind == KIND_WORKER ? wait_worker(self, abs_timeout) :
					   wait_server(self, abs_timeout);
}

/*
 * IDLE and on the list like a worker that has been woken, only that it puts
 * itself there; LOCKED until the kernel has switched, as for umcg_wait(). A
 * server that takes it off the list meanwhile waits for that before running it.
 */
EXPORT int umcg_yield(void)
{
	struct umcg_thread *self = umcg_self, *server;
	uint64_t now, s;
	pid_t tid;

	if (unlikely(!self || self->kind != KIND_WORKER))
		return umcg_refuse(KIND_WORKER);
	now = umcg_get_time_ns();
	s = load(&self->rec.state_ts);
	do {
		if (unlikely(umcg_must_not_wait(self, s)))
			return umcg_refuse(KIND_WORKER);
	} while (!umcg_change(self, &s, IDLE | LOCKED | (s & QUEUED), now));

	server = umcg_server_of(self);
	tid = load(&server->tid);
	umcg_trace(self, UMCG_TRACE_YIELD, RUNNING | (s & QUEUED), IDLE | (s & QUEUED), tid, 0);
	umcg_push_idle(self->group, self);
	umcg_nudge(self, self->group);
	store(&server->yielded, 1);
	umcg_release_server(server, now);
	umcg_sleep_worker(self, tid, 0);
	return 0;
}
