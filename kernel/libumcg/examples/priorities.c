// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A scheduler with priorities: the server keeps all idle workers in a queue of
 * its own and always runs the most urgent one. The tag of a task is its
 * priority. Ten requests arrive together; the urgent ones are answered first.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <libumcg.h>

#define WORKERS	10

static umcg_t group;
static int answered;
static intptr_t answers[WORKERS];	/* only one worker runs at a time */

static void check(int failed, const char *what)
{
	if (failed) {
		perror(what);
		exit(1);
	}
}

static void *request(void *arg)
{
	check(!umcg_register_worker(group, (intptr_t)arg), "umcg_register_worker");
	/* Two pieces of work; in between the server may prefer another task. */
	for (int piece = 0; piece < 2; piece++) {
		for (volatile int i = 0; i < 100000; i++)
			;
		if (piece == 0)
			check(umcg_wait(0), "umcg_wait");
	}
	answers[answered++] = (intptr_t)arg;
	check(umcg_unregister_task(), "umcg_unregister_task");
	return NULL;
}

static umcg_tid ready[WORKERS];
static int count;

/* Insert before the first that is less urgent: same priority, same order. */
static void enqueue(umcg_tid worker)
{
	int i = count++;

	while (i > 0 && umcg_get_task_tag(ready[i - 1]) < umcg_get_task_tag(worker)) {
		ready[i] = ready[i - 1];
		i--;
	}
	ready[i] = worker;
}

static umcg_tid dequeue(void)
{
	umcg_tid first = ready[0];

	count--;
	for (int i = 0; i < count; i++)
		ready[i] = ready[i + 1];
	return first;
}

int main(void)
{
	pthread_t threads[WORKERS];
	int left = WORKERS;
	umcg_tid worker;

	if (!umcg_enabled()) {
		fprintf(stderr, "The running kernel has no UMCG (libumcg(7) says what that is).\n");
		return 1;
	}
	group = umcg_create_group(0);
	check(!group, "umcg_create_group");
	check(!umcg_register_server(group, 0), "umcg_register_server");
	for (intptr_t i = 0; i < WORKERS; i++)
		check(pthread_create(&threads[i], NULL, request, (void *)(i * 7 % WORKERS)),
		      "pthread_create");
	while (count < WORKERS) {
		worker = umcg_get_idle_worker(true);
		if (worker)
			enqueue(worker);
	}

	while (left) {
		/* All that have become idle, without waiting if there is something to run. */
		while ((worker = umcg_get_idle_worker(count == 0)))
			enqueue(worker);
		if (!count)
			continue;
		worker = umcg_run_worker(dequeue());
		if (!worker) {
			check(errno, "umcg_run_worker");
			left--;
		} else if (umcg_get_task_state(worker) & UMCG_UTF_WORKER_IN_WAIT) {
			/* It gave way by umcg_wait(): it may be run again just so. */
			enqueue(worker);
		}
	}

	check(umcg_unregister_task(), "umcg_unregister_task");
	printf("Answered in this order of priority (highest first):");
	for (int i = 0; i < WORKERS; i++) {
		pthread_join(threads[i], NULL);
		printf(" %ld", (long)answers[i]);
	}
	printf("\n");
	check(umcg_destroy_group(group), "umcg_destroy_group");
	return 0;
}
