// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A server with a watchdog. Four workers compute without ever giving way; a
 * thread beside them preempts the task that has run for a time slice, and the server
 * goes round. All four get the same share, though none of them blocks.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <libumcg.h>

#define WORKERS		4
#define SLICE_US	5000
#define RUN_MS		500

static umcg_t group;
static atomic_bool over;
static atomic_intptr_t running;		/* what the server runs */
static atomic_ulong turn;		/* counts its decisions */
static atomic_int left = WORKERS;
static volatile unsigned long work_done[WORKERS];

static void check(int failed, const char *what)
{
	if (failed) {
		perror(what);
		exit(1);
	}
}

static void *compute(void *arg)
{
	intptr_t me = (intptr_t)arg;

	check(!umcg_register_worker(group, me), "umcg_register_worker");
	/* Relaxed: for more, ThreadSanitizer locks the variable, also against those that go on. */
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		work_done[me]++;
	check(umcg_unregister_task(), "umcg_unregister_task");
	return NULL;
}

/* Needs no registration. EAGAIN: it is not running (any more), which is as good. */
static void *watch(void *arg)
{
	unsigned long seen;

	(void)arg;
	while (left) {
		seen = turn;
		usleep(SLICE_US);
		if (seen == turn && running && umcg_preempt_worker(running))
			check(errno != EAGAIN && errno != ESRCH && errno != EINVAL,
			      "umcg_preempt_worker");
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[WORKERS], watchdog;
	umcg_tid queue[WORKERS], worker;
	unsigned long preemptions = 0;
	int queued = 0;
	uint64_t end;

	if (!umcg_enabled()) {
		fprintf(stderr, "The running kernel has no UMCG (libumcg(7) says what that is).\n");
		return 1;
	}
	group = umcg_create_group(UMCG_GROUP_ENABLE_PREEMPTION | UMCG_GROUP_KEEP_PREEMPTED);
	check(!group, "umcg_create_group");
	check(!umcg_register_server(group, 0), "umcg_register_server");
	for (intptr_t i = 0; i < WORKERS; i++) {
		check(pthread_create(&threads[i], NULL, compute, (void *)i), "pthread_create");
		/* The server waits here until the thread is there: it is idle at first. */
		queue[queued] = umcg_get_idle_worker(true);
		check(!queue[queued++], "umcg_get_idle_worker");
	}
	check(pthread_create(&watchdog, NULL, watch, NULL), "pthread_create");

	end = umcg_get_time_ns() + RUN_MS * 1000000ULL;
	while (left) {
		over = umcg_get_time_ns() > end;
		/* New arrivals first, then round and round. */
		worker = umcg_get_idle_worker(queued == 0);
		if (!worker && queued) {
			worker = queue[0];
			for (int i = 1; i < queued; i++)
				queue[i - 1] = queue[i];
			queued--;
		}
		if (!worker)
			continue;
		running = worker;
		turn++;
		worker = umcg_run_worker(worker);
		running = UMCG_NONE;
		if (!worker) {
			check(errno, "umcg_run_worker");
			left--;
		} else if (umcg_is_preempted(worker)) {
			/* Preempted: it is ours to run again, at the end of the queue. */
			queue[queued++] = worker;
			preemptions++;
		}
	}

	check(umcg_unregister_task(), "umcg_unregister_task");
	pthread_join(watchdog, NULL);
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		printf("Worker %d did %lu units of work.\n", i, work_done[i]);
	}
	check(umcg_destroy_group(group), "umcg_destroy_group");
	printf("%lu preemptions shared one server among %d workers that never give way.\n",
	       preemptions, WORKERS);
	return 0;
}
