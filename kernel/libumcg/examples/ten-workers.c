// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * One server and ten workers. The workers are ordinary threads that compute and
 * sleep; the server decides which one has the CPU, and gets it back whenever a
 * worker blocks. At no time does more than one worker compute.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <libumcg.h>

#define WORKERS	10
#define NAPS	5

static umcg_t group;
static atomic_int computing, most_computing;

static void check(int failed, const char *what)
{
	if (failed) {
		perror(what);
		exit(1);
	}
}

static void compute(void)
{
	int now = ++computing;

	if (now > most_computing)
		most_computing = now;
	for (volatile int i = 0; i < 200000; i++)
		;
	computing--;
}

static void *work(void *arg)
{
	/* Returns when the server runs this thread for the first time. */
	check(!umcg_register_worker(group, (intptr_t)arg), "umcg_register_worker");
	for (int i = 0; i < NAPS; i++) {
		compute();
		usleep(10000);	/* blocks: the server runs another task */
	}
	check(umcg_unregister_task(), "umcg_unregister_task");
	return NULL;
}

int main(void)
{
	pthread_t threads[WORKERS];
	int runs[WORKERS] = { 0 }, left = WORKERS;
	umcg_tid worker;

	if (!umcg_enabled()) {
		fprintf(stderr, "The running kernel has no UMCG (libumcg(7) says what that is).\n");
		return 1;
	}
	group = umcg_create_group(0);
	check(!group, "umcg_create_group");
	check(!umcg_register_server(group, 0), "umcg_register_server");
	for (intptr_t i = 0; i < WORKERS; i++)
		check(pthread_create(&threads[i], NULL, work, (void *)i), "pthread_create");

	while (left) {
		worker = umcg_get_idle_worker(true);
		if (!worker && errno == EINTR)
			continue;
		check(!worker, "umcg_get_idle_worker");
		runs[umcg_get_task_tag(worker)]++;
		/* Back when the worker has blocked (then it will be idle again) or ended. */
		if (!umcg_run_worker(worker)) {
			check(errno, "umcg_run_worker");
			left--;
		}
	}

	check(umcg_unregister_task(), "umcg_unregister_task");
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		printf("Worker %d was run %d times.\n", i, runs[i]);
	}
	check(umcg_destroy_group(group), "umcg_destroy_group");
	printf("At most %d of %d workers computed at the same time.\n", most_computing, WORKERS);
	return 0;
}
