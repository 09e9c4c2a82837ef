/* SPDX-License-Identifier: MIT */
/* A load: many workers, and what the sources of it share. */
#ifndef LAB_LOAD_H
#define LAB_LOAD_H

#include "lab.h"

/* What a load knows about one worker beyond its lab_thread. */
struct worker {
	_Alignas(64) _Atomic int64_t asked;	/* request sent and not answered; 0 */
	int fd[2];				/* [0] the worker's end */
	uint32_t fault;				/* next page of its own to touch */
	uint64_t random;
};

struct load {
	struct lab_load *spec;
	struct lab_run *run;
	struct worker *workers;			/* spec->workers of them */
	struct crew *crew;			/* UMCG, if the servers are not the caller's */
	pthread_mutex_t lock;			/* the lock of LAB_WORK_LOCK */
	struct lab_pages pages;			/* of LAB_WORK_FAULT */
	_Atomic uint32_t live;			/* workers that have not left */
	/* Storms: all wait for the next generation, all are woken at once. */
	_Alignas(64) _Atomic uint32_t generation;
	_Alignas(64) _Atomic uint32_t arrived;
	_Alignas(64) _Atomic uint32_t woken;
	_Atomic int64_t woken_at;
};

/* Do one operation; its events and its count are the caller's. -1 with errno. */
int lab_work_one(struct load *load, struct lab_thread *self);
int lab_work_setup(struct load *load);
void lab_work_teardown(struct load *load);

/* Bodies of the helper threads. */
void *lab_device(void *load);		/* answers pipe and socket requests */
void *lab_storm(void *load);		/* wakes all, again and again */

bool lab_work_needs_device(int work);
bool lab_work_is_storm(int work);

#endif
