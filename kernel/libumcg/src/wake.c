// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_wake(), umcg_try_wake(): end a wait, or let the next one not begin. */
#include <pthread.h>

#include "internal.h"

/*
 * Wake a thread whose word has been changed. A worker's next_tid names its
 * server, so the caller must be LOCKED if it is a worker; it is put back, as a
 * signal handler may be here in the middle of another system call's preparation.
 * That the thread has ended meanwhile is no error: it was woken.
 */
void umcg_sys_wake(struct umcg_thread *self, pid_t tid, bool this_cpu)
{
	uint32_t next = load(&self->rec.next_tid);

	store(&self->rec.next_tid, (uint32_t)tid);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	umcg_sys_wait(UMCG_WAIT_WAKE_ONLY | (this_cpu ? UMCG_WAIT_WF_CURRENT_CPU : 0), 0);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	store(&self->rec.next_tid, next);
}

/*
 * @w sleeps in a wait that may time out. The kernel would then put it on the
 * idle list, whose link it must not find overwritten by us: so it has to leave
 * that sleep first. Made RUNNING without a server it goes through wake
 * detection, and the kernel puts it on the list itself, just once.
 */
static bool wake_timed(struct umcg_thread *self, struct umcg_thread *w, uint64_t s)
{
	pid_t tid = load(&w->tid);

	if (!umcg_change(w, &s, RUNNING | LOCKED, umcg_get_time_ns()))
		return false;
	umcg_trace(w, UMCG_TRACE_WAKE, s & FLAGS, RUNNING, self->tid, 0);
	store(&w->server, NULL);
	store(&w->rec.next_tid, 0);
	umcg_clear(w, LOCKED);
	umcg_sys_wake(self, tid, false);
	return true;
}

/*
 * @w, with word @s, is IDLE|IN_WAIT and not on the idle list. Becoming plain IDLE
 * it is ours to put there: others take it for listed. We are LOCKED, so they do
 * not wait for that longer than these few instructions.
 */
static bool wake_worker(struct umcg_thread *self, struct umcg_thread *w, uint64_t s)
{
	struct umcg_group *g = load(&w->group);
	bool locked, woken;

	umcg_step_begins(self);
	locked = umcg_lock_self(self);
	if (load(&w->timed)) {
		woken = wake_timed(self, w, s);
	} else {
		woken = umcg_change(w, &s, IDLE, umcg_get_time_ns());
		if (woken) {
			umcg_trace(w, UMCG_TRACE_WAKE, s & FLAGS, IDLE, self->tid, 0);
			umcg_push_idle(g, w);
			umcg_nudge(self, g);
		}
	}
	umcg_unlock_self(self, locked);
	umcg_step_ends(self);
	return woken;
}

/*
 * @t, with word @s, is an IDLE server in umcg_wait(), or one that sleeps for work,
 * which learns from QUEUED that this was none.
 */
static bool wake_server(struct umcg_thread *self, struct umcg_thread *t, uint64_t s,
			bool this_cpu)
{
	uint64_t flags = s & FREE ? RUNNING | QUEUED : RUNNING;
	pid_t tid = load(&t->tid);
	bool locked, woken;

	umcg_step_begins(self);
	locked = umcg_lock_self(self);
	woken = umcg_change(t, &s, flags, umcg_get_time_ns());
	if (woken) {
		/* One that sleeps for work records how that ends itself. */
		if (flags == RUNNING)
			umcg_trace(t, UMCG_TRACE_WAKE, IDLE, RUNNING, self->tid, 0);
		umcg_sys_wake(self, tid, this_cpu);
	}
	umcg_unlock_self(self, locked);
	umcg_step_ends(self);
	return woken;
}

/* Does @t, IDLE with word @s, sleep in a wait that a wake-up ends? */
static bool waits(struct umcg_thread *t, uint8_t kind, uint64_t s)
{
	if (kind == KIND_WORKER)
		return umcg_worker_waits(t, s);
	return (s & FREE) || load(&t->mode) == MODE_WAIT;
}

/*
 * The caller waits until a wake-up is consumed that @self->waits_for has queued.
 * Does that task wait in the same way, and so on, until it is for the caller's
 * own? No task leaves such a ring, so the task that looks again and again finds it; a
 * ring that is just being left may be taken for one, too.
 */
