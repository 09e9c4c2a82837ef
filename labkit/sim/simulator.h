/* SPDX-License-Identifier: MIT */
/* The simulator as Python sees it. */
#ifndef SIM_SIMULATOR_H
#define SIM_SIMULATOR_H

#include <stdbool.h>
#include <stdint.h>

#include <umcg-policy.h>

#include "random.h"

/* cffi: begin */
struct sim;

/* One step of a class's threads. */
enum sim_step_kind {
	SIM_COMPUTE, SIM_SLEEP, SIM_IO, SIM_FAULT, SIM_LOCK, SIM_UNLOCK, SIM_YIELD
};

struct sim_step {
	uint32_t kind;
	uint32_t of;			/* distribution, or lock */
};

enum sim_arrivals {
	SIM_POISSON, SIM_PERIODIC, SIM_CLOSED, SIM_TRACE
};

struct sim_class {
	uint32_t arrivals;
	double mean;			/* Poisson: distance of arrivals, ns */
	uint64_t period, offset;	/* periodic; closed: when it starts */
	uint64_t first_time, times;	/* trace: so many in sim_spec.values from there on */
	uint32_t think;			/* closed: distribution */
	uint32_t threads;		/* 0: one for every job */
	uint64_t jobs;			/* no more than these */
	uint32_t first_step, steps;
	uint64_t repeat;
	uint64_t deadline;		/* 0: none */
	uint32_t weight;
	int32_t priority;
	uint32_t tenant;
	bool size_known;
};

struct sim_spec {
	uint32_t servers, classes, steps, distributions, locks;
	uint64_t seed;
	uint64_t duration;		/* no job comes at this time or later */
	uint64_t until;			/* the run ends here, whatever is left */
	uint64_t switch_ns, block_ns, wake_ns, preempt_ns;
	uint64_t watchdog_ns;		/* of virtual time */
	uint64_t rows;			/* room for events; 0: none are written */
	const char *const *name;	/* of the classes */
	const struct sim_class *klass;
	const struct sim_step *step;
	const struct sim_distribution *distribution;
	const uint64_t *values;
};

struct sim_times {
	uint64_t n, sum, max, p50, p90, p99, p999;
};

struct sim_class_result {
	uint64_t come, done, late, dropped;
	uint64_t service_ns;		/* of all its threads */
	struct sim_times latency;	/* of jobs, from arrival to end */
	struct sim_times response;	/* from arrival until it runs first */
};

struct sim_server_result {
	uint64_t busy_ns;		/* its threads ran */
	uint64_t cost_ns;		/* switching */
	uint64_t turns;
};

struct sim_result {
	uint64_t now_ns, events, rows, threads, turns;
	uint64_t blocked, waited, expired, preempted, yielded, ended, locks_waited;
	uint64_t left_ready, left_blocked;
};

enum sim_outcome {
	SIM_DONE,
	SIM_STOPPED,			/* by sim_stop(), in a guarded process by SIGTERM */
	SIM_OPTIONS,			/* the policy refuses its options */
	SIM_POLICY,			/* the policy is wrong: see sim_report() */
	SIM_WORKLOAD,			/* the workload cannot go on */
	SIM_FULL,			/* there is no room for more events */
	SIM_MEMORY,
	SIM_FILE,			/* the events cannot be written: errno */
};

/* NULL: no memory. What @spec points to has to stay. @fd takes the events. */
struct sim *sim_new(const struct sim_spec *spec, const struct umcg_policy *policy, int fd);
void sim_free(struct sim *sim);
/* For policies in another language, before the run: umcg_sched.binding. */
void sim_bind(struct sim *sim, void *binding);
/* With the policy's @options, "name=value,name=value". */
enum sim_outcome sim_run(struct sim *sim, const char *options);
/* From a callback or a signal handler: come to an end. */
void sim_stop(struct sim *sim);
/* What went wrong, one sentence in the first line; "" if nothing did. */
const char *sim_report(struct sim *sim);
void sim_result(const struct sim *sim, struct sim_result *result);
void sim_class_result(const struct sim *sim, uint32_t klass, struct sim_class_result *result);
void sim_server_result(const struct sim *sim, uint32_t server, struct sim_server_result *result);
/*
 * In a process of its own: a crash, or a call of the policy that lasts for
 * @seconds, writes the report to @fd and ends the process with code 3 or 4. Ten
 * times a second @tell gets a struct sim_progress. The process ends with its parent.
 */
bool sim_guard(struct sim *sim, double seconds, int fd, int tell, int parent);
/* What the policy printed and stdio still holds. */
void sim_flush(void);

struct sim_progress {
	uint64_t now_ns, events;
};
/* cffi: end */

#endif
