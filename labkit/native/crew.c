// SPDX-License-Identifier: MIT
/*
 * The scheduler of a run. Its threads are libumcg-sched's own; here they get their
 * CPUs, and the CPU time that they take is counted.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>

#include "crew.h"

/* Beside the servers: the timer, the dispatcher, the watchdog; see umcg-sched.h. */
enum { TIMER, DISPATCHER, WATCHDOG, HELPERS };

struct part {
	struct crew *crew;
	void *(*body)(void *arg);
	void *arg;
	int32_t tid;
	uint64_t cpu_ns;
};

struct crew {
	struct lab_run *run;
	struct umcg_sched *sched;
	uint32_t servers, first;	/* of the run's threads */
	const int32_t *cpus;
	uint32_t nr_cpus;
	int32_t helper_cpu;
	bool traced;
	int64_t begin;
	uint32_t nr_parts;
	struct part parts[];		/* in the order in which they were made */
};

/* Whose threads the calling thread is making: the library hands nothing on. */
static __thread struct crew *making;

static void *part_body(void *arg)
{
	struct part *part = arg;
	int64_t begin = lab_thread_cpu();
	void *made;

	part->tid = (int32_t)syscall(SYS_gettid);
	made = part->body(part->arg);
	part->cpu_ns = (uint64_t)(lab_thread_cpu() - begin);
	return made;
}

static uint32_t nr_helpers(const struct crew *crew)
{
	return HELPERS - !crew->sched->policy->before;
}

/* A helper's place; the library gives servers theirs. */
static void place(struct crew *crew, uint32_t index, pthread_attr_t *attr)
{
	bool dispatcher = index == DISPATCHER && crew->sched->policy->before;
	uint32_t count = dispatcher ? crew->nr_cpus : crew->helper_cpu >= 0;
	cpu_set_t set;

	if (index >= nr_helpers(crew) || !count)
		return;
	CPU_ZERO(&set);
	for (uint32_t i = 0; i < count; i++)
		CPU_SET(dispatcher ? crew->cpus[i] : crew->helper_cpu, &set);
	pthread_attr_setaffinity_np(attr, sizeof(set), &set);
}

static int make_part(pthread_t *thread, const pthread_attr_t *attr, void *(*body)(void *), void *arg)
{
	struct crew *crew = making;
	struct part *part = &crew->parts[crew->nr_parts];
	pthread_attr_t own = *attr;
	int error;

	*part = (struct part){ .crew = crew, .body = body, .arg = arg };
	place(crew, crew->nr_parts, &own);
	error = pthread_create(thread, &own, part_body, part);
	crew->nr_parts += !error;
	return error;
}

/* With the scheduler's lock held. */
static void note_fault(void *arg, const struct umcg_sched_report *report)
{
	struct lab_run *run = arg;

	lab_say(run, LAB_SAID_FAULT, report->text);
	lab_fail(run, "policy", ECANCELED);
}

struct crew *crew_new(struct lab_run *run, const struct lab_policy *policy, uint32_t workers,
		      uint32_t servers, const int32_t *cpus, uint32_t nr_cpus, uint32_t trace)
{
	struct umcg_sched_config config = {
		.size = sizeof(config), .policy = policy->name,
		.own = (const struct umcg_policy *)policy->own, .binding = (void *)policy->binding,
		.servers = servers, .threads = workers, .cpus = cpus, .nr_cpus = nr_cpus,
		/* A proxy cannot crash, and sees to it itself that it comes back. */
		.flags = UMCG_SCHED_NO_STDERR | (policy->pass_on ? UMCG_SCHED_PASS_ON : 0) |
			 (policy->own ? UMCG_SCHED_NO_HANDLER | UMCG_SCHED_COMES_BACK : 0),
		.watchdog_ns = policy->watchdog_ns, .seed = policy->seed,
		.trace = policy->pass_on ? 0 : trace, .fault = note_fault, .arg = run, .spawn = make_part,
	};
	struct crew *crew = calloc(1, sizeof(*crew) + (servers + HELPERS) * sizeof(struct part));
	char why[UMCG_SENTENCE];

	if (!crew) {
		lab_fail(run, "memory for the servers", ENOMEM);
		return NULL;
	}
	crew->run = run;
	crew->servers = servers;
	crew->cpus = cpus;
	crew->nr_cpus = nr_cpus;
	crew->begin = lab_now();
	crew->traced = config.trace;
	crew->sched = umcg_sched_create(&config, why);
	if (crew->sched)
		return crew;
	if (errno == EINVAL)
		lab_say(run, LAB_SAID_CHOICE, why);
	lab_fail(run, "scheduler", errno);
	free(crew);
	return NULL;
}

int lab_may_pass_on(const char *policy)
{
	struct umcg_sched_config config = {
		.size = sizeof(config), .policy = policy, .servers = 1, .threads = 1,
		.flags = UMCG_SCHED_NO_STDERR | UMCG_SCHED_NO_HANDLER | UMCG_SCHED_PASS_ON,
	};
	char why[UMCG_SENTENCE];
	struct umcg_sched *sched = umcg_sched_create(&config, why);

	return sched && !umcg_sched_destroy(sched);
}

int crew_start(struct crew *crew, int32_t helper_cpu)
{
	int failed;

	crew->helper_cpu = helper_cpu;
	crew->first = lab_nr_tasks(crew->run);
	making = crew;
	failed = umcg_sched_start(crew->sched);
	making = NULL;
	if (failed) {
		lab_fail(crew->run, "start of the servers", errno);
		crew->nr_parts = 0;	/* they have gone home */
		return -1;
	}
	for (uint32_t i = 0; i < crew->servers; i++) {
		struct lab_thread *server = lab_thread_add(crew->run, LAB_SERVER);

		if (!server) {
			lab_fail(crew->run, "room for the servers", ENOSPC);
			return -1;
		}
		server->tid = crew->parts[nr_helpers(crew) + i].tid;
		server->cpu = crew->nr_cpus ? crew->cpus[i % crew->nr_cpus] : -1;
	}
	return 0;
}

int crew_enter(struct crew *crew, struct lab_thread *self, const struct umcg_sched_attr *attr)
{
	atomic_store(&self->task, umcg_get_utid());
	return umcg_sched_enter(crew->sched, attr, self->index);
}

void crew_end(struct crew *crew, uint64_t *helpers_ns, uint64_t *preempts)
{
	uint32_t helpers = nr_helpers(crew);
	struct umcg_sched_stats stats;

	if (crew->nr_parts && umcg_sched_stop(crew->sched)) {
		/* Memory and threads stay: a worker that has not left may still use them. */
		lab_fail(crew->run, "umcg_sched_stop", errno);
		return;
	}
	umcg_sched_get_stats(crew->sched, &stats);
	*preempts = stats.kicks;
	for (uint32_t i = 0; i < crew->nr_parts; i++) {
		struct lab_thread *server = &crew->run->threads[crew->first + i - helpers];

		if (i < helpers)
			*helpers_ns += crew->parts[i].cpu_ns;
		else if (crew->first + i - helpers < lab_nr_tasks(crew->run))
			server->cpu_ns = crew->parts[i].cpu_ns;
	}
	if (!crew->run->error && crew->traced)
		lab_rows_write(crew->run, crew->sched, crew->first, crew->begin);
	if (umcg_sched_destroy(crew->sched))
		lab_fail(crew->run, "umcg_sched_destroy", errno);
	free(crew);
}
