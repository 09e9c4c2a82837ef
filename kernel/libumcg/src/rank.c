// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Ranks of workers, which the kernel compares when one comes back: see place.c. */
#include "internal.h"

/* Worker @utid of a group with ranks, or NULL with errno set. */
static struct umcg_thread *ranked(umcg_tid utid)
{
	struct umcg_thread *w = umcg_find(utid);

	if (w && load_acquire(&w->kind) == KIND_WORKER && umcg_has_ranks(load(&w->group)))
		return w;
	errno = w ? EINVAL : ESRCH;
	return NULL;
}

EXPORT int umcg_set_rank(umcg_tid worker, uint32_t rank)
{
	struct umcg_thread *w = ranked(worker);

	if (!w)
		return -1;
	if (!rank)
		return umcg_fail(EINVAL);
	store(&w->rec.rank, rank);
	return 0;
}

EXPORT uint32_t umcg_get_rank(umcg_tid worker)
{
	struct umcg_thread *w = ranked(worker);

	return w ? load(&w->rec.rank) : 0;
}
