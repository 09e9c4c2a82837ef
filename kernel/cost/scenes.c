// SPDX-License-Identifier: MIT
/*
 * What threads do whose blocking is measured, whoever schedules them: they sleep, are
 * answered by a device, are woken all at once. One CPU.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "scenes.h"

static const char *name;

void name_row(const char *row)
{
	name = row;
}

void report(double value)
{
	printf("cost %s %.1f\n", name, value);
	fflush(stdout);
	_exit(0);
}

uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void nap_until(uint64_t when)
{
	struct timespec t = { when / 1000000000, when % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

void compute(int turns)
{
	for (volatile int i = 0; i < turns / 5; i++)
		;
}

/* --- eight that block: CPU time of an operation, without what it computes --- */

#define WORKERS	8
#define OPS	8000
#define WARM	800

static int ends[WORKERS][2];
static _Atomic uint64_t asked[WORKERS];
static uint64_t seeds[WORKERS], cpu_start, own;
static pthread_t device_thread;
static bool by_pipe;
static _Atomic int ops;
static int idle_ns = 400000, busy = 2000;	/* busy: about as many instructions */

/* Without the device, which is not what is measured. */
static uint64_t cpu_ns(void)
{
	uint64_t all = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	clockid_t clock;

	if (by_pipe && !pthread_getcpuclockid(device_thread, &clock))
		all -= clock_ns(clock);
	return all;
}

/* 0.5 to 1.5 times @ns, the same sequence for every kind. */
static uint64_t jitter(uint64_t *seed, uint64_t ns)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return ns / 2 + ns * (*seed >> 44) / (1 << 20);
}

static void one_op(int me)
{
	uint64_t until;
	char byte;
	int n;

	compute(busy);
	until = clock_ns(CLOCK_MONOTONIC) + jitter(&seeds[me], idle_ns);
	if (by_pipe) {
		atomic_store(&asked[me], until);
		if (read(ends[me][0], &byte, 1) != 1)
			die("read");
	} else {
		nap_until(until);
	}
	n = atomic_fetch_add(&ops, 1);
	if (n == WARM)
		cpu_start = cpu_ns();
	if (n == WARM + OPS)
		report((double)(cpu_ns() - cpu_start) / OPS - own);
}

static void *device(void *arg)
{
	(void)arg;
	for (;;) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC), next = now + idle_ns / 4;

		for (int i = 0; i < WORKERS; i++) {
			uint64_t at = atomic_load(&asked[i]);

			if (at && at <= now) {
				atomic_store(&asked[i], 0);
				if (write(ends[i][1], "", 1) != 1)
					die("write");
			} else if (at && at < next) {
				next = at;
			}
		}
		nap_until(next);
	}
	return NULL;
}

static void *crew_body(void *arg)
{
	scene_join((int)(intptr_t)arg);
	for (;;)
		one_op((int)(intptr_t)arg);
	return NULL;
}

static void block(const char *row, enum kind kind, bool pipes)
{
	name_row(row);
	scene_begin(kind);
	by_pipe = pipes;
	own = ~0ULL;
	for (int i = 0; i < 5; i++) {
		uint64_t start = __rdtsc(), took;

		compute(busy);
		took = __rdtsc() - start;
		own = took < own ? took : own;
	}
	for (int i = 0; i < WORKERS; i++) {
		seeds[i] = i + 1;
		if (pipe(ends[i]))
			die("pipe");
	}
	if (pipes && pthread_create(&device_thread, NULL, device, NULL))
		die("pthread_create");
	for (intptr_t i = 0; i < WORKERS; i++)
		spawn(crew_body, (void *)i, 0);
	scene_serve();
}

void sleep_block(const char *row, enum kind kind)
{
	block(row, kind, false);
}

void device_block(const char *row, enum kind kind)
{
	block(row, kind, true);
}

/* Computes 20 us an operation: 90 % busy, and the list is often full. */
void busy_block(const char *row, enum kind kind)
{
	busy = 20000;
	block(row, kind, true);
}

/* No CPU time is left, and every timer preempts. */
void full_block(const char *row, enum kind kind)
{
	prctl(PR_SET_TIMERSLACK, 1);
	busy = 1000;
	idle_ns = 10000;
	block(row, kind, false);
}

/* --- storms: 32 woken at once, until the last has run --- */

#define STORMS	60
#define FIRST	10

static _Atomic uint32_t generation;
static _Atomic int arrived, woken;
static uint64_t storm_start, storm_sum;

static void *stormer(void *arg)
{
	scene_join((int)(intptr_t)arg);
	for (;;) {
		uint32_t g = atomic_load(&generation);

		atomic_fetch_add(&arrived, 1);
		while (atomic_load(&generation) == g)
			syscall(SYS_futex, &generation, FUTEX_WAIT_PRIVATE, g, NULL, NULL, 0);
		if (atomic_fetch_add(&woken, 1) == CROWD - 1)
			storm_sum += __rdtsc() - storm_start;
	}
	return NULL;
}

static void *waker(void *arg)
{
	(void)arg;
	for (int i = 0; i < STORMS; i++) {
		while (atomic_load(&arrived) != CROWD)
			nap_until(clock_ns(CLOCK_MONOTONIC) + 1000000);
		nap_until(clock_ns(CLOCK_MONOTONIC) + 3000000);
		if (i == FIRST)
			storm_sum = 0;
		atomic_store(&arrived, 0);
		atomic_store(&woken, 0);
		storm_start = __rdtsc();
		atomic_fetch_add(&generation, 1);
		syscall(SYS_futex, &generation, FUTEX_WAKE_PRIVATE, CROWD, NULL, NULL, 0);
		while (atomic_load(&woken) != CROWD)
			nap_until(clock_ns(CLOCK_MONOTONIC) + 1000000);
	}
	report((double)storm_sum / (STORMS - FIRST) / CROWD);
	return NULL;
}

void storm(const char *row, enum kind kind)
{
	name_row(row);
	scene_begin(kind);
	for (intptr_t i = 0; i < CROWD; i++)
		spawn(stormer, (void *)i, 0);
	spawn(waker, NULL, 0);
	scene_serve();
}
