// SPDX-License-Identifier: MIT
/*
 * Prints "kick MEDIAN P99 MAX", nanoseconds from marking a worker that spins
 * alone on its CPU until its server is back in user mode, over 1000 kicks.
 * The server's place is the worker's CPU; the thread that kicks is on the other one.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cost.h"
#include "task.h"

#define KICKS	1000

static struct task server, worker;
static _Atomic uint64_t spins, returned_at;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void *spin(void *arg)
{
	(void)arg;
	be_worker(&worker);
	for (;;)
		atomic_fetch_add(&spins, 1);
	return NULL;
}

static void *serve(void *arg)
{
	struct task *w;

	(void)arg;
	be_server(&server);
	w = next_worker(&server);
	for (;;) {
		run_worker(&server, w);
		atomic_store(&returned_at, now());
		while (atomic_load(&returned_at))
			sched_yield();
	}
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int main(void)
{
	static uint64_t ns[KICKS];

	pin(0);
	spawn(serve, NULL, 1);
	spawn(spin, NULL, 1);
	for (int i = 0; i < KICKS; i++) {
		uint64_t seen = atomic_load(&spins), start;

		while (atomic_load(&spins) < seen + 1000)
			sched_yield();
		start = now();
		set_state(&worker, UMCG_TASK_RUNNING, UMCG_TASK_RUNNING | UMCG_TF_PREEMPTED);
		/* The timer may have been faster: then there is no task to kick. */
		umcg_kick(0, worker.tid);
		while (!atomic_load(&returned_at))
			sched_yield();
		ns[i] = atomic_load(&returned_at) - start;
		atomic_store(&returned_at, 0);
	}
	qsort(ns, KICKS, sizeof(ns[0]), by_value);
	printf("kick %llu %llu %llu\n", (unsigned long long)ns[KICKS / 2],
	       (unsigned long long)ns[KICKS * 99 / 100], (unsigned long long)ns[KICKS - 1]);
	exit(0);
}
