/* SPDX-License-Identifier: MIT */
/* What the engine's sources share. */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

#include <linux/umcg.h>

#include <libumcg.h>

#include "engine.h"

/* One call that may have blocked, told by the worker that made it. */
struct lab_wait {
	int64_t begin, end;
	int64_t due;			/* when what it waited for happened; 0: unknown */
};

/*
 * One thread of a run. Written by that thread alone, except where said; atomics
 * are for readers in other threads (progress, watchdog), never for locking.
 */
struct lab_thread {
	_Alignas(64) _Atomic uint64_t ops;
	_Atomic uint32_t live;
	_Atomic uint32_t blocked;
	_Atomic int64_t due;		/* when what it blocked for happened; 0: unknown */
	_Atomic int32_t tid;
	uint32_t index;
	int32_t role;
	int32_t urgent;
	int16_t cpu;			/* a server's; -1: wherever */
	int64_t cpu_begin;
	uint64_t cpu_ns;
	uint64_t faults;
	uint64_t lost;
	int64_t lost_states, lost_ops, lost_last;
	struct lab_event *events;
	uint32_t nr_events;
	uint32_t max_events;
	struct lab_wait *waits;		/* a worker's, as many as it has events; or NULL */
	uint32_t nr_waits;
	struct lab_run *run;
	pthread_t pthread;
	_Atomic umcg_tid task;
};

/* Small stacks: thousands of workers are a fair experiment. */
#define LAB_STACK	(128 * 1024)

struct lab_run {
	_Atomic bool stop;
	_Atomic int error;		/* errno of the first failure */
	const char *_Atomic failure;	/* and what it was */
	_Atomic uint32_t nr_threads;
	uint32_t max_threads;
	/* The gate: threads wait behind it until all are made. */
	pthread_mutex_t lock;
	pthread_cond_t arrived;		/* one more thread waits */
	pthread_cond_t moved;		/* the gate */
	uint32_t waiting;
	int gate;			/* 0 shut, 1 open, -1 no thread may pass */
	void *context;			/* of the measurement that runs */
	char *stacks;			/* LAB_STACK bytes a thread; NULL: glibc's */
	enum lab_said said_what;
	char said[32768];		/* a report or sentence of the scheduler's */
	struct lab_event *ring;
	struct lab_wait *waits;
	struct lab_thread threads[];
};

static inline int64_t lab_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static inline bool lab_stopped(struct lab_run *run)
{
	return atomic_load_explicit(&run->stop, memory_order_relaxed);
}

static inline void lab_count(struct lab_thread *thread)
{
	uint64_t ops = atomic_load_explicit(&thread->ops, memory_order_relaxed);

	/* One writer: a plain add, without the price of an atomic one. */
	atomic_store_explicit(&thread->ops, ops + 1, memory_order_relaxed);
}

/*
 * There was no room for an event of time @t. A wake-up is noted with the time of
 * what woke, which may be before that of an event lost already.
 */
static inline void lab_lose(struct lab_thread *ring, int64_t t, enum lab_kind kind)
{
	int64_t *since = kind < LAB_OP ? &ring->lost_states : &ring->lost_ops;

	ring->lost++;
	if (!*since || t < *since)
		*since = t;
	if (t > ring->lost_last)
		ring->lost_last = t;
}

/* Append to @ring's events; the calling thread owns @ring. */
static inline void lab_emit_on(struct lab_thread *ring, int cpu, int64_t t, int32_t tid,
			       enum lab_kind kind, enum lab_state old_state,
			       enum lab_state new_state, int32_t peer, int64_t arg)
{
	struct lab_event *event;

	if (ring->nr_events == ring->max_events) {
		if (ring->max_events)
			lab_lose(ring, t, kind);
		return;
	}
	event = &ring->events[ring->nr_events++];
	*event = (struct lab_event){
		.t = t, .arg = arg, .tid = tid, .peer = peer,
		.cpu = (int16_t)cpu, .kind = (uint8_t)kind,
		.old_state = (uint8_t)old_state, .new_state = (uint8_t)new_state,
		/* Until the worker's next row: its next turn, or its block in this one. */
		.flags = kind == LAB_PREEMPT ? UMCG_TF_PREEMPTED : 0,
	};
}

static inline void lab_emit(struct lab_thread *ring, int64_t t, int32_t tid,
			    enum lab_kind kind, enum lab_state old_state,
			    enum lab_state new_state, int32_t peer, int64_t arg)
{
	if (ring->max_events)
		lab_emit_on(ring, sched_getcpu(), t, tid, kind, old_state, new_state, peer, arg);
}

/* Remember the first failure and end the run. */
void lab_fail(struct lab_run *run, const char *what, int error);
/* Keep what the scheduler said, the first time; lab_said(). Before lab_fail(). */
void lab_say(struct lab_run *run, enum lab_said what, const char *text);

/*
 * Stacks that nobody has touched for all threads of the run, with guards as glibc's
 * have: of those that it keeps of threads before, the pages are there already; and for
 * each that it makes and gives up, other CPUs are interrupted. -1 with errno.
 */
int lab_stacks(struct lab_run *run);

/*
 * Make a thread that runs @body behind the gate, on CPUs @cpus (none: wherever).
 * NULL with errno when that cannot be.
 */
struct lab_thread *lab_thread_new(struct lab_run *run, enum lab_role role,
				  void *(*body)(void *), const int32_t *cpus,
				  uint32_t nr_cpus);
/* A thread that was made elsewhere and that does not wait behind the gate; NULL with errno. */
struct lab_thread *lab_thread_add(struct lab_run *run, enum lab_role role);
/* CPU time of the calling thread, ns. */
int64_t lab_thread_cpu(void);
/* First thing in a thread's body; false: return. */
bool lab_thread_begin(struct lab_thread *self);
void lab_thread_end(struct lab_thread *self);
/* Open the gate when all that were made wait behind it; @open false: send home. */
void lab_gate(struct lab_run *run, bool open);
/* Wait for the threads [@from, @to). */
void lab_join(struct lab_run *run, uint32_t from, uint32_t to);

/* wait.c: around a call that may block; the time. */
int64_t lab_block_begin(struct lab_thread *self);
int64_t lab_block_end(struct lab_thread *self, int64_t begin);
/* An operation is over at @now, that took so long. */
void lab_finished(struct lab_thread *self, int64_t now, int64_t took);
/* The time after it. */
int64_t lab_sleep_until(struct lab_thread *self, int64_t when);
/* The same by a thread that is not measured; a signal ends it. */
void lab_rest_until(int64_t when);

/* A client without a CPU of its own goes first on the one there is; where that is not allowed, it waits. */
void lab_go_first(void);

/* Pages of a file that have left memory, some for each thread. */
struct lab_pages {
	char *at;
	size_t size;
	int file;
	uint32_t each;
};

int lab_pages_map(struct lab_pages *pages, int file, uint32_t threads);
void lab_pages_unmap(struct lab_pages *pages);
/* Touch the next of the calling thread's own, which waits for the disk; *@next is which, from 0. */
int lab_pages_touch(struct lab_pages *pages, struct lab_thread *self, uint32_t *next);

/* Turn the spin loop @turns times, or until the run is stopped. */
void lab_spin(struct lab_run *run, uint64_t turns);

#endif
