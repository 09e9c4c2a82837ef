// SPDX-License-Identifier: MIT
/*
 * The rows of the program "sched": the same workers over a server's loop written by
 * hand for them, and over libumcg-sched with fifo. The loop by hand does what a
 * first in, first out server with statistics and slices has to do, and no more: it
 * looks at the idle list and at its queue of the preempted, notes which runs and
 * since when for a watchdog, tells why a worker is back.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <umcg-sched.h>

#include "cost.h"
#include "scenes.h"

#define MOST	8

static umcg_t group;
static struct umcg_sched *sched;

static void check(int failed, const char *what)
{
	if (failed)
		die(what);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* --- pairs of workers, each over two pipes --- */

static int pipes[MOST][2];

static void *worker(void *arg)
{
	int me = (int)(intptr_t)arg, peer = me ^ 1;
	char byte = 'x';

	if (sched)
		check(umcg_sched_enter(sched, NULL, 1), "umcg_sched_enter");
	else
		check(!umcg_register_worker(group, 1), "umcg_register_worker");
	if (me & 1)
		check(write(pipes[peer][1], &byte, 1) != 1, "write");
	for (;;) {
		check(read(pipes[me][0], &byte, 1) != 1, "read");
		check(write(pipes[peer][1], &byte, 1) != 1, "write");
		if (!me)
			lap();
	}
	return NULL;
}

static void pairs(int workers)
{
	for (int i = 0; i < workers; i++)
		check(pipe(pipes[i]), "pipe");
	for (intptr_t i = 0; i < workers; i++)
		spawn(worker, (void *)i, 0);
}

/* --- by hand --- */

static struct {
	pthread_mutex_t lock;
	umcg_tid task[MOST];
	uint32_t head;
	_Atomic uint32_t length;
} preempted = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Atomic intptr_t running;
static _Atomic int64_t since, asked;
static _Atomic int asleep;
static _Atomic uint64_t turns;

static umcg_tid take_preempted(void)
{
	umcg_tid task = UMCG_NONE;

	pthread_mutex_lock(&preempted.lock);
	if (preempted.length) {
		task = preempted.task[preempted.head];
		preempted.head = (preempted.head + 1) % MOST;
		preempted.length--;
	}
	pthread_mutex_unlock(&preempted.lock);
	return task;
}

static void put_preempted(umcg_tid task)
{
	pthread_mutex_lock(&preempted.lock);
	preempted.task[(preempted.head + preempted.length) % MOST] = task;
	preempted.length++;
	pthread_mutex_unlock(&preempted.lock);
}

static umcg_tid look(void)
{
	umcg_tid task = umcg_get_idle_worker(false);

	return task ? task : take_preempted();
}

/* A server counts as asleep from before its last look. */
static umcg_tid next_by_hand(void)
{
	umcg_tid task = look();
	int awake = 0, sleeps = 1;

	if (!task) {
		atomic_compare_exchange_strong(&asleep, &awake, 1);
		task = look();
		if (!task)
			task = umcg_get_idle_worker(true);
		atomic_compare_exchange_strong(&asleep, &sleeps, 0);
	}
	check(!task, "umcg_get_idle_worker");
	return task;
}

static void serve_by_hand(void)
{
	umcg_tid task = next_by_hand(), back;

	atomic_store(&since, now());
	atomic_store(&running, umcg_get_task_tag(task));
	back = umcg_run_worker(task);
	atomic_store(&since, now());
	atomic_store(&running, 0);
	atomic_exchange(&asked, 0);
	atomic_store_explicit(&turns, turns + 1, memory_order_relaxed);
	check(!back, "umcg_run_worker");
	if (umcg_is_preempted(back))
		put_preempted(back);
	else
		check(!umcg_get_task_state(back), "umcg_get_task_state");
}

static void by_hand(int workers)
{
	group = umcg_create_group(UMCG_GROUP_ENABLE_PREEMPTION);
	check(!group, "umcg_create_group");
	check(!umcg_register_server(group, 0), "umcg_register_server");
	pairs(workers);
	for (;;)
		serve_by_hand();
}

/* --- by the library --- */

static void create(const char *policy, enum kind kind)
{
	struct umcg_sched_config config = {
		.size = sizeof(config), .policy = policy, .flags = kind == PASS ? UMCG_SCHED_PASS_ON : 0,
	};
	char why[UMCG_SENTENCE];

	sched = umcg_sched_create(&config, why);
	check(!sched, why);
}

void scene_begin(enum kind kind)
{
	create("fifo", kind);
}

void scene_join(int me)
{
	(void)me;
	check(umcg_sched_enter(sched, NULL, 1), "umcg_sched_enter");
}

void scene_serve(void)
{
	check(umcg_sched_serve(sched), "umcg_sched_serve");
}

static void by_library(const char *policy, enum kind kind, int workers)
{
	create(policy, kind);
	pairs(workers);
	scene_serve();
}

static void row_hand(void)
{
	by_hand(2);
}

static void row_hand_busy(void)
{
	by_hand(MOST);
}

static void row_fifo(void)
{
	by_library("fifo", UMCG, 2);
}

static void row_fifo_busy(void)
{
	by_library("fifo", UMCG, MOST);
}

static void row_rr_busy(void)
{
	by_library("rr", UMCG, MOST);
}

/* --- with places that pass on, and what else blocks --- */

static void row_fifo_pass(void) { by_library("fifo", PASS, 2); }
static void row_rr(void) { by_library("rr", UMCG, 2); }
static void row_rr_pass(void) { by_library("rr", PASS, 2); }
static void row_las(void) { by_library("las", UMCG, 2); }
static void row_las_pass(void) { by_library("las", PASS, 2); }
static void row_sleep(void) { sleep_block("sleep-fifo", UMCG); }
static void row_sleep_pass(void) { sleep_block("sleep-fifo-pass", PASS); }
static void row_device(void) { device_block("device-fifo", UMCG); }
static void row_device_pass(void) { device_block("device-fifo-pass", PASS); }
static void row_busy(void) { busy_block("busy-device-fifo", UMCG); }
static void row_busy_pass(void) { busy_block("busy-device-fifo-pass", PASS); }
static void row_storm(void) { storm("storm-fifo", UMCG); }
static void row_storm_pass(void) { storm("storm-fifo-pass", PASS); }

const struct row rows[] = {
	{ "turn-hand", row_hand, true },
	{ "turn-fifo", row_fifo, true },
	{ "busy-hand", row_hand_busy, true },
	{ "busy-fifo", row_fifo_busy, true },
	{ "busy-rr", row_rr_busy, true },
	{ "turn-fifo-pass", row_fifo_pass, true },
	{ "turn-rr", row_rr, true },
	{ "turn-rr-pass", row_rr_pass, true },
	{ "turn-las", row_las, true },
	{ "turn-las-pass", row_las_pass, true },
	{ "sleep-fifo", row_sleep, true },
	{ "sleep-fifo-pass", row_sleep_pass, true },
	{ "device-fifo", row_device, true },
	{ "device-fifo-pass", row_device_pass, true },
	{ "busy-device-fifo", row_busy, true },
	{ "busy-device-fifo-pass", row_busy_pass, true },
	{ "storm-fifo", row_storm, true },
	{ "storm-fifo-pass", row_storm_pass, true },
};
const size_t row_count = sizeof(rows) / sizeof(rows[0]);
