// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_put_idle_worker(): a server does not want to run this one now. */
#include "internal.h"

/*
 * Becoming plain IDLE the worker is ours to put on the list: others take it for
 * listed. Until it is pushed no task finds it, and we do not sleep in between.
 */
int umcg_give_back(struct umcg_thread *self, struct umcg_thread *w, umcg_tid utid)
{
	unsigned int spins = 0;
	uint64_t s;

	for (;; umcg_relax(&spins)) {
		if (umcg_settled_word(self, w, utid, &spins, &s))
			return EINVAL;
		/* NONE: the task that takes it from the list is told that it has ended. */
		if (((s & STATE) != IDLE && (s & STATE) != NONE) || !(s & (HELD | PREEMPTED)))
			return EBUSY;
		if (umcg_mark(w, &s, s & (STATE | QUEUED))) {
			if (unlikely(self->seat))
				umcg_set_held(self->group, w, false);
			umcg_trace(w, UMCG_TRACE_WAKE, s & FLAGS, s & (STATE | QUEUED),
				   self->tid, 0);
			umcg_push_idle(self->group, w);
			return 0;
		}
	}
}

EXPORT int umcg_put_idle_worker(umcg_tid worker)
{
	struct umcg_thread *self = umcg_calling_server(), *w;
	int error;

	if (unlikely(!self))
		return -1;
	w = umcg_find(worker);
	if (unlikely(!w))
		return umcg_fail(EINVAL);
	umcg_step_begins(self);
	error = umcg_give_back(self, w, worker);
	umcg_step_ends(self);
	if (error)
		return umcg_fail(error);
	umcg_nudge(self, self->group);
	return 0;
}
