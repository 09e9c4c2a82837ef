/* SPDX-License-Identifier: MIT */
/*
 * What threads cost: made and joined, waiting, waking each other in a ring,
 * interrupted by a signal (engine.h says how a run goes).
 */
#ifndef LAB_THREADS_H
#define LAB_THREADS_H

#include "engine.h"

/* cffi: begin */
struct lab_spawn {
	int32_t umcg;		/* each registers as a worker, unregisters, ends */
	uint32_t nr_cpus;
	int32_t cpus[LAB_MAX_CPUS];
	uint32_t crowd;		/* made together, then joined together */
	uint64_t crowds;
	uint64_t elapsed_ns;	/* out */
};

/* Make and join threads, again and again. 0, or -1 with errno. */
int lab_spawn(struct lab_run *run, struct lab_spawn *spawn);

/*
 * Make @threads threads that wait (UMCG: as workers in umcg_wait()) until the
 * run is stopped; progress counts those that wait as ops. 0, or -1 with errno.
 */
int lab_park(struct lab_run *run, uint32_t threads, int32_t umcg);

struct lab_ring {
	int32_t umcg;
	uint32_t workers;
	uint32_t servers;	/* UMCG only */
	struct lab_policy policy;	/* UMCG only */
	uint32_t tokens;	/* threads that are awake at a time, at most */
	uint32_t nr_cpus;	/* all of them stay on these, server i on the i-th */
	int32_t cpus[LAB_MAX_CPUS];
	uint64_t duration_ns;
	uint64_t hops;		/* out: in elapsed_ns */
	uint64_t elapsed_ns;	/* out */
};

/* Tokens go round a ring of threads. 0, or -1 with errno. */
int lab_ring(struct lab_run *run, struct lab_ring *ring);

struct lab_interrupt {
	int32_t cpu;		/* of a thread that spins */
	int32_t sender_cpu;
	uint32_t count;
	int64_t *latency_ns;	/* out: from pthread_kill() to the handler */
};

/* What a signal takes to interrupt a thread that computes. 0, or -1 with errno. */
int lab_interrupt(struct lab_run *run, struct lab_interrupt *interrupt);
/* cffi: end */

#endif
