/* SPDX-License-Identifier: MIT */
#ifndef LIBKEEPER_H
#define LIBKEEPER_H

#include "libraw.h"

/*
 * A process that keeps the contract, beside others that do not: servers that wait for
 * work, run workers and wait for each other, interrupted by signals, their records
 * copied on write and late, user space's own bits changing. It ends with 1, or dies,
 * when the kernel does what no task has asked for.
 */
struct keeper {
	volatile long	runs;		/* of workers, so far */
	volatile long	waits;		/* of servers for nothing, each to its timeout */
	volatile bool	stop;
};

void keeper(void *shared_keeper);	/* for child_start(); returns when told to stop */

/*
 * One thread on each CPU that always wants to run. Returns the number of a CPU whose
 * thread has made no turn since the call before, -1: all have.
 */
void tickers_start(void);
int tickers_stuck(void);

#endif /* LIBKEEPER_H */
