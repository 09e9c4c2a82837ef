// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_put_idle_worker(): a server does not want to run this one now. */
#include "internal.h"

/*
 * Becoming plain IDLE the worker is ours to put on the list: others take it for
 * listed. Until it is pushed nobody finds it, and we do not sleep in between.
 */
static int release(struct umcg_thread *self, struct umcg_thread *w, umcg_tid utid)
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
		if ((s & STATE) != IDLE || !(s & (HELD | PREEMPTED)))
			return EBUSY;
		if (umcg_mark(w, &s, IDLE | (s & QUEUED))) {
			umcg_trace(w, UMCG_TRACE_WAKE, s & FLAGS, IDLE | (s & QUEUED),
				   self->tid, 0);
			umcg_push_idle(self->group, w);
			return 0;
		}
	}
}

EXPORT int umcg_put_idle_worker(umcg_tid worker)
{
	struct umcg_thread *self = umcg_caller(), *w;
	int error;

	if (unlikely(!self))
		return umcg_fail_caller();
	w = umcg_find(worker);
	if (unlikely(!w || self->kind != KIND_SERVER || self->inside ||
		     (load(&self->rec.state_ts) & STATE) != RUNNING))
		return umcg_fail(EINVAL);
	self->inside = 1;
	error = release(self, w, worker);
	self->inside = 0;
	if (error)
		return umcg_fail(error);
	umcg_nudge(self, self->group);
	return 0;
}
