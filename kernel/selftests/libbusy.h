/* SPDX-License-Identifier: MIT */
#ifndef LIBBUSY_H
#define LIBBUSY_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * A busy background of every kind of task: two basic tasks that switch to each
 * other, a server with workers that yield, block, spin and swap, and servers whose
 * places pass on between workers of changing ranks. Tests of CPU hotplug, affinity,
 * policies and the freezer do their worst to it.
 */
#define BUSY_WORKERS	4
#define BUSY_TENANTS	4
#define BUSY_TOLD	(BUSY_WORKERS + 3)
#define BUSY_TASKS	(BUSY_TOLD + BUSY_TENANTS)

struct busy {
	/* Workers, their server, the two basic tasks, and workers whose places pass on. */
	volatile pid_t	tid[BUSY_TASKS];
	volatile long	steps[BUSY_TASKS];	/* what each has done so far; all grow */
	volatile bool	stop;
};

void busy_start(struct busy *b);
void busy_progress(struct busy *b);	/* waits until every task has made steps */
void busy_stop(struct busy *b);		/* and checks that all came to their end */

#endif /* LIBBUSY_H */
