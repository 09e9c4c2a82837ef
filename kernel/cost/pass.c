// SPDX-License-Identifier: MIT
/*
 * The rows of the program "pass": what workers cost that block, storm and compute, as
 * plain threads, with servers that are told of everything, and with servers whose
 * place passes on. One CPU.
 */
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "raw.h"
#include "scenes.h"
#include "task.h"

static bool with_server;
static struct task server_task, crew[CROWD];

void scene_begin(enum kind kind)
{
	with_server = kind != THREADS;
	permission = kind == PASS ? UMCG_TF_ADOPT : 0;
	if (with_server)
		be_server(&server_task);
}

void scene_join(int me)
{
	if (with_server)
		be_worker(&crew[me]);
}

void scene_serve(void)
{
	for (;;) {
		if (with_server)
			run_worker(&server_task, next_worker(&server_task));
		else
			pause();
	}
}

/* --- two workers over a pipe --- */

static void pipe_pass(void)
{
	permission = UMCG_TF_ADOPT;
	row_worker_pipe();
}

/* --- workers that block, and storms --- */

static void sleep_threads(void) { sleep_block("sleep-threads", THREADS); }
static void sleep_umcg(void) { sleep_block("sleep-umcg", UMCG); }
static void sleep_pass(void) { sleep_block("sleep-pass", PASS); }
static void device_threads(void) { device_block("device-threads", THREADS); }
static void device_umcg(void) { device_block("device-umcg", UMCG); }
static void device_pass(void) { device_block("device-pass", PASS); }
static void busy_threads(void) { busy_block("busy-threads", THREADS); }
static void busy_umcg(void) { busy_block("busy-umcg", UMCG); }
static void busy_pass(void) { busy_block("busy-pass", PASS); }
static void full_threads(void) { full_block("full-threads", THREADS); }
static void full_umcg(void) { full_block("full-umcg", UMCG); }
static void full_pass(void) { full_block("full-pass", PASS); }
static void storm_threads(void) { storm("storm-threads", THREADS); }
static void storm_umcg(void) { storm("storm-umcg", UMCG); }
static void storm_pass(void) { storm("storm-pass", PASS); }

/* --- two talk beside one that computes: instructions of the CPU for a round trip --- */

#define BESIDE_NS	1000000000ULL
#define SLICE_NS	1000000

static int there[2], back[2];
static _Atomic long trips;
static _Atomic(struct task *) running;

static void *hog_body(void *arg)
{
	scene_join((int)(intptr_t)arg);
	for (;;)
		compute(1000);
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

/* Ends the slice of the one that computes. */
static void *watchdog(void *arg)
{
	(void)arg;
	for (;;) {
		struct task *t;

		nap_until(clock_ns(CLOCK_MONOTONIC) + SLICE_NS);
		t = atomic_load(&running);
		if (t && mark_preempted(t))
			umcg_kick(0, t->tid);
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

/* The server always prefers the two; what computes is preempted and kept. */
static void serve_beside(void)
{
	struct task *hog = &crew[0], *kept = NULL, *w;

	for (;;) {
		while ((w = kept ? try_worker() : next_worker(&server_task)) == hog)
			kept = hog;
		if (!w) {
			w = kept;
			kept = NULL;
		}
		atomic_store(&running, w == hog ? w : NULL);
		run_worker(&server_task, w);
		atomic_store(&running, NULL);
		if (w == hog && is_preempted(w))
			kept = w;
	}
}

static void beside(const char *row, enum kind kind)
{
	name_row(row);
	scene_begin(kind);
	if (pipe(there) || pipe(back))
		die("pipe");
	spawn(hog_body, (void *)0, 0);
	spawn(ping_body, (void *)1, 0);
	spawn(pong_body, (void *)2, 0);
	spawn(judge, NULL, 0);
	if (!with_server)
		scene_serve();
	spawn(watchdog, NULL, 0);
	serve_beside();
}

static void beside_threads(void) { beside("beside-threads", THREADS); }
static void beside_umcg(void) { beside("beside-umcg", UMCG); }

const struct row rows[] = {
	{ "pipe", row_pipe, false },
	{ "umcg-worker-pipe", row_worker_pipe, true },
	{ "pipe-pass", pipe_pass, true },
	{ "sleep-threads", sleep_threads, false },
	{ "sleep-umcg", sleep_umcg, true },
	{ "sleep-pass", sleep_pass, true },
	{ "device-threads", device_threads, false },
	{ "device-umcg", device_umcg, true },
	{ "device-pass", device_pass, true },
	{ "busy-threads", busy_threads, false },
	{ "busy-umcg", busy_umcg, true },
	{ "busy-pass", busy_pass, true },
	{ "full-threads", full_threads, false },
	{ "full-umcg", full_umcg, true },
	{ "full-pass", full_pass, true },
	{ "storm-threads", storm_threads, false },
	{ "storm-umcg", storm_umcg, true },
	{ "storm-pass", storm_pass, true },
	{ "beside-threads", beside_threads, false },
	{ "beside-umcg", beside_umcg, true },
};
const size_t row_count = sizeof(rows) / sizeof(rows[0]);
