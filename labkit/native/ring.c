// SPDX-License-Identifier: MIT
/*
 * Many threads in a ring, few tokens: a thread that gets one wakes the next and
 * waits again. Every hop is a wait and a wake-up, however many threads there are.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "threads.h"
#include "crew.h"

struct seat {
	/* What makes it nonzero wakes the thread, once; the thread takes them all. */
	_Alignas(64) _Atomic uint32_t tokens;
};

struct ring {
	struct lab_ring *spec;
	struct lab_run *run;
	struct seat *seats;
	struct crew *crew;		/* over servers; or NULL */
	_Atomic uint32_t ready;
};

static void give(struct ring *ring, uint32_t index, uint32_t tokens)
{
	_Atomic uint32_t *word = &ring->seats[index].tokens;

	if (atomic_fetch_add(word, tokens))
		return;
	if (!ring->spec->umcg)
		syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	else if (umcg_wake(atomic_load(&ring->run->threads[index].task), false) &&
		 errno != ESRCH)
		lab_fail(ring->run, "umcg_wake", errno);
}

static uint32_t take(struct ring *ring, uint32_t index)
{
	_Atomic uint32_t *word = &ring->seats[index].tokens;
	uint32_t tokens;

	do {
		if (!ring->spec->umcg) {
			syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
		} else if (umcg_wait(0) && errno != EINTR) {
			lab_fail(ring->run, "umcg_wait", errno);
			return 0;
		}
	} while (!(tokens = atomic_exchange(word, 0)));
	return tokens;
}

static void *member(void *arg)
{
	struct lab_thread *self = arg;
	struct ring *ring = self->run->context;
	uint32_t next = (self->index + 1) % ring->spec->workers;
	bool registered = false;

	if (!lab_thread_begin(self))
		return NULL;
	if (ring->spec->umcg) {
		registered = !crew_enter(ring->crew, self, NULL);
		if (!registered)
			lab_fail(self->run, "registration of a worker", errno);
	}
	atomic_fetch_add(&ring->ready, 1);
	while (!lab_stopped(self->run)) {
		uint32_t tokens = take(ring, self->index);

		lab_count(self);
		if (tokens && !lab_stopped(self->run))
			give(ring, next, tokens);
	}
	if (registered && umcg_sched_leave())
		lab_fail(self->run, "umcg_sched_leave", errno);
	lab_thread_end(self);
	return NULL;
}

static uint64_t hops(struct ring *ring)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ring->spec->workers; i++)
		sum += atomic_load_explicit(&ring->run->threads[i].ops, memory_order_relaxed);
	return sum;
}

static void let_time_pass(struct ring *ring, int64_t end)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	while (!lab_stopped(ring->run) && lab_now() < end)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
}

/* In a thread of its own: only a task may wake a task. */
static void *starter(void *arg)
{
	struct lab_thread *self = arg;
	struct ring *ring = self->run->context;
	struct lab_ring *spec = ring->spec;
	bool registered;
	uint64_t before;
	int64_t begin;

	if (!lab_thread_begin(self))
		return NULL;
	registered = spec->umcg && umcg_register_basic_task(0) != UMCG_NONE;
	if (spec->umcg && !registered)
		lab_fail(self->run, "registration of the starter", errno);
	while (!lab_stopped(self->run) && atomic_load(&ring->ready) < spec->workers)
		let_time_pass(ring, lab_now() + 1000000);
	for (uint32_t i = 0; i < spec->tokens; i++)
		give(ring, (uint32_t)((uint64_t)i * spec->workers / spec->tokens), 1);
	let_time_pass(ring, lab_now() + (int64_t)spec->duration_ns / 4);
	begin = lab_now();
	before = hops(ring);
	let_time_pass(ring, begin + (int64_t)spec->duration_ns);
	spec->hops = hops(ring) - before;
	spec->elapsed_ns = (uint64_t)(lab_now() - begin);
	lab_stop(self->run);
	for (uint32_t i = 0; i < spec->workers; i++)
		give(ring, i, 1);
	if (registered)
		umcg_unregister_task();
	lab_thread_end(self);
	return NULL;
}

static bool make_threads(struct ring *ring)
{
	struct lab_ring *spec = ring->spec;

	for (uint32_t i = 0; i < spec->workers; i++)
		if (!lab_thread_new(ring->run, spec->umcg ? LAB_WORKER : LAB_THREAD, member,
				    spec->cpus, spec->nr_cpus))
			return false;
	return lab_thread_new(ring->run, LAB_BASIC, starter, NULL, 0);
}

static void measure(struct ring *ring)
{
	struct lab_run *run = ring->run;
	bool made = make_threads(ring);
	uint32_t all = run->nr_threads;

	if (!made)
		lab_fail(run, "pthread_create", errno);
	made = made && (!ring->crew || !crew_start(ring->crew, -1));
	lab_gate(run, made);
	lab_join(run, 0, all);
}

int lab_ring(struct lab_run *run, struct lab_ring *spec)
{
	struct ring ring = { .spec = spec, .run = run };
	uint64_t helpers_ns = 0, preempts;

	run->context = &ring;
	ring.seats = aligned_alloc(64, spec->workers * sizeof(struct seat));
	if (!ring.seats) {
		lab_fail(run, "memory for the ring", ENOMEM);
		goto out;
	}
	for (uint32_t i = 0; i < spec->workers; i++)
		atomic_init(&ring.seats[i].tokens, 0);
	if (spec->umcg)
		ring.crew = crew_new(run, &spec->policy, spec->workers, spec->servers, spec->cpus,
				     spec->nr_cpus, 0);
	if ((!spec->umcg || ring.crew) && !lab_stacks(run))
		measure(&ring);
	if (ring.crew)
		crew_end(ring.crew, &helpers_ns, &preempts);
out:
	free(ring.seats);
	run->context = NULL;
	errno = run->error;
	return run->error ? -1 : 0;
}
