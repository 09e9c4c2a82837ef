// SPDX-License-Identifier: MIT
/* A run: its threads, their rings, the gate they start behind. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "lab.h"

struct lab_run *lab_new(const struct lab_room *room)
{
	size_t of_threads = (size_t)room->threads * room->events;
	size_t of_servers = (size_t)room->servers * room->server_events;
	size_t waits = of_servers ? of_threads * sizeof(struct lab_wait) : 0;
	size_t ring = (of_threads + of_servers) * sizeof(struct lab_event);
	uint32_t threads = room->threads + room->servers;
	size_t size = sizeof(struct lab_run) + threads * sizeof(struct lab_thread);
	struct lab_run *run = aligned_alloc(64, (size + 63) & ~63UL);
	struct lab_event *next;

	if (!run)
		return NULL;
	memset(run, 0, size);
	run->max_threads = threads;
	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->arrived, NULL);
	pthread_cond_init(&run->moved, NULL);
	if (ring) {
		run->ring = malloc(ring);
		run->waits = waits ? malloc(waits) : NULL;
		if (!run->ring || (waits && !run->waits)) {
			lab_free(run);
			errno = ENOMEM;
			return NULL;
		}
		/* Touch it now: no page fault while something is measured. */
		memset(run->ring, 0xff, ring);
		if (waits)
			memset(run->waits, 0xff, waits);
	}
	next = run->ring;
	for (uint32_t i = 0; i < threads; i++) {
		struct lab_thread *thread = &run->threads[i];

		thread->index = i;
		thread->run = run;
		if (i < room->threads)
			thread->max_events = room->events;
		else if (i == room->threads)
			thread->max_events = (uint32_t)of_servers;
		if (run->waits && i < room->threads)
			thread->waits = run->waits + (size_t)i * room->events;
		thread->events = next;
		if (next)
			next += thread->max_events;
	}
	return run;
}

void lab_free(struct lab_run *run)
{
	if (!run)
		return;
	pthread_mutex_destroy(&run->lock);
	pthread_cond_destroy(&run->arrived);
	pthread_cond_destroy(&run->moved);
	if (run->stacks)
		munmap(run->stacks, (size_t)run->max_threads * LAB_STACK);
	free(run->ring);
	free(run->waits);
	free(run);
}

void lab_stop(struct lab_run *run)
{
	atomic_store(&run->stop, true);
}

void lab_fail(struct lab_run *run, const char *what, int error)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&run->error, &none, error))
		atomic_store(&run->failure, what);
	lab_stop(run);
}

void lab_say(struct lab_run *run, enum lab_said what, const char *text)
{
	/* Without malloc: a policy may have crashed in there. */
	if (run->said_what)
		return;
	snprintf(run->said, sizeof(run->said), "%s", text);
	run->said_what = what;
}

enum lab_said lab_said_what(struct lab_run *run)
{
	return run->said_what;
}

const char *lab_said(struct lab_run *run)
{
	return run->said;
}

const char *lab_failure(struct lab_run *run)
{
	const char *failure = atomic_load(&run->failure);

	return failure ? failure : "";
}

void lab_get_progress(struct lab_run *run, struct lab_progress *out)
{
	uint32_t nr = atomic_load(&run->nr_threads);

	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < nr; i++) {
		struct lab_thread *thread = &run->threads[i];

		out->ops += atomic_load_explicit(&thread->ops, memory_order_relaxed);
		out->live += atomic_load_explicit(&thread->live, memory_order_relaxed);
		out->blocked += atomic_load_explicit(&thread->blocked,
						     memory_order_relaxed);
	}
}

uint32_t lab_nr_tasks(struct lab_run *run)
{
	return atomic_load(&run->nr_threads);
}

void lab_get_task(struct lab_run *run, uint32_t index, struct lab_task *out)
{
	struct lab_thread *thread = &run->threads[index];

	*out = (struct lab_task){
		.tid = thread->tid, .role = thread->role, .ops = thread->ops,
		.cpu_ns = thread->cpu_ns, .faults = thread->faults,
		.lost = thread->lost,
		.lost_states = thread->lost_states, .lost_ops = thread->lost_ops,
		.lost_last = thread->lost_last,
		.nr_events = thread->nr_events, .urgent = thread->urgent,
	};
}

const struct lab_event *lab_get_events(struct lab_run *run, uint32_t index)
{
	return run->threads[index].events;
}

