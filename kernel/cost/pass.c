// SPDX-License-Identifier: MIT
/*
 * The rows of the program "pass": what workers cost that block, storm and compute, as
 * plain threads, with servers that are told of everything, and with servers whose
 * place passes on. One CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <x86intrin.h>

#include "raw.h"
#include "task.h"

enum kind { THREADS, UMCG, PASS };

static const char *name;
static bool with_server;
static struct task server_task;
static long told;

static void begin(const char *row, enum kind kind)
{
	name = row;
	with_server = kind != THREADS;
	permission = kind == PASS ? UMCG_TF_ADOPT : 0;
	if (with_server)
		be_server(&server_task);
}

static void report(double value)
{
	printf("cost %s %.1f\n", name, value);
	fflush(stdout);
	_exit(0);
}

/* What the main thread does once all others have been started. */
static void serve(void)
{
	for (;;) {
		if (!with_server) {
			pause();
			continue;
		}
		run_worker(&server_task, next_worker(&server_task));
		told++;
	}
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void nap_until(uint64_t when)
{
	struct timespec t = { when / 1000000000, when % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

static void compute(int turns)
{
	for (volatile int i = 0; i < turns / 5; i++)
		;
}

/* --- two workers over a pipe --- */

static void pipe_pass(void)
{
	permission = UMCG_TF_ADOPT;
	row_worker_pipe();
}

/* --- eight that block: CPU time of an operation, without what it computes --- */

#define WORKERS	8
#define OPS	8000
#define WARM	800

static struct task crew[32];
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
	if (with_server)
		be_worker(arg);
	for (;;)
		one_op((struct task *)arg - crew);
	return NULL;
}

static void block(const char *row, enum kind kind, bool pipes)
{
	begin(row, kind);
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
	for (int i = 0; i < WORKERS; i++)
		spawn(crew_body, &crew[i], 0);
	serve();
}

static void sleep_threads(void) { block("sleep-threads", THREADS, false); }
static void sleep_umcg(void) { block("sleep-umcg", UMCG, false); }
static void sleep_pass(void) { block("sleep-pass", PASS, false); }
static void device_threads(void) { block("device-threads", THREADS, true); }
static void device_umcg(void) { block("device-umcg", UMCG, true); }
static void device_pass(void) { block("device-pass", PASS, true); }

/* Computes 20 us an operation: 90 % busy, and the list is often full. */
static void busy_block(const char *row, enum kind kind)
{
	busy = 20000;
	block(row, kind, true);
}

static void busy_threads(void) { busy_block("busy-threads", THREADS); }
static void busy_umcg(void) { busy_block("busy-umcg", UMCG); }
static void busy_pass(void) { busy_block("busy-pass", PASS); }

/* No CPU time is left, and every timer preempts. */
static void full_block(const char *row, enum kind kind)
{
	prctl(PR_SET_TIMERSLACK, 1);
	busy = 1000;
	idle_ns = 10000;
	block(row, kind, false);
}

static void full_threads(void) { full_block("full-threads", THREADS); }
static void full_umcg(void) { full_block("full-umcg", UMCG); }
static void full_pass(void) { full_block("full-pass", PASS); }

/* --- storms: 32 woken at once, until the last has run --- */

#define CROWD	32
#define STORMS	60
#define FIRST	10

static _Atomic uint32_t generation;
static _Atomic int arrived, woken;
static uint64_t storm_start, storm_sum;

static void *stormer(void *arg)
{
	if (with_server)
		be_worker(arg);
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

static void storm(const char *row, enum kind kind)
{
	begin(row, kind);
	for (int i = 0; i < CROWD; i++)
		spawn(stormer, &crew[i], 0);
	spawn(waker, NULL, 0);
	serve();
}

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
	if (with_server)
		be_worker(arg);
	for (;;)
		compute(1000);
	return NULL;
}

static void *ping_body(void *arg)
{
	char byte = 1;

	if (with_server)
		be_worker(arg);
	while (write(there[1], &byte, 1) == 1 && read(back[0], &byte, 1) == 1)
		atomic_fetch_add(&trips, 1);
	die("ping");
	return NULL;
}

static void *pong_body(void *arg)
{
	char byte;

	if (with_server)
		be_worker(arg);
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
	begin(row, kind);
	if (pipe(there) || pipe(back))
		die("pipe");
	spawn(hog_body, &crew[0], 0);
	spawn(ping_body, &crew[1], 0);
	spawn(pong_body, &crew[2], 0);
	spawn(judge, NULL, 0);
	if (!with_server)
		serve();
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
