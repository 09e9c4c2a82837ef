// SPDX-License-Identifier: MIT
/*
 * The rows of the programs "lib" and "lib-untraced": the same hand-offs through
 * libumcg, and what else it does for each. The latter is linked with a library
 * that has no trace at all; there "traced" rows say nothing.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <libumcg.h>

#include "cost.h"

#define FULL	1000	/* workers on a full list */
#define DRAIN	500	/* laps that no thread's ring of the trace is too small for */

static umcg_t group;
static uint32_t flags;	/* of the group */
static bool traced;
static atomic_intptr_t tasks[2];

/* The trace is on; what it has recorded is read out where that is not counted. */
static void trace(void)
{
	traced = true;
	if (umcg_trace_enable(group, true))
		die("umcg_trace_enable");
}

static void drain(void)
{
	static struct umcg_trace_record records[1024];
	static int laps;

	if (!traced || ++laps % DRAIN)
		return;
	pause_laps();
	while (umcg_trace_read(records, 1024) > 0)
		;
	if (umcg_trace_lost(group))
		die("records of the trace were lost");
	resume_laps();
}

static void counted(void)
{
	lap();
	drain();
}

static void check(int failed, const char *what)
{
	if (failed)
		die(what);
}

/* --- basic tasks --- */

static void swap_to(umcg_tid next)
{
	check(umcg_swap(next, 0), "umcg_swap");
}

static void wake_and_wait(umcg_tid next)
{
	check(umcg_wake(next, false), "umcg_wake");
	check(umcg_wait(0), "umcg_wait");
}

static void *basic_peer(void *arg)
{
	void (*pass)(umcg_tid) = arg;
	umcg_tid other = tasks[0];

	tasks[1] = umcg_register_basic_task(0);
	check(!tasks[1], "umcg_register_basic_task");
	check(umcg_wait(0), "umcg_wait");
	for (;;)
		pass(other);
	return NULL;
}

static void basic(void (*pass)(umcg_tid))
{
	umcg_tid other;

	tasks[0] = umcg_register_basic_task(0);
	check(!tasks[0], "umcg_register_basic_task");
	spawn(basic_peer, (void *)pass, 0);
	while (!(other = tasks[1]) || umcg_get_task_state(other) != UMCG_TASK_IDLE)
		sched_yield();
	for (;;) {
		pass(other);
		counted();
	}
}

static void row_swap(void)
{
	basic(swap_to);
}

static void row_wake_wait(void)
{
	basic(wake_and_wait);
}

/* --- a server and its workers --- */

static void be_server(void)
{
	group = umcg_create_group(flags);
	check(!group, "umcg_create_group");
	if (traced)
		trace();
	check(!umcg_register_server(group, 0), "umcg_register_server");
}

static umcg_tid next_worker(void)
{
	umcg_tid worker = umcg_get_idle_worker(true);

	check(!worker, "umcg_get_idle_worker");
	return worker;
}

static void run(umcg_tid worker)
{
	check(umcg_run_worker(worker) != worker, "umcg_run_worker");
}

static void *yielding_worker(void *arg)
{
	(void)arg;
	check(!umcg_register_worker(group, 0), "umcg_register_worker");
	for (;;)
		check(umcg_wait(0), "umcg_wait");
	return NULL;
}

static void row_run_yield(void)
{
	umcg_tid worker;

	be_server();
	spawn(yielding_worker, NULL, 0);
	worker = next_worker();
	for (;;) {
		run(worker);
		counted();
	}
}

static void *swapping_worker(void *arg)
{
	int me = (int)(intptr_t)arg;
	umcg_tid next;

	check(!umcg_register_worker(group, 0), "umcg_register_worker");
	tasks[me] = umcg_get_utid();
	/* The first lets the server run the second, which then finds it waiting. */
	if (!me)
		check(umcg_wait(0), "umcg_wait");
	next = tasks[!me];
	for (;;) {
		check(umcg_swap(next, 0), "umcg_swap");
		if (me)
			counted();
	}
	return NULL;
}

static void row_worker_swap(void)
{
	be_server();
	spawn(swapping_worker, (void *)0, 0);
	run(next_worker());
	spawn(swapping_worker, (void *)1, 0);
	umcg_run_worker(next_worker());
	die("the server got its place back");
}

/* --- the list of idle workers --- */

static void row_get_empty(void)
{
	be_server();
	for (;;) {
		if (umcg_get_idle_worker(false))
			die("a worker is idle");
		lap();
	}
}

