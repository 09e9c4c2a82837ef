// SPDX-License-Identifier: MIT
/*
 * What others get beside a thread that computes all the time. As workers of a server
 * that is told of all, they are preferred by it, and a watchdog ends the slices of the
 * one that computes; as workers with ranks, they are of better rank. One CPU.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "beside.h"

#define BESIDE_NS	1000000000ULL
#define SLICE_NS	1000000
#define PERIOD_NS	1000000
#define WAKES		1000

static int there[2], back[2];
static _Atomic long trips;
static struct task *hog;
static _Atomic bool hog_runs;
static volatile uint64_t last;
static uint64_t values[WAKES], busy_ns;

static void *hog_body(void *arg)
{
	scene_join((int)(intptr_t)arg);
	for (;;)
		last = __rdtsc();
	return NULL;
}

static void *ping_body(void *arg)
{
	char byte = 1;

	scene_join((int)(intptr_t)arg);
	while (write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1)
		atomic_fetch_add(&trips, 1);
	die("ping");
	return NULL;
}

static void *pong_body(void *arg)
{
	char byte;

	scene_join((int)(intptr_t)arg);
	while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
		;
	die("pong");
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void compute_ns(uint64_t ns)
{
	uint64_t end = clock_ns(CLOCK_THREAD_CPUTIME_ID) + ns;

	while (clock_ns(CLOCK_THREAD_CPUTIME_ID) < end)
		;
}

/* Who is too late for the next time waits for a later one: the load stays what it is. */
static void *timed_body(void *arg)
{
	uint64_t when, now, tsc;

	prctl(PR_SET_TIMERSLACK, 1);
	scene_join((int)(intptr_t)arg);
	when = clock_ns(CLOCK_MONOTONIC) + PERIOD_NS;
	for (int i = -50; i < WAKES; i++) {
		nap_until(when);
		tsc = __rdtsc();
		now = clock_ns(CLOCK_MONOTONIC);
		if (i >= 0)
			values[i] = busy_ns ? now - when : tsc - last;
		if (busy_ns)
			compute_ns(busy_ns);
		now = clock_ns(CLOCK_MONOTONIC);
		when += PERIOD_NS + (i + 50) % 37 * 997;
		if (when < now + PERIOD_NS / 50)
			when = now + PERIOD_NS / 50;
	}
	qsort(values, WAKES, sizeof(values[0]), by_value);
	report((double)values[busy_ns ? WAKES * 99 / 100 : WAKES / 2]);
	return NULL;
}

/* Ends the slice of the one that computes. */
static void *watchdog(void *arg)
{
	(void)arg;
	for (;;) {
		nap_until(clock_ns(CLOCK_MONOTONIC) + SLICE_NS);
		if (atomic_load(&hog_runs) && mark_preempted(hog))
			umcg_kick(0, hog->tid);
	}
	return NULL;
}

static void *judge(void *arg)
{
	long first;

	(void)arg;
	nap_until(clock_ns(CLOCK_MONOTONIC) + BESIDE_NS / 10);
	first = atomic_load(&trips);
	nap_until(clock_ns(CLOCK_MONOTONIC) + BESIDE_NS);
	report((double)BESIDE_NS / (atomic_load(&trips) - first));
	return NULL;
}

/* Prefers all others; the one that computes is preempted and kept. */
static void serve_beside(void)
{
	struct task *kept = NULL, *w;

	hog = scene_worker(0);
	spawn(watchdog, NULL, 0);
	for (;;) {
		while ((w = kept ? try_worker() : next_worker(scene_server())) == hog)
			kept = hog;
		if (!w) {
			w = kept;
			kept = NULL;
		}
		atomic_store(&hog_runs, w == hog);
		run_worker(scene_server(), w);
		atomic_store(&hog_runs, false);
		if (w == hog && is_preempted(w))
			kept = w;
	}
}

/* Runs the one of best rank. The others stay on the list, where the kernel sees them. */
static void serve_ranks(void)
{
	struct task *others[CROWD], *best, *w;

	for (;;) {
		int n = 0;

		best = next_worker(scene_server());
		while ((w = try_worker())) {
			bool better = w->record.rank < best->record.rank;

			others[n++] = better ? best : w;
			best = better ? w : best;
		}
		while (n)
			push_worker(others[--n]);
		run_worker(scene_server(), best);
	}
}

static void serve(enum kind kind)
{
	if (kind == UMCG)
		serve_beside();
	if (kind == RANK)
		serve_ranks();
	scene_serve();
}

void beside(const char *row, enum kind kind)
{
	name_row(row);
	scene_begin(kind);
	if (pipe(there) || pipe(back))
		die("pipe");
	spawn(hog_body, (void *)0, 0);
	spawn(ping_body, (void *)1, 0);
	spawn(pong_body, (void *)2, 0);
	spawn(judge, NULL, 0);
	serve(kind);
}

static void timed(const char *row, enum kind kind)
{
	name_row(row);
	scene_begin(kind);
	spawn(hog_body, (void *)0, 0);
	spawn(timed_body, (void *)1, 0);
	serve(kind);
}

void urgent(const char *row, enum kind kind)
{
	timed(row, kind);
}

void late(const char *row, enum kind kind)
{
	busy_ns = PERIOD_NS / 10 * 7;
	timed(row, kind);
}
