// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Waiting for another thread to finish a step of a few instructions. */
#include <sched.h>

#include "internal.h"

#define PAUSES	100
#define YIELDS	10

/*
 * One turn of a spin loop; *@spins starts at 0. The other thread may be off its
 * CPU, and may be of a lower priority, which sched_yield() does not help: in
 * the end the caller sleeps. For a worker that is a block like any other, so
 * its server can run the thread it waits for. The caller must hold nothing, and it is
 * not cancelled here (see cancel.c).
 */
void umcg_relax(unsigned int *spins)
{
	if (++*spins < PAUSES)
		__builtin_ia32_pause();
	else if (*spins < PAUSES + YIELDS)
		sched_yield();
	else
		umcg_sys_nap(50000);
}
