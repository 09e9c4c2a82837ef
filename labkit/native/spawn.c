// SPDX-License-Identifier: MIT
/* The life of threads that do nothing: made, maybe registered as workers, joined; or parked. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "threads.h"
#include "lab.h"

/* A server for workers that only register, wait and leave, on its own thread. */
struct host {
	struct lab_run *run;
	umcg_t group;
	struct lab_service *service;
	uint32_t expected;
	pthread_t thread;
	bool made;
	_Atomic bool ready;
	_Atomic uint32_t left;		/* of those expected */
};

static void *host_body(void *arg)
{
	struct host *host = arg;

	if (umcg_register_server(host->group, 0) == UMCG_NONE)
		lab_fail(host->run, "registration of the server", errno);
	atomic_store(&host->ready, true);
	if (host->run->error)
		return NULL;
	while (lab_serve(host->service))
		if (errno != EINTR) {
			lab_fail(host->run, "serve", errno);
			break;
		}
	umcg_unregister_task();
	return NULL;
}

/* Returns when the server is there, to serve until @workers have unregistered. */
static int host_open(struct host *host, struct lab_run *run, uint32_t workers)
{
	int err;

	*host = (struct host){
		.run = run, .group = umcg_create_group(0), .expected = workers,
	};
	host->service = lab_service_new(workers, 1);
	if (host->group == UMCG_NONE || !host->service)
		return -1;
	err = pthread_create(&host->thread, NULL, host_body, host);
	if (err) {
		errno = err;
		return -1;
	}
	host->made = true;
	while (!atomic_load(&host->ready))
		sched_yield();
	return run->error ? -1 : 0;
}

/* The calling thread is a worker for a moment. */
static int host_visit(struct host *host)
{
	if (umcg_register_worker(host->group, 1) == UMCG_NONE || umcg_unregister_task())
		return -1;
	atomic_fetch_add(&host->left, 1);
	return 0;
}

static void host_close(struct host *host)
{
	/* For those that could not be made: the server waits for all of them. */
	while (host->made && atomic_load(&host->left) < host->expected &&
	       !host_visit(host))
		;
	if (host->made)
		pthread_join(host->thread, NULL);
	if (host->service)
		lab_service_free(host->service);
	if (host->group != UMCG_NONE && umcg_destroy_group(host->group))
		lab_fail(host->run, "umcg_destroy_group", errno);
}

struct spawner {
	struct lab_run *run;
	struct lab_spawn *spec;
	struct host host;
	pthread_t *crowd;
};

static void *mayfly(void *arg)
{
	struct spawner *spawner = arg;

	if (spawner->spec->umcg && host_visit(&spawner->host))
		lab_fail(spawner->run, "registration of a worker", errno);
	return NULL;
}

static void spawn_all(struct spawner *spawner)
{
	struct lab_spawn *spec = spawner->spec;
	pthread_attr_t attr;
	int64_t begin;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	begin = lab_now();
	/* Not ended by a stop: the server waits for all of them, and they are few. */
	for (uint64_t i = 0; i < spec->crowds; i++) {
		uint32_t made = 0;

		for (; made < spec->crowd; made++) {
			int err = pthread_create(&spawner->crowd[made], &attr, mayfly, spawner);

			if (err)
				lab_fail(spawner->run, "pthread_create", err);
			if (err)
				break;
		}
		for (uint32_t j = 0; j < made; j++)
			pthread_join(spawner->crowd[j], NULL);
		if (made < spec->crowd)
			break;
	}
	spec->elapsed_ns = (uint64_t)(lab_now() - begin);
	pthread_attr_destroy(&attr);
}

/* In a thread of its own, so that the caller's affinity stays what it is. */
static void *spawner_body(void *arg)
{
	struct spawner *spawner = arg;
	struct lab_spawn *spec = spawner->spec;
	cpu_set_t set;

	CPU_ZERO(&set);
	for (uint32_t i = 0; i < spec->nr_cpus; i++)
		CPU_SET(spec->cpus[i], &set);
	if (spec->nr_cpus && sched_setaffinity(0, sizeof(set), &set)) {
		lab_fail(spawner->run, "sched_setaffinity", errno);
		return NULL;
	}
	if (spec->umcg && host_open(&spawner->host, spawner->run,
				    (uint32_t)(spec->crowd * spec->crowds)))
		lab_fail(spawner->run, "a group and its server", errno);
	else
		spawn_all(spawner);
	if (spec->umcg)
		host_close(&spawner->host);
	return NULL;
}

int lab_spawn(struct lab_run *run, struct lab_spawn *spec)
{
	struct spawner spawner = { .run = run, .spec = spec };
	pthread_t thread;
	int err = ENOMEM;

	spawner.crowd = calloc(spec->crowd, sizeof(pthread_t));
	if (spawner.crowd)
		err = pthread_create(&thread, NULL, spawner_body, &spawner);
	if (err)
		lab_fail(run, "pthread_create", err);
	else
		pthread_join(thread, NULL);
	free(spawner.crowd);
	errno = run->error;
	return run->error ? -1 : 0;
}

/* Parked threads: what they cost is memory alone. */
struct park {
	struct host host;
	int32_t umcg;
	_Atomic uint32_t gone;
};

static void *parked(void *arg)
{
	struct lab_thread *self = arg;
	struct park *park = self->run->context;

	if (!lab_thread_begin(self))
		return NULL;
	if (park->umcg) {
		atomic_store(&self->task, umcg_get_utid());
		if (umcg_register_worker(park->host.group, 1) == UMCG_NONE) {
			lab_fail(self->run, "registration of a worker", errno);
			return NULL;
		}
		lab_count(self);
		while (umcg_wait(0) && errno == EINTR)
			;
		umcg_unregister_task();
		atomic_fetch_add(&park->host.left, 1);
	} else {
		lab_count(self);
		while (!atomic_load(&park->gone))
			syscall(SYS_futex, &park->gone, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	}
	lab_thread_end(self);
	return NULL;
}

static void release(struct lab_run *run, struct park *park)
{
	const struct timespec step = { .tv_nsec = 2000000 };

	while (!lab_stopped(run))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
	if (!park->umcg) {
		atomic_store(&park->gone, 1);
		syscall(SYS_futex, &park->gone, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
		return;
	}
	if (umcg_register_basic_task(0) == UMCG_NONE)
		lab_fail(run, "registration of the waker", errno);
	for (uint32_t i = 0; i < run->nr_threads; i++)
		if (umcg_wake(atomic_load(&run->threads[i].task), false))
			lab_fail(run, "umcg_wake", errno);
	umcg_unregister_task();
}

int lab_park(struct lab_run *run, uint32_t threads, int32_t umcg)
{
	struct park park = { .umcg = umcg };
	bool open = true;

	if (lab_stacks(run)) {
		errno = run->error;
		return -1;
	}
	run->context = &park;
	for (uint32_t i = 0; open && i < threads; i++)
		open = lab_thread_new(run, umcg ? LAB_WORKER : LAB_THREAD, parked, NULL, 0);
	if (!open)
		lab_fail(run, "pthread_create", errno);
	if (open && umcg && host_open(&park.host, run, threads)) {
		lab_fail(run, "a group and its server", errno);
		open = false;
	}
	lab_gate(run, open);
	if (open)
		release(run, &park);
	lab_join(run, 0, run->nr_threads);
	if (umcg)
		host_close(&park.host);
	run->context = NULL;
	errno = run->error;
	return run->error ? -1 : 0;
}
