/* SPDX-License-Identifier: MIT */
#ifndef LIBCROWD_H
#define LIBCROWD_H

#include <stddef.h>

#include "libraw.h"

/*
 * Processes whose block transitions meet pages that no task serves. Each member of a
 * crowd is a server and a worker, whose record has a page of its own; the worker
 * drops that page and blocks, so that its server cannot be told.
 */
struct crowd {
	char	*pages;			/* present and writable, one a member */
	long	size;
	void	(*mute)(void);		/* from now on no task serves the pages, or NULL */
	size_t	ballast;		/* bytes of memory that the process also has */
	volatile int *blocked;		/* shared: how many workers have come that far */
};

/* In a process of its own, until it is killed. */
void crowd_block(struct crowd *c);
/* All of @blocked have blocked and sleep: members' threads of process @pid. */
void crowd_wait(const struct crowd *c, pid_t pid);

/*
 * In another process a worker blocks whose record is only out of the page tables,
 * and stays blocked until its server has been told: else the time limit ends it.
 */
void check_told(const char *when);

/* Memory of all processes. What is free says less: each CPU keeps some tens of MB that it has freed. */
long used_mb(void);

#endif /* LIBCROWD_H */
