// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include "laps.h"

atomic_intptr_t laps_utid[LAPS_WORKERS];
atomic_int laps_entered;

static atomic_int lap[LAPS_WORKERS];

void laps_begin(void)
{
	laps_entered = 0;
	for (int i = 0; i < LAPS_WORKERS; i++)
		lap[i] = 0;
}

int laps_enter(umcg_t group)
{
	int me = laps_entered++;

	laps_utid[me] = umcg_get_utid();
	CHECK(test_task(umcg_register_worker(group, me)) == laps_utid[me], "umcg_register_worker");
	return me;
}

void laps_leave(int me)
{
	laps_utid[me] = UMCG_NONE;
	CHECK_CALL(umcg_unregister_task(), 0);
}

/*
 * Relaxed: for more ThreadSanitizer locks the variable, and a worker that is preempted
 * there keeps that.
 */
void laps_spin(int me, long rounds)
{
	for (int i = 1; i <= rounds; i++) {
		atomic_store_explicit(&lap[me], i, memory_order_relaxed);
		for (int other = 0; other < LAPS_WORKERS; other++)
			while (atomic_load_explicit(&lap[other], memory_order_relaxed) < i)
				;
	}
}
