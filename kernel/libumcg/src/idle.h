/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What idle.c, the list of idle workers, has for sleepers.c, the servers at it. */
#ifndef LIBUMCG_IDLE_H
#define LIBUMCG_IDLE_H

#include "internal.h"

struct umcg_thread *umcg_next_ready(struct umcg_group *g, bool *again);
void umcg_stand_in(struct umcg_group *g);
void umcg_hold(struct umcg_group *g, struct umcg_thread *w);

static inline void umcg_lock_group(struct umcg_thread *self, struct umcg_group *g)
{
	unsigned int spins = 0;

	umcg_step_begins(self);
	while (load(&g->lock) || __atomic_exchange_n(&g->lock, 1, __ATOMIC_ACQUIRE))
		umcg_relax(&spins);
}

/* For workers, which are LOCKED and wait for nobody. */
static inline bool umcg_try_lock_group(struct umcg_thread *self, struct umcg_group *g)
{
	umcg_step_begins(self);
	if (!load(&g->lock) && !__atomic_exchange_n(&g->lock, 1, __ATOMIC_ACQUIRE))
		return true;
	umcg_step_ends(self);
	return false;
}

static inline void umcg_unlock_group(struct umcg_thread *self, struct umcg_group *g)
{
	store_release(&g->lock, 0);
	umcg_step_ends(self);
}

/* Under lock. May there be workers that no task has taken? */
static inline bool umcg_has_work(struct umcg_group *g)
{
	return g->ready || g->chain || g->sorted ||
	       __atomic_load_n(&g->head, __ATOMIC_SEQ_CST);
}

#endif /* LIBUMCG_IDLE_H */
