/* SPDX-License-Identifier: MIT */
/* The scheduler of a run: servers of libumcg-sched with a policy, made for the run's workers. */
#ifndef LAB_CREW_H
#define LAB_CREW_H

#include <umcg-sched.h>

#include "lab.h"

struct crew;

/*
 * A scheduler for @workers workers over @servers servers, server i on the i-th of
 * @cpus; its trace has room for @trace decisions. NULL after lab_fail().
 */
struct crew *crew_new(struct lab_run *run, const struct lab_policy *policy, uint32_t workers,
		      uint32_t servers, const int32_t *cpus, uint32_t nr_cpus, uint32_t trace);
/*
 * Make the servers; all of the run's workers are made and wait behind the gate. The
 * scheduler's other threads stay on @helper_cpu (-1: wherever), but the dispatcher
 * of urgent arrivals, which is with the servers. -1 after lab_fail().
 */
int crew_start(struct crew *crew, int32_t helper_cpu);
/* @self is a worker of it from now on, as @attr says. -1 with errno. */
int crew_enter(struct crew *crew, struct lab_thread *self, const struct umcg_sched_attr *attr);
/*
 * All workers have left: end the servers, write down what they saw. CPU time of the
 * servers is in their lab_thread, that of the others in @helpers_ns; @preempts are
 * those asked for and accepted.
 */
void crew_end(struct crew *crew, uint64_t *helpers_ns, uint64_t *preempts);

/* rows.c: the scheduler's trace as rows of the event table, in the ring of the servers. */
void lab_rows_write(struct lab_run *run, struct umcg_sched *sched, uint32_t first_server,
		    int64_t begin);

#endif
