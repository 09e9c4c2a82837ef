// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* umcg_preempt_worker(): take a worker off its server. */
#include <unistd.h>

#include "internal.h"

/*
 * The calling server, @server, wants its place back from @w. Once is not always
 * enough: a worker that is LOCKED just now is left alone.
 */
void umcg_interrupt_worker(struct umcg_thread *w, struct umcg_thread *server)
{
	uint64_t s = load_acquire(&w->rec.state_ts);

	if ((s & (STATE | LOCKED)) != RUNNING ||
	    (pid_t)load(&w->rec.next_tid) != load(&server->tid))
		return;
	if ((s & PREEMPTED) || umcg_mark(w, &s, (s & FLAGS) | PREEMPTED))
		umcg_sys_kick(0, load(&w->tid));
}

/*
 * Mark first, then interrupt. A worker that is LOCKED ignores the interruption
 * and looks at the mark when it unlocks; one that blocks or waits meanwhile is
 * off its server anyway.
 */
EXPORT int umcg_preempt_worker(umcg_tid worker)
{
	struct umcg_thread *w = umcg_find(worker);
	struct umcg_group *g;
	uint32_t flags;
	pid_t tid;
	uint64_t s;
	long ret;
	int sig;

	if (!w)
		return umcg_enabled() ? umcg_fail(ESRCH) : umcg_fail(ENOSYS);
	s = load_acquire(&w->rec.state_ts);
	do {
		uint8_t kind = load_acquire(&w->kind);

		if (load(&w->utid) != worker)
			return umcg_fail(ESRCH);
		g = load(&w->group);
		flags = load(&g->flags);
		if (kind != KIND_WORKER)
			return umcg_enabled() ? umcg_fail(EINVAL) : umcg_fail(ENOSYS);
		if (!(flags & UMCG_GROUP_ENABLE_PREEMPTION))
			return umcg_fail(EINVAL);
		/* RUNNING without a server: just being woken, see wake.c. */
		if ((s & (STATE | LOCKED)) != RUNNING || !load(&w->rec.next_tid))
			return umcg_fail(EAGAIN);
		tid = load(&w->tid);
		if (s & PREEMPTED)
			break;
	} while (!umcg_mark(w, &s, (s & FLAGS) | PREEMPTED));
	if (!(s & PREEMPTED))
		umcg_trace(w, UMCG_TRACE_PREEMPT, s & FLAGS, (s & FLAGS) | PREEMPTED,
			   umcg_tid_of(umcg_self), 0);

	sig = (flags & UMCG_GROUP_PREEMPT_SIGNAL(0x7f)) >> 8;
	ret = sig ? umcg_sys_tgkill(getpid(), tid, sig) : umcg_sys_kick(0, tid);
	return !ret || ret == -EAGAIN ? 0 : umcg_fail((int)-ret);
}