static bool in_a_ring(struct umcg_thread *self)
{
	struct umcg_thread *t = self;
	int far = 1000;

	do {
		t = umcg_find(load(&t->waits_for));
	} while (t && t != self && --far);
	return t == self;
}

/*
 * Task @utid has a wake-up queued: wait until it is consumed, one turn of *@spins.
 * Returns 0, or the error that the call ends with.
 */
static COLD int wait_for_consumer(struct umcg_thread *self, umcg_tid utid,
				  unsigned int *spins, bool may_wait)
{
	if (!may_wait || umcg_must_not_wait(self, load(&self->rec.state_ts)))
		return EAGAIN;
	if (self->utid == utid)
		return EINVAL;	/* it is we who would have to consume it */
	store(&self->waits_for, utid);
	umcg_relax(spins);
	/* A ring stays: to look for it now and then is enough. */
	return *spins % 16 == 0 && in_a_ring(self) ? EAGAIN : 0;
}

/* Task @t is on its way to sleep, a few instructions; as wait_for_consumer(). */
static COLD int wait_for_step(struct umcg_thread *self, unsigned int *spins, bool may_wait)
{
	if (umcg_must_not_wait(self, load(&self->rec.state_ts)))
		return EAGAIN;
	if (!may_wait)
		return EBUSY;
	umcg_relax(spins);
	return 0;
}

/*
 * Wake @t, which @utid named. The state word is read first: while it has the
 * value read, @kind, @mode and the idle list's link are what they were then.
 */
int umcg_wake_thread(struct umcg_thread *self, struct umcg_thread *t,
		     umcg_tid utid, bool this_cpu, bool may_wait)
{
	unsigned int spins = 0;
	int error = 0;
	uint8_t kind;
	uint64_t s;

	while (likely(!error)) {
		s = load_acquire(&t->rec.state_ts);
		kind = load_acquire(&t->kind);
		if (unlikely(load(&t->utid) != utid || kind == KIND_NONE || (s & STATE) == NONE)) {
			error = ESRCH;
		} else if ((s & (STATE | LOCKED)) == (IDLE | LOCKED)) {
			error = wait_for_step(self, &spins, may_wait);
		} else if ((s & STATE) == IDLE && waits(t, kind, s)) {
			if (kind == KIND_WORKER ? wake_worker(self, t, s) :
						  wake_server(self, t, s, this_cpu))
				break;
		} else if (!(s & QUEUED)) {
			/* A server whose place may pass on is told of the next block. */
			if (umcg_mark(t, &s, (s & FLAGS & ~ADOPT) | QUEUED)) {
				umcg_trace(t, UMCG_TRACE_QUEUE, s & FLAGS,
					   (s & FLAGS) | QUEUED, self->tid, 0);
				break;
			}
		} else {
			error = wait_for_consumer(self, utid, &spins, may_wait);
		}
	}
	if (unlikely(spins))
		store(&self->waits_for, UMCG_NONE);
	return likely(!error) ? 0 : umcg_fail(error);
}

/*
 * In a signal handler that has interrupted a wait: there the thread may be cancelled
 * at any instruction, but not here, half way into the waking of another one.
 */
static COLD int wake_in_handler(struct umcg_thread *self, struct umcg_thread *t,
				umcg_tid utid, bool this_cpu)
{
	int state, ret;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	ret = umcg_wake_thread(self, t, utid, this_cpu, false);
	pthread_setcancelstate(state, NULL);
	return ret;
}

static inline int wake(umcg_tid utid, bool this_cpu, bool may_wait)
{
	struct umcg_thread *self = umcg_caller(), *t;

	if (unlikely(!self))
		return umcg_fail_caller();
	t = umcg_locate(utid);
	if (unlikely(!t))
		return umcg_fail(ESRCH);
	if (unlikely(umcg_must_not_wait(self, load(&self->rec.state_ts))))
		return wake_in_handler(self, t, utid, this_cpu);
	return umcg_wake_thread(self, t, utid, this_cpu, may_wait);
}

EXPORT int umcg_wake(umcg_tid utid, bool wf_current_cpu)
{
	return wake(utid, wf_current_cpu, true);
}

EXPORT int umcg_try_wake(umcg_tid utid, bool wf_current_cpu)
{
	return wake(utid, wf_current_cpu, false);
}
