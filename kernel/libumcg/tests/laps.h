/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* Workers that only preemption gets to their ends. */
#ifndef LAPS_H
#define LAPS_H

#include "util.h"

#define LAPS_WORKERS	4

/* Which workers there are; UMCG_NONE: it has not come, or has left. */
extern atomic_intptr_t laps_utid[LAPS_WORKERS];
extern atomic_int laps_entered;		/* how many have come */

void laps_begin(void);			/* no task has come */
/* The calling thread becomes a worker of @group; returns its number. */
int laps_enter(umcg_t group);
void laps_leave(int me);
/* Spins through @rounds laps: no task starts one before all have ended the last. */
void laps_spin(int me, long rounds);

#endif /* LAPS_H */
