// SPDX-License-Identifier: MIT
/* Many threads work for a while: as plain threads, or as workers over servers. */
#define _GNU_SOURCE
#include <stdlib.h>

#include "crew.h"
#include "load.h"

static struct load *load_of(struct lab_thread *self)
{
	return self->run->context;
}

/* What policies may decide by: urgent work comes first, and is another tenant's. */
static int enter(struct load *load, struct lab_thread *self)
{
	struct umcg_sched_attr attr = {
		.priority = self->urgent, .klass = (uint16_t)self->urgent,
		.tenant = load->spec->urgent && !self->urgent,
	};

	if (load->crew)
		return crew_enter(load->crew, self, &attr);
	atomic_store(&self->task, umcg_get_utid());
	return umcg_register_worker(load->spec->group, (intptr_t)self) != UMCG_NONE ? 0 : -1;
}

static void *worker_body(void *arg)
{
	struct lab_thread *self = arg;
	struct load *load = load_of(self);
	struct lab_run *run = self->run;
	bool registered = false;

	if (!lab_thread_begin(self))
		return NULL;
	if (load->spec->umcg) {
		registered = !enter(load, self);
		if (!registered)
			lab_fail(run, "registration of a worker", errno);
	} else {
		lab_emit(self, lab_now(), self->tid, LAB_REGISTER, LAB_NONE,
			 LAB_RUNNING, 0, 0);
	}
	while (!lab_stopped(run))
		if (lab_work_one(load, self))
			lab_fail(run, "work", errno);
	atomic_fetch_sub(&load->live, 1);
	if (!load->spec->umcg)
		lab_emit(self, lab_now(), self->tid, LAB_UNREGISTER, LAB_RUNNING,
			 LAB_NONE, 0, 0);
	if (registered && (load->crew ? umcg_sched_leave() : umcg_unregister_task()))
		lab_fail(run, "umcg_unregister_task", errno);
	lab_thread_end(self);
	return NULL;
}

void lab_hand_back(struct lab_run *run)
{
	uint32_t nr = atomic_load(&run->nr_threads);

	/* It refuses those that are in no server's hands, have left, or never came. */
	for (uint32_t i = 0; i < nr; i++)
		umcg_put_idle_worker(atomic_load(&run->threads[i].task));
}

/* Storms count themselves. */
static bool enough(struct load *load)
{
	uint64_t ops = 0;

	if (!load->spec->max_ops || lab_work_is_storm(load->spec->work))
		return false;
	for (uint32_t i = 0; i < load->spec->workers; i++)
		ops += atomic_load_explicit(&load->run->threads[i].ops, memory_order_relaxed);
	return ops >= load->spec->max_ops;
}

/* Let the time pass, looking out for a stop. */
static void watch(struct load *load)
{
	int64_t end = lab_now() + (int64_t)load->spec->duration_ns;
	const struct timespec step = { .tv_nsec = 2000000 };

	while (!lab_stopped(load->run) && atomic_load(&load->live)) {
		if ((load->spec->duration_ns && lab_now() >= end) || enough(load))
			break;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
	}
	lab_stop(load->run);
}

static int make_threads(struct load *load)
{
	struct lab_load *spec = load->spec;
	enum lab_role role = spec->umcg ? LAB_WORKER : LAB_THREAD;

	for (uint32_t i = 0; i < spec->workers; i++) {
		struct lab_thread *made = lab_thread_new(load->run, role, worker_body,
							 spec->cpus, spec->nr_cpus);

		if (!made)
			return -1;
		/* Behind the gate: it is not read before that opens. */
		made->urgent = i < spec->urgent;
	}
	return 0;
}

struct helper {
	pthread_t thread;
	bool made;
};

static int help(struct helper *helper, struct load *load, void *(*body)(void *))
{
	int err = pthread_create(&helper->thread, NULL, body, load);

	helper->made = !err;
	errno = err;
	return err ? -1 : 0;
}

static int make_helpers(struct load *load, struct helper *helpers)
{
	struct lab_load *spec = load->spec;

	if (lab_work_needs_device(spec->work) && help(&helpers[0], load, lab_device))
		return -1;
	if (lab_work_is_storm(spec->work) && help(&helpers[1], load, lab_storm))
		return -1;
	return 0;
}

static void measure(struct load *load)
{
	struct lab_run *run = load->run;
	struct helper helpers[2] = { 0 };
	bool made = !make_threads(load);
	int64_t begin;

	if (!made)
		lab_fail(run, "pthread_create", errno);
	if (!made || (load->crew && crew_start(load->crew, -1))) {
		lab_gate(run, false);
		lab_join(run, 0, made ? load->spec->workers : run->nr_threads);
		return;
	}
	atomic_store(&load->live, load->spec->workers);
	if (make_helpers(load, helpers))
		lab_fail(run, "pthread_create", errno);
	lab_gate(run, true);
	begin = lab_now();
	watch(load);
	load->spec->elapsed_ns = (uint64_t)(lab_now() - begin);
	lab_join(run, 0, load->spec->workers);
	for (int i = 0; i < 2; i++)
		if (helpers[i].made)
			pthread_join(helpers[i].thread, NULL);
}

static int prepare(struct load *load)
{
	struct lab_load *spec = load->spec;

	pthread_mutex_init(&load->lock, NULL);
	load->workers = aligned_alloc(64, spec->workers * sizeof(struct worker));
	if (!load->workers) {
		errno = ENOMEM;
		return -1;
	}
	for (uint32_t i = 0; i < spec->workers; i++)
		load->workers[i] = (struct worker){ .fd = { -1, -1 }, .random = i + 1 };
	return 0;
}

int lab_load(struct lab_run *run, struct lab_load *spec)
{
	struct load load = { .spec = spec, .run = run };
	bool served = spec->umcg && !spec->group;

	if (!served)
		spec->servers = 0;
	run->context = &load;
	if (prepare(&load)) {
		lab_fail(run, "memory for the workers", errno);
		goto out;
	}
	if (served)
		load.crew = crew_new(run, &spec->policy, spec->workers, spec->servers, spec->cpus,
				     spec->nr_cpus, run->threads[spec->workers].max_events);
	if (!served || load.crew) {
		if (lab_work_setup(&load))
			lab_fail(run, "pipes, sockets or pages of the workers", errno);
		else
			measure(&load);
		lab_work_teardown(&load);
	}
	if (load.crew)
		crew_end(load.crew, &spec->helpers_ns, &spec->preempts);
out:
	pthread_mutex_destroy(&load.lock);
	free(load.workers);
	run->context = NULL;
	errno = run->error;
	return run->error ? -1 : 0;
}
