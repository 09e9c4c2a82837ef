// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_run_worker(), umcg_offer_place(): a server lends its place. */
#include "cancel.h"

#define HAS_ENDED	(-1)

/*
 * Make @w, which @utid named, RUNNING|LOCKED: it is ours. Returns its flags as
 * they were in *@flags; an error; or HAS_ENDED, without a server to tell.
 */
static int claim(struct umcg_thread *self, struct umcg_thread *w, umcg_tid utid,
		 uint64_t now, uint64_t *flags)
{
	unsigned int spins = 0;
	uint64_t s;

	for (;; umcg_relax(&spins)) {
		if (unlikely(umcg_settled_word(self, w, utid, &spins, &s)))
			return EINVAL;
		if (unlikely((s & STATE) != IDLE))
			return (s & (STATE | HELD)) == (NONE | HELD) ? HAS_ENDED : EBUSY;
		/* What may be run: held, handed back to us, or waiting. */
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
 * and be preempted there. The task that runs it writes next_tid first, so what we see of it
 * is at least as new as the state.
 */
static bool preempted_here(struct umcg_thread *self, struct umcg_thread *w)
{
	return (load_acquire(&w->rec.state_ts) & (STATE | PREEMPTED)) == (IDLE | PREEMPTED) &&
	       load(&w->kind) == KIND_WORKER &&
	       (pid_t)load(&w->rec.next_tid) == load(&self->tid);
}

/* For the record: what has happened to @w, as far as one can see afterwards. */
static COLD void trace_return(struct umcg_thread *self, struct umcg_thread *w)
{
	uint64_t s = w ? load(&w->rec.state_ts) : 0;

	if (self->seat && load(&self->rec.passes) != self->passes)
		umcg_trace(self, UMCG_TRACE_PASSES, IDLE, IDLE,
			   (pid_t)load(&self->rec.tenant_tid),
			   load(&self->rec.passes) - self->passes);
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

static COLD void trace_lend(struct umcg_thread *self, struct umcg_thread *w, uint64_t flags)
{
	umcg_trace_emit(self, UMCG_TRACE_LEND, RUNNING, IDLE, load(&w->tid), 0);
	umcg_trace_emit(w, UMCG_TRACE_RUN, flags, RUNNING | (flags & QUEUED), self->tid, 0);
}

/*
 * Lend the place of @self to @w, which claim() has made ours: both links and our
 * own word first, then it may run, block and wake us.
 */
static void lend(struct umcg_thread *self, struct umcg_thread *w, umcg_tid utid,
		 uint64_t flags, uint64_t now)
{
	uint64_t s = load(&self->rec.state_ts);

	store(&w->server, self);
	store(&w->rec.next_tid, (uint32_t)self->tid);
	store(&self->worker, utid);
	store(&self->yielded, 0);
	store(&self->mode, MODE_RUN);
	if (unlikely(self->seat))
		umcg_lend_place(self, w, now);
	else
		while (!umcg_change(self, &s, (s & FLAGS & ~STATE) | IDLE, now))
			;
	if (umcg_traced(self->group))
		trace_lend(self, w, flags);
	store(&self->rec.next_tid, (uint32_t)load(&w->tid));
	umcg_clear(w, LOCKED);
}

/*
 * Signal handlers run, but the place is only ours again when it is given back, or when
 * nobody has it.
 */
static void wait_for_place(struct umcg_thread *self)
{
	long ret = umcg_wait_guarded(self, 0);

	while (unlikely((load_acquire(&self->rec.state_ts) & STATE) != RUNNING)) {
		store(&self->rec.next_tid, 0);
		if (ret == -EINTR && self->seat && umcg_want_place(self))
			break;
		ret = umcg_wait_guarded(self, 0);
	}
	store(&self->rec.next_tid, 0);
}

/*
 * The calling server has its place back from @w, which has been preempted, or
 * whose thread has ended. False: there is no such worker any more.
 */
static COLD bool tidy_up(struct umcg_thread *self, struct umcg_thread *w, umcg_tid utid)
{
	struct umcg_group *g = self->group;

	/*
	 * Its last server tidies up after a worker whose thread has just ended. In
	 * this order: one that has only blocked here may meanwhile have been run by
	 * another server, and have ended there.
	 */
	if ((load_acquire(&w->rec.state_ts) & (STATE | HELD)) == NONE &&
	    (pid_t)load(&w->rec.next_tid) == load(&self->tid) && !umcg_is_listed(w)) {
		umcg_note_left(self, utid, load(&w->tag));
		umcg_free_ended(self, g, w);
		return false;
	}
	/* A group that does not ask to keep preempted workers has them on the list. */
	if (!preempted_here(self, w))
		return true;
	if (self->seat)
		umcg_set_held(g, w, true);
	if (!(load(&g->flags) & UMCG_GROUP_KEEP_PREEMPTED)) {
		umcg_step_begins(self);
		if (!umcg_give_back(self, w, utid))
			umcg_nudge(self, g);
		umcg_step_ends(self);
	}
	return true;
}

static inline umcg_tid last_tenant(struct umcg_thread *self)
{
	return unlikely(self->seat) ? umcg_last_tenant(self) : load(&self->worker);
}

/*
 * The calling server has its place back from @utid. Returns that worker, or UMCG_NONE if it
 * has left.
 */
static inline __attribute__((always_inline))
umcg_tid place_is_back(struct umcg_thread *self, struct umcg_thread *w, umcg_tid started,
		       umcg_tid utid)
{
	uint64_t s;

	/* @w is where @started was found, which is where it is if it has not gone. */
	if (unlikely(!w || utid != started || load_acquire(&w->utid) != utid))
		w = umcg_find(utid);

	store(&self->mode, MODE_WAIT);
	if (umcg_traced(self->group))
		trace_return(self, w);
	if (w) {
		s = load_acquire(&w->rec.state_ts);
		if (unlikely((s & STATE) == NONE || (s & PREEMPTED)) && !tidy_up(self, w, utid))
			utid = UMCG_NONE;
	}
	umcg_relay(self, self->group);
	return utid;
}

/* The same for a server that is cancelled. */
umcg_tid umcg_place_is_back(struct umcg_thread *self)
{
	return place_is_back(self, NULL, UMCG_NONE, last_tenant(self));
}

/* @w, which @utid named, is not to be run: @error, or it has ended. Returns UMCG_NONE. */
static COLD umcg_tid not_run(struct umcg_thread *self, struct umcg_thread *w, umcg_tid utid,
			     int error)
{
	if (error == HAS_ENDED) {
		if (self->seat)
			umcg_set_held(self->group, w, false);
		umcg_note_left(self, utid, load(&w->tag));
		umcg_free_ended(self, self->group, w);
		error = 0;
	}
	errno = error;
	return UMCG_NONE;
}

EXPORT umcg_tid umcg_run_worker(umcg_tid worker)
{
	struct umcg_thread *self = umcg_calling_server(), *w;
	uint64_t now, flags;
	int error = EINVAL;

	if (unlikely(!self))
		return UMCG_NONE;
	w = umcg_locate(worker);
	if (likely(w)) {
		now = umcg_get_time_ns();
		umcg_step_begins(self);
		error = claim(self, w, worker, now, &flags);
		if (likely(!error))
			lend(self, w, worker, flags, now);
		umcg_step_ends(self);
	}
	if (unlikely(error))
		return not_run(self, w, worker, error);
	wait_for_place(self);
	worker = place_is_back(self, w, worker, last_tenant(self));
	if (unlikely(!worker))
		errno = 0;
	return worker;
}

/*
 * The calling server sleeps, and its place is FREE for whoever comes back. Returns 0; EINTR: a
 * wake-up is queued; EBUSY: a worker is in the hands of a server.
 */
static int begin_offer(struct umcg_thread *self)
{
	struct umcg_group *g = self->group;
	uint64_t now = umcg_get_time_ns(), s = load_acquire(&self->rec.state_ts);

	store(&self->worker, UMCG_NONE);
	store(&self->yielded, 0);
	store(&self->rec.next_tid, 0);
	store(&self->rec.tenant_tid, 0);
	self->passes = load(&self->rec.passes);
	store(&self->mode, MODE_RUN);
	/* Who takes a worker and recalls the place changes the word after that. */
	do {
		if (s & QUEUED)
			return EINTR;
		if (load(&g->held) > 0)
			return EBUSY;
	} while (!umcg_change(self, &s, umcg_lends(g) | FREE, now));
	umcg_trace(self, UMCG_TRACE_SLEEP, RUNNING, IDLE, 0, 0);
	__atomic_store_n(&g->slots[self->seat - 1], (uint32_t)self->tid, __ATOMIC_SEQ_CST);
	return 0;
}

/* Nobody has had the place that the calling server, RUNNING again, has offered. */
static void end_offer(struct umcg_thread *self, int error)
{
	uint64_t s = load_acquire(&self->rec.state_ts);

	store(&self->group->slots[self->seat - 1], 0);
	store(&self->mode, MODE_WAIT);
	if (!error)
		umcg_trace(self, UMCG_TRACE_WAKE, IDLE, RUNNING, 0, 0);
	/* By umcg_wake(), which ends this call, and none after it. */
	if ((s & QUEUED) && error != EBUSY)
		umcg_consume(self, s);
	umcg_relay(self, self->group);
}

EXPORT umcg_tid umcg_offer_place(void)
{
	struct umcg_thread *self = umcg_calling_server();
	umcg_tid last;
	int error;

	if (unlikely(!self))
		return UMCG_NONE;
	if (!self->seat) {
		errno = EINVAL;
		return UMCG_NONE;
	}
	umcg_step_begins(self);
	error = begin_offer(self);
	umcg_step_ends(self);
	/* As who goes to sleep for work: what came before the place could be found. */
	if (!error && (!__atomic_load_n(&self->group->head, __ATOMIC_SEQ_CST) || !umcg_want_place(self)))
		wait_for_place(self);
	if (error || load(&self->rec.passes) == self->passes) {
		end_offer(self, error);
		errno = error ? error : EINTR;
		return UMCG_NONE;
	}
	last = umcg_last_tenant(self);
	/* One that has blocked here and left elsewhere nobody can name any more. */
	error = !last && load(&self->rec.tenant_tid) ? EINTR : 0;
	last = place_is_back(self, NULL, UMCG_NONE, last);
	if (!last)
		errno = error;
	return last;
}