static void row_get_full(void)
{
	static umcg_tid workers[FULL];

	be_server();
	for (int i = 0; i < FULL; i++)
		spawn(yielding_worker, NULL, 0);
	for (int i = 0; i < FULL; i++) {
		workers[i] = next_worker();
		run(workers[i]);
	}
	for (;;) {
		pause_laps();
		for (int i = 0; i < FULL; i++)
			check(umcg_wake(workers[i], false), "umcg_wake");
		resume_laps();
		for (int i = 0; i < FULL; i++) {
			workers[i] = umcg_get_idle_worker(false);
			lap();
		}
		pause_laps();
		for (int i = 0; i < FULL; i++)
			run(workers[i]);
		resume_laps();
	}
}

/* --- workers that block, told and with places that pass on --- */

static int there[2], back[2];

static void *piping_worker(void *arg)
{
	int from = arg ? there[0] : back[0], to = arg ? back[1] : there[1];
	char byte = 0;

	check(!umcg_register_worker(group, 0), "umcg_register_worker");
	if (!arg)
		check(write(to, &byte, 1) != 1, "write");
	while (read(from, &byte, 1) == 1 && write(to, &byte, 1) == 1)
		if (!arg)
			lap();
	die("pipe");
	return NULL;
}

static void serve(void)
{
	for (;;)
		umcg_run_worker(next_worker());
}

static void row_worker_pipe(void)
{
	be_server();
	check(pipe(there) || pipe(back), "pipe");
	spawn(piping_worker, (void *)1, 0);
	spawn(piping_worker, NULL, 0);
	serve();
}

static void row_worker_pipe_pass(void)
{
	flags = UMCG_GROUP_PASS_ON;
	row_worker_pipe();
}

/* 32 in umcg_wait(), woken one by one, until the last has run: a worker's share. */
#define CROWD	32
#define STORMS	60
#define FIRST	10

static atomic_intptr_t crowd[CROWD];
static atomic_int ran;
static uint64_t began, sum;

static void *waiting_worker(void *arg)
{
	atomic_intptr_t *me = arg;

	check(!umcg_register_worker(group, 0), "umcg_register_worker");
	*me = umcg_get_utid();
	for (;;) {
		check(umcg_wait(0), "umcg_wait");
		if (atomic_fetch_add(&ran, 1) == CROWD - 1)
			sum += __rdtsc() - began;
	}
	return NULL;
}

static void nap(long ns)
{
	struct timespec time = { 0, ns };

	nanosleep(&time, NULL);
}

static void *waker(void *arg)
{
	check(!umcg_register_basic_task(0), "umcg_register_basic_task");
	for (int i = 0; i < CROWD; i++)
		while (!crowd[i] || !(umcg_get_task_state(crowd[i]) & UMCG_UTF_WORKER_IN_WAIT))
			nap(1000000);
	for (int n = 0; n < STORMS; n++) {
		nap(3000000);
		if (n == FIRST)
			sum = 0;
		ran = 0;
		began = __rdtsc();
		for (int i = 0; i < CROWD; i++)
			check(umcg_wake(crowd[i], false), "umcg_wake");
		while (ran != CROWD)
			nap(1000000);
	}
	printf("cost %s %.1f\n", (const char *)arg, (double)sum / (STORMS - FIRST) / CROWD);
	fflush(stdout);
	_exit(0);
}

static void storm(const char *name)
{
	be_server();
	for (int i = 0; i < CROWD; i++)
		spawn(waiting_worker, &crowd[i], 0);
	spawn(waker, (void *)name, 0);
	serve();
}

static void row_storm(void)
{
	storm("wait-storm");
}

static void row_storm_pass(void)
{
	flags = UMCG_GROUP_PASS_ON;
	storm("wait-storm-pass");
}

/* --- with the trace on --- */

static void row_swap_traced(void)
{
	trace();
	row_swap();
}

static void row_wake_wait_traced(void)
{
	trace();
	row_wake_wait();
}

static void row_run_yield_traced(void)
{
	traced = true;
	row_run_yield();
}

static void row_worker_swap_traced(void)
{
	traced = true;
	row_worker_swap();
}

const struct row rows[] = {
	{ "umcg-swap", row_swap, true },
	{ "umcg-wake-wait", row_wake_wait, true },
	{ "umcg-run-yield", row_run_yield, true },
	{ "umcg-worker-swap", row_worker_swap, true },
	{ "get-empty", row_get_empty, true },
	{ "get-full", row_get_full, true },
	{ "worker-pipe", row_worker_pipe, true },
	{ "worker-pipe-pass", row_worker_pipe_pass, true },
	{ "wait-storm", row_storm, true },
	{ "wait-storm-pass", row_storm_pass, true },
	{ "umcg-swap-traced", row_swap_traced, true },
	{ "umcg-wake-wait-traced", row_wake_wait_traced, true },
	{ "umcg-run-yield-traced", row_run_yield_traced, true },
	{ "umcg-worker-swap-traced", row_worker_swap_traced, true },
};
const size_t row_count = sizeof(rows) / sizeof(rows[0]);
