// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_run_worker(): a server lends its place. */
#include "internal.h"

/*
 * Make @w, which @utid named, RUNNING|LOCKED: it is ours. Returns its flags as
 * they were in *@flags.
 */
static int claim(struct umcg_thread *self, struct umcg_thread *w, umcg_tid utid,
		 uint64_t now, uint64_t *flags)
{
	unsigned int spins = 0;
	uint64_t s;

	for (;; umcg_relax(&spins)) {
		s = load_acquire(&w->rec.state_ts);
		if (unlikely(load_acquire(&w->kind) != KIND_WORKER ||
			     load(&w->utid) != utid || load(&w->group) != self->group))
			return EINVAL;
		if ((s & (STATE | LOCKED)) == (IDLE | LOCKED))
			continue;	/* on its way to sleep */
		if ((s & STATE) != IDLE)
			return EBUSY;
		/* Who may be run: held, handed back to us, or waiting. */
		if (!(s & (HELD | PREEMPTED)) && (!(s & IN_WAIT) || umcg_is_listed(w)))
			return EBUSY;
		if (umcg_change(w, &s, RUNNING | LOCKED | (s & QUEUED), now)) {
			*flags = s & FLAGS;
			return 0;
		}
	}
}

/*
 * Is @w in the hands of @self because it was preempted? The state alone does not
 * tell: a worker that has blocked here may have been run by another server since,
 * and be preempted there. Who runs it writes @server first, so what we see of it
 * is at least as new as the state.
 */
static bool preempted_here(struct umcg_thread *self, struct umcg_thread *w)
{
	return (load_acquire(&w->rec.state_ts) & (STATE | PREEMPTED)) == (IDLE | PREEMPTED) &&
	       load(&w->kind) == KIND_WORKER && load(&w->server) == self;
}

/* For the record: what has happened to @w, as far as one can see afterwards. */
static COLD void trace_return(struct umcg_thread *self, struct umcg_thread *w)
{
	uint64_t s = w ? load(&w->rec.state_ts) : 0;

	if (!w || load(&self->yielded))
		;	/* has recorded it itself, or is long gone */
	else if (preempted_here(self, w))
		umcg_trace(w, UMCG_TRACE_PREEMPTED, RUNNING | PREEMPTED, s & FLAGS,
			   self->tid, s);
	else if ((s & STATE) == NONE)
		umcg_trace(w, UMCG_TRACE_EXIT, RUNNING, NONE, self->tid, s);
	else
		umcg_trace(w, UMCG_TRACE_BLOCK, RUNNING, BLOCKED, self->tid,
			   (s & STATE) == BLOCKED ? s : 0);
	umcg_trace(self, UMCG_TRACE_RETURN, IDLE, RUNNING, umcg_tid_of(w),
		   load(&self->rec.state_ts));
}

EXPORT bool umcg_is_preempted(umcg_tid worker)
{
	struct umcg_thread *self = umcg_caller(), *w = umcg_find(worker);

	return self && w && self->kind == KIND_SERVER && preempted_here(self, w);
}

EXPORT umcg_tid umcg_run_worker(umcg_tid worker)
{
	struct umcg_thread *self = umcg_caller(), *w;
	uint64_t now, s, flags;
	umcg_tid utid;
	int error;

	if (unlikely(!self)) {
		umcg_fail_caller();
		return UMCG_NONE;
	}
	s = load(&self->rec.state_ts);
	w = umcg_find(worker);
	if (unlikely(!w || self->kind != KIND_SERVER || self->inside ||
		     (s & STATE) != RUNNING)) {
		errno = EINVAL;
		return UMCG_NONE;
	}
	now = umcg_get_time_ns();
	self->inside = 1;
	error = claim(self, w, worker, now, &flags);
	if (unlikely(error)) {
		self->inside = 0;
		errno = error;
		return UMCG_NONE;
	}

	/* Both links and our own word first, then it may run, block and wake us. */
	store(&w->server, self);
	store(&w->rec.next_tid, (uint32_t)self->tid);
	store(&self->worker, worker);
	store(&self->yielded, 0);
	store(&self->mode, MODE_RUN);
	while (!umcg_change(self, &s, (s & FLAGS & ~STATE) | IDLE, now))
		;
	self->inside = 0;
	umcg_trace(self, UMCG_TRACE_LEND, RUNNING, IDLE, load(&w->tid), 0);
	umcg_trace(w, UMCG_TRACE_RUN, flags, RUNNING | (flags & QUEUED), self->tid, 0);
	store(&self->rec.next_tid, (uint32_t)load(&w->tid));
	umcg_unlock(w);

	/* Signal handlers run, but the place is only ours again when it is given back. */
	umcg_sys_wait(UMCG_WAIT_CLOCK_MONOTONIC, 0);
	while (unlikely((load_acquire(&self->rec.state_ts) & STATE) != RUNNING)) {
		store(&self->rec.next_tid, 0);
		umcg_sys_wait(UMCG_WAIT_CLOCK_MONOTONIC, 0);
	}
	store(&self->rec.next_tid, 0);

	utid = load(&self->worker);
	w = umcg_find(utid);
	if (umcg_traced(self->group))
		trace_return(self, w);
	/*
	 * Its last server tidies up after a worker whose thread has just ended. In
	 * this order: one that has only blocked here may meanwhile have been run by
	 * another server, and have ended there.
	 */
	if (unlikely(w && (load_acquire(&w->rec.state_ts) & STATE) == NONE &&
		     load(&w->server) == self)) {
		umcg_bury(w);
		utid = UMCG_NONE;
	}
	/*
	 * A worker that came back while we had it on may have taken a server out
	 * of the slot in vain, if that got up and lay down again in that moment.
	 */
	umcg_relay(self, self->group);
	if (unlikely(!utid))
		errno = 0;
	return utid;
}
