// SPDX-License-Identifier: MIT
/* Many threads work for a while: as plain threads, or as workers over servers. */
#define _GNU_SOURCE
#include <stdlib.h>

#include "load.h"

static struct load *load_of(struct lab_thread *self)
{
	return self->run->context;
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
		atomic_store(&self->task, umcg_get_utid());
		registered = umcg_register_worker(load->group, (intptr_t)self) != UMCG_NONE;
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
	if (registered && umcg_unregister_task())
		lab_fail(run, "umcg_unregister_task", errno);
	lab_thread_end(self);
	return NULL;
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

/*
 * A server leaves when a worker without a tag has left its place. One such
 * farewell by this thread for each server: no server can miss it, none waits for
 * work that will never come.
 */
static void dismiss_servers(struct load *load)
{
	for (uint32_t i = 0; i < load->spec->servers; i++) {
		if (umcg_register_worker(load->group, 0) == UMCG_NONE ||
		    umcg_unregister_task()) {
			lab_fail(load->run, "farewell of a server", errno);
			return;
		}
	}
	lab_join(load->run, load->spec->workers, load->spec->workers + load->spec->servers);
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
		/* Behind the gate: nobody reads it before it opens. */
		made->urgent = i < spec->urgent;
	}
	for (uint32_t i = 0; i < spec->servers; i++) {
		const int32_t *cpu = spec->nr_cpus ? &spec->cpus[i % spec->nr_cpus] : NULL;

		if (!lab_thread_new(load->run, LAB_SERVER, lab_server_body, cpu, !!cpu))
			return -1;
	}
	if (!ready_wants_dispatcher(spec))
		return 0;
	load->dispatcher = lab_thread_new(load->run, LAB_SERVER, lab_dispatcher_body,
					  spec->cpus, spec->nr_cpus);
	if (!load->dispatcher)
		return -1;
	load->dispatcher->urgent = 1;
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
	if (spec->umcg && spec->slice_ns && help(&helpers[2], load, lab_watchdog))
		return -1;
	return 0;
}

static void measure(struct load *load)
{
	struct lab_run *run = load->run;
	struct helper helpers[3] = { 0 };
	int64_t begin;

	load->begin = lab_now();
	if (make_threads(load)) {
		lab_fail(run, "pthread_create", errno);
		lab_gate(run, false);
		lab_join(run, 0, run->nr_threads);
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
	for (int i = 0; i < 3; i++)
		if (helpers[i].made)
			pthread_join(helpers[i].thread, NULL);
	ready_dismiss(load);
	if (load->spec->servers)
		dismiss_servers(load);
	load->spec->preempts = atomic_load(&load->preempts);
}

static int prepare(struct load *load)
{
	struct lab_load *spec = load->spec;
	size_t places = spec->servers + 1;

	pthread_mutex_init(&load->lock, NULL);
	load->workers = aligned_alloc(64, spec->workers * sizeof(struct worker));
	load->places = aligned_alloc(64, places * sizeof(struct place));
	if (!load->workers || !load->places)
		return -1;
	for (uint32_t i = 0; i < spec->workers; i++)
		load->workers[i] = (struct worker){ .fd = { -1, -1 }, .random = i + 1 };
	for (uint32_t i = 0; i < places; i++)
		load->places[i] = (struct place){ 0 };
	return queue_init(&load->urgent, spec->workers + 1) ?:
	       queue_init(&load->ready, spec->workers + 1) ?:
	       queue_init(&load->preempted, spec->workers + 1);
}

int lab_load(struct lab_run *run, struct lab_load *spec)
{
	struct load load = { .spec = spec, .run = run, .group = spec->group };

	if (!spec->umcg || spec->group)
		spec->servers = 0;
	run->context = &load;
	if (prepare(&load)) {
		lab_fail(run, "memory for the workers", ENOMEM);
		goto out;
	}
	if (spec->umcg && !spec->group)
		load.group = umcg_create_group(spec->slice_ns ? UMCG_GROUP_ENABLE_PREEMPTION : 0);
	if (spec->umcg && load.group == UMCG_NONE)
		lab_fail(run, "umcg_create_group", errno);
	else if (lab_work_setup(&load))
		lab_fail(run, "pipes, sockets or pages of the workers", errno);
	else
		measure(&load);
	lab_work_teardown(&load);
	if (load.group && !spec->group && umcg_destroy_group(load.group))
		lab_fail(run, "umcg_destroy_group", errno);
	queue_free(&load.urgent);
	queue_free(&load.ready);
	queue_free(&load.preempted);
out:
	pthread_mutex_destroy(&load.lock);
	free(load.workers);
	free(load.places);
	run->context = NULL;
	errno = run->error;
	return run->error ? -1 : 0;
}