int lab_stacks(struct lab_run *run)
{
	size_t guard = (size_t)sysconf(_SC_PAGESIZE), size = (size_t)run->max_threads * LAB_STACK;
	char *stacks = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

	if (stacks == MAP_FAILED)
		goto failed;
	run->stacks = stacks;
	for (uint32_t i = 0; i < run->max_threads; i++)
		if (mprotect(stacks + (size_t)i * LAB_STACK, guard, PROT_NONE))
			goto failed;
	return 0;
failed:
	lab_fail(run, "memory for stacks", errno);
	return -1;
}

struct lab_thread *lab_thread_new(struct lab_run *run, enum lab_role role,
				  void *(*body)(void *), const int32_t *cpus,
				  uint32_t nr_cpus)
{
	uint32_t index = atomic_load(&run->nr_threads);
	struct lab_thread *thread = &run->threads[index];
	pthread_attr_t attr;
	sigset_t all, old;
	cpu_set_t set;
	int err;

	if (index == run->max_threads) {
		errno = ENOSPC;
		return NULL;
	}
	thread->role = role;
	pthread_attr_init(&attr);
	if (run->stacks)
		pthread_attr_setstack(&attr, run->stacks + (size_t)index * LAB_STACK, LAB_STACK);
	else
		pthread_attr_setstacksize(&attr, LAB_STACK);
	if (nr_cpus) {
		CPU_ZERO(&set);
		for (uint32_t i = 0; i < nr_cpus; i++)
			CPU_SET(cpus[i], &set);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	/* Signals are for the caller's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	err = pthread_create(&thread->pthread, &attr, body, thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (err) {
		errno = err;
		return NULL;
	}
	atomic_store(&run->nr_threads, index + 1);
	return thread;
}

struct lab_thread *lab_thread_add(struct lab_run *run, enum lab_role role)
{
	uint32_t index = atomic_load(&run->nr_threads);

	if (index == run->max_threads) {
		errno = ENOSPC;
		return NULL;
	}
	run->threads[index].role = role;
	pthread_mutex_lock(&run->lock);
	run->waiting++;
	atomic_store(&run->nr_threads, index + 1);
	pthread_mutex_unlock(&run->lock);
	return &run->threads[index];
}

int64_t lab_thread_cpu(void)
{
	struct timespec used;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	return used.tv_sec * 1000000000LL + used.tv_nsec;
}

/* Major faults of the calling thread so far. */
static uint64_t thread_faults(void)
{
	struct rusage used = { 0 };

	getrusage(RUSAGE_THREAD, &used);
	return (uint64_t)used.ru_majflt;
}

bool lab_thread_begin(struct lab_thread *self)
{
	struct lab_run *run = self->run;
	int gate;

	self->tid = (int32_t)syscall(SYS_gettid);
	pthread_mutex_lock(&run->lock);
	run->waiting++;
	/* Only the thread that opens the gate is told: thousands may wait already. */
	pthread_cond_signal(&run->arrived);
	while (!run->gate)
		pthread_cond_wait(&run->moved, &run->lock);
	gate = run->gate;
	pthread_mutex_unlock(&run->lock);
	if (gate < 0)
		return false;
	self->cpu_begin = lab_thread_cpu();
	self->faults = thread_faults();
	atomic_store(&self->live, 1);
	return true;
}

void lab_thread_end(struct lab_thread *self)
{
	atomic_store(&self->live, 0);
	self->cpu_ns = (uint64_t)(lab_thread_cpu() - self->cpu_begin);
	self->faults = thread_faults() - self->faults;
}

void lab_gate(struct lab_run *run, bool open)
{
	pthread_mutex_lock(&run->lock);
	while (run->waiting < atomic_load(&run->nr_threads))
		pthread_cond_wait(&run->arrived, &run->lock);
	run->gate = open ? 1 : -1;
	pthread_cond_broadcast(&run->moved);
	pthread_mutex_unlock(&run->lock);
}

void lab_join(struct lab_run *run, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		pthread_join(run->threads[i].pthread, NULL);
}

/* The volatile keeps the compiler from knowing how it ends. */
static inline void turn(uint64_t turns)
{
	for (volatile uint64_t i = 0; i < turns; i++)
		;
}

void lab_spin(struct lab_run *run, uint64_t turns)
{
	while (turns && !lab_stopped(run)) {
		uint64_t part = turns < 1024 ? turns : 1024;

		turn(part);
		turns -= part;
	}
}

double lab_spin_rate(void)
{
	const uint64_t turns = 100000;
	int64_t best = INT64_MAX;

	/* The fastest of some: others only slow a measurement down. */
	for (int i = 0; i < 15; i++) {
		int64_t begin = lab_now();
		int64_t took;

		turn(turns);
		took = lab_now() - begin;
		if (took < best)
			best = took;
	}
	return (double)turns * 1000.0 / (double)(best > 0 ? best : 1);
}
