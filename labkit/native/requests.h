/* SPDX-License-Identifier: MIT */
/*
 * Requests that come at given times, before groups of threads (engine.h says how
 * a run goes).
 */
#ifndef LAB_REQUESTS_H
#define LAB_REQUESTS_H

#include "engine.h"

/* cffi: begin */
/* Threads of one kind: they answer requests of theirs, or compute all the time. */
struct lab_group {
	uint32_t threads;		/* as many as the CPUs: a pool; many: one a request */
	int32_t endless;		/* 1: they compute all the time */
	uint32_t most_waiting;		/* who finds so many waiting is refused; 0: nobody is */
	int32_t priority;		/* UMCG only, as the weight (0: the usual) and the tenant */
	uint32_t weight;
	uint32_t tenant;
	int32_t nice;
	int32_t fifo;			/* SCHED_FIFO priority; 0: none */
	int32_t cgroup;			/* cgroup.threads that they enter; -1: stay */
	uint64_t ops;			/* out, in elapsed_ns: answers, or operations */
	uint64_t cpu_ns;		/* out, in elapsed_ns */
};

/* What became of a request that has no latency. */
enum lab_no_answer { LAB_NEVER_CAME = -1, LAB_REFUSED = -2, LAB_DROPPED = -3 };

/*
 * Requests arrive at given times, whether the earlier ones are answered or not
 * (open loop), at their group; each of its threads takes the oldest that waits.
 */
struct lab_requests {
	int32_t umcg;			/* 1: over servers; 0: plain threads */
	uint32_t servers;		/* UMCG only */
	struct lab_group *groups;
	uint32_t nr_groups;
	uint32_t nr_cpus;		/* groups and servers stay on these */
	int32_t cpus[LAB_MAX_CPUS];
	int32_t client_cpu;		/* of the sender, and of what ends slices; -1: wherever */
	uint32_t requests;
	const uint64_t *arrival_ns;	/* after the begin, ascending */
	const uint64_t *turns;		/* spin loop turns of each */
	const uint8_t *group;		/* of each, by number; NULL: the first's */
	/* UMCG: what the policy is told of each, before its worker is woken; or NULL. */
	const int32_t *priority;	/* NULL: its group's */
	const uint64_t *deadline_ns;	/* after its arrival; 0: none */
	int32_t drop_late;		/* 1: whose deadline is over is not begun */
	int64_t *latency_ns;		/* out: arrival to answer; or enum lab_no_answer */
	uint64_t *late_ns;		/* out: how late the client sent it; or NULL */
	uint64_t endless_turns;		/* of one operation of an endless group */
	struct lab_policy policy;	/* UMCG only */
	uint64_t elapsed_ns;		/* out: from the begin to the last answer */
	uint64_t cpu_ns;		/* out: of groups (in elapsed_ns) and scheduler */
	uint64_t preempts;		/* out */
};

/* Send @requests's requests to its groups. 0, or -1 with errno. */
int lab_requests(struct lab_run *run, struct lab_requests *requests);
/* cffi: end */

#endif
