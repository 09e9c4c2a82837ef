/* SPDX-License-Identifier: MIT */
/*
 * A workload by its description, on threads: what labkit/sim does in virtual time,
 * with the same jobs, each of the same length.
 */
#ifndef LAB_PERFORM_H
#define LAB_PERFORM_H

#include "engine.h"

/* cffi: begin */
/* A job that is over; times in ns after the begin. */
struct lab_job {
	int64_t arrived, began, ended;
	uint64_t number;	/* in its class */
	int32_t tid;
	uint16_t klass;
	uint16_t dropped;	/* 1: given up, as the policy wanted */
};

struct lab_perform {
	intptr_t description;	/* struct sim_spec of labkit/sim/simulator.h */
	double turns_per_ns;	/* of the spin loop */
	int32_t umcg;		/* over servers; 0: plain threads */
	uint32_t servers;	/* UMCG only */
	uint32_t nr_cpus;	/* threads and servers stay on these */
	int32_t cpus[LAB_MAX_CPUS];
	int32_t client_cpu;	/* who lets jobs come; -1: wherever */
	int32_t file;		/* of pages to fault on; -1 */
	struct lab_policy policy;	/* UMCG only */
	struct lab_job *jobs;	/* out */
	uint64_t room;		/* of these */
	uint64_t done;		/* out: jobs that are over, whether there was room or not */
	uint64_t elapsed_ns;	/* out: from the begin to the last end */
	uint64_t helpers_ns;	/* out: as in struct lab_load */
	uint64_t preempts;	/* out */
};

/*
 * How many threads class @klass needs: of an open loop without threads of its own one
 * for each job; UINT64_MAX: more than @most.
 */
uint64_t lab_perform_threads(intptr_t description, uint32_t klass, uint64_t most);
/* Carry the description out. Room for all threads, the client, servers. 0, or -1 with errno. */
int lab_perform(struct lab_run *run, struct lab_perform *perform);
/* cffi: end */

#endif
