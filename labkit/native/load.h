/* SPDX-License-Identifier: MIT */
/* A load: many workers, maybe servers, and what the sources of it share. */
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

/* What a server and those who want its worker preempted or itself woken share. */
struct place {
	_Alignas(64) _Atomic(struct lab_thread *) running;
	_Atomic int64_t since;
	_Atomic int64_t preempted_at;		/* asked for, not yet seen; 0 */
	_Atomic int sleep;			/* enum sleep, see ready.c */
};

/*
 * Tasks, at most @room. Used by servers only, which no hook takes off a CPU, so
 * none of them ever waits long for the lock.
 */
struct queue {
	pthread_mutex_t lock;
	umcg_tid *task;
	uint32_t room, head;
	_Atomic uint32_t length;
};

int queue_init(struct queue *queue, uint32_t room);
void queue_free(struct queue *queue);
void queue_put(struct queue *queue, umcg_tid task);
/* UMCG_NONE: it is empty. */
umcg_tid queue_get(struct queue *queue);

static inline bool queue_has_any(struct queue *queue)
{
	return atomic_load(&queue->length);
}

struct load {
	struct lab_load *spec;
	struct lab_run *run;
	struct worker *workers;			/* spec->workers of them */
	struct place *places;			/* spec->servers of them */
	umcg_t group;
	int64_t begin;				/* before any thread started */
	struct queue urgent, ready, preempted;	/* taken in this order */
	struct lab_thread *dispatcher;		/* or NULL */
	_Atomic bool closing;			/* the dispatcher may go home */
	pthread_mutex_t lock;			/* the lock of LAB_WORK_LOCK */
	char *pages;				/* of LAB_WORK_FAULT's file, */
	uint32_t own_pages;			/* so many a worker */
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
void *lab_dispatcher_body(void *thread);

/* ready.c: who is next, and who is told that there is work. */

/* The next worker for @place, whose server is @self; as umcg_get_idle_worker(). */
umcg_tid ready_next(struct load *load, struct lab_thread *self, struct place *place);
/* @task, preempted, wants to go on some time. */
void ready_again(struct load *load, umcg_tid task);
/* An urgent worker waits, and @worker is not one. */
bool ready_yields(struct load *load, const struct lab_thread *worker);
/* Preempt the worker of @place for a reason that was good at time @now. */
void ready_preempt(struct load *load, struct place *place, int64_t now);
bool ready_wants_dispatcher(const struct lab_load *spec);
/* The dispatcher's work: one worker. False: it may go home. */
bool ready_dispatch(struct load *load, struct lab_thread *self);
/* Send the dispatcher home; all workers have left. */
void ready_dismiss(struct load *load);

#endif
