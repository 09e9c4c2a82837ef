/* SPDX-License-Identifier: MIT */
/* A load: many workers, maybe servers, and what the sources of it share. */
#ifndef LAB_LOAD_H
#define LAB_LOAD_H

#include "lab.h"

/* What a load knows about one worker beyond its lab_thread. */
struct worker {
	_Alignas(64) _Atomic int64_t asked;	/* request sent and not answered; 0 */
	int fd[2];				/* [0] the worker's end */
	char *page;
	uint64_t random;
};

/* What the watchdog and a server tell each other. */
struct place {
	_Alignas(64) _Atomic(struct lab_thread *) running;
	_Atomic int64_t since;
	_Atomic int64_t preempted_at;		/* asked for, not yet seen; 0 */
};

/*
 * Tasks, at most @room. Used by servers only, which no hook takes off a CPU, so
 * none of them ever waits long for the lock.
 */
struct queue {
	pthread_mutex_t lock;
	umcg_tid *task;
	uint32_t room, head, length;
};

int queue_init(struct queue *queue, uint32_t room);
void queue_free(struct queue *queue);
void queue_put(struct queue *queue, umcg_tid task);
/* UMCG_NONE: it is empty. */
umcg_tid queue_get(struct queue *queue);

/*
 * The next worker to run; waits for one. UMCG_NONE with errno: EINTR and worse.
 *
 * A server that finds nothing may sleep though the queue fills later: more
 * workers than servers want to run only after one has become ready, and for that
 * one the library wakes a server.
 */
umcg_tid next_worker(struct queue *preempted);
bool is_preempted(uint64_t state);

struct load {
	struct lab_load *spec;
	struct lab_run *run;
	struct worker *workers;			/* spec->workers of them */
	struct place *places;			/* spec->servers of them */
	umcg_t group;
	int64_t begin;				/* before any thread started */
	struct queue preempted;
	pthread_mutex_t lock;			/* the lock of LAB_WORK_LOCK */
	char *pages;
	_Atomic uint32_t live;			/* workers that have not left */
	_Atomic uint64_t preempts;
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
void *lab_storm(void *load);		/* wakes everybody, again and again */
void *lab_watchdog(void *load);		/* preempts */

bool lab_work_needs_device(int work);
bool lab_work_is_storm(int work);

void *lab_server_body(void *thread);

#endif
