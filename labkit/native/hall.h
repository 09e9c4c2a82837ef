/* SPDX-License-Identifier: MIT */
/*
 * Where work waits for threads, and threads for work.
 *
 * Work waits in the backlog, a thread without any on the stack of the idle. Whoever
 * adds to either then matches the two, so no work waits beside an idle thread: of two
 * that add at the same time, the later one sees both. Without locks, as a worker
 * could be taken off its server with one in its hands.
 */
#ifndef LAB_HALL_H
#define LAB_HALL_H

#include <unistd.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "lab.h"

/* What one thread is handed; 0: nothing. */
struct hand {
	_Alignas(64) _Atomic uint32_t word;
	uint32_t next;					/* index + 1 of the next idle thread */
};

struct hall {
	_Alignas(64) _Atomic uint32_t arrived, taken;	/* the backlog: what is between */
	_Alignas(64) _Atomic uint64_t idle;		/* index + 1; a count against ABA above */
	struct hand *hands;
};

/* For so many threads. -1: no memory. */
int hall_open(struct hall *hall, uint32_t threads);
void hall_close(struct hall *hall);
/* One more piece of work; hall_match() follows. */
void hall_arrive(struct hall *hall);
/* The number of the oldest that waits. False: none does. */
bool hall_take(struct hall *hall, uint32_t *number);
/* A thread has nothing to do; hall_match() follows. */
void hall_rest(struct hall *hall, uint32_t index);
/* Bring idle threads and work together; @give is to wake the thread. */
void hall_match(struct hall *hall, void (*give)(void *arg, uint32_t index, uint32_t number), void *arg);

static inline long lab_futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

#endif
