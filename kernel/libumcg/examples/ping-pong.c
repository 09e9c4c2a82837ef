// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Two basic tasks pass a ball by umcg_swap(): each call wakes the other and
 * sleeps, as one switch on one CPU. No group, no server, no worker.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <libumcg.h>

#define ROUNDS	100000

static umcg_tid ping, pong;
static long ball;

static void check(int failed, const char *what)
{
	if (failed) {
		perror(what);
		exit(1);
	}
}

static void *play_pong(void *arg)
{
	(void)arg;
	pong = umcg_register_basic_task(0);
	check(!pong, "umcg_register_basic_task");

	/* Says that it is there, and waits for the ball. */
	check(umcg_swap(ping, 0), "umcg_swap");
	for (int i = 0; i < ROUNDS; i++) {
		ball++;
		if (i < ROUNDS - 1)
			check(umcg_swap(ping, 0), "umcg_swap");
	}
	check(umcg_wake(ping, true), "umcg_wake");
	check(umcg_unregister_task(), "umcg_unregister_task");
	return NULL;
}

int main(void)
{
	pthread_t thread;
	uint64_t start, took;

	if (!umcg_enabled()) {
		fprintf(stderr, "The running kernel has no UMCG (libumcg(7) says what that is).\n");
		return 1;
	}
	ping = umcg_register_basic_task(0);
	check(!ping, "umcg_register_basic_task");
	check(pthread_create(&thread, NULL, play_pong, NULL), "pthread_create");

	check(umcg_wait(0), "umcg_wait");
	start = umcg_get_time_ns();
	for (int i = 0; i < ROUNDS; i++) {
		ball++;
		check(umcg_swap(pong, 0), "umcg_swap");
	}
	took = umcg_get_time_ns() - start;

	check(umcg_unregister_task(), "umcg_unregister_task");
	pthread_join(thread, NULL);
	printf("The ball was played %ld times; a round trip (two switches) took %.2f microseconds.\n",
	       ball, (double)took / ROUNDS / 1000);
	return 0;
}
