// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * One worker, taken and put back again and again by servers that no task needs,
 * while those that sleep wake up, go to sleep, are disturbed, and leave. When that
 * stops the worker is on the list and must be run: by one of the servers that are
 * left, which sleep. Those that have left stay away until then, and the churning
 * server does nothing more: nothing helps but what has been done before.
 */
#include <signal.h>

#include "util.h"

#define SERVERS	4	/* number 0 never leaves */

static umcg_t group;
static long rounds;
static atomic_long round_now, ran;
static atomic_bool churning, over;
static atomic_intptr_t servers[SERVERS];
static pthread_t threads[SERVERS];
static atomic_long put_back, times_left;
static atomic_int gone;

static void *worker(void *arg)
{
	(void)arg;
	test_task(umcg_register_worker(group, 0));
	while (!over) {
		ran++;
		CHECK_CALL(umcg_wait(0), 0);
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void put(umcg_tid w)
{
	CHECK_CALL(umcg_put_idle_worker(w), 0);
	put_back++;
}

static void serve(bool leaves)
{
	umcg_tid w;

	for (;;) {
		w = umcg_get_idle_worker(true);
		if (!w) {
			CHECK(errno == EINTR, "umcg_get_idle_worker");
			if (leaves || over)
				return;
		} else if (churning) {
			put(w);
		} else {
			CHECK(umcg_run_worker(w) || !errno, "umcg_run_worker");
		}
	}
}

static void *server(void *arg)
{
	int me = (int)(intptr_t)arg;
	long round;

	while (!over) {
		servers[me] = test_task(umcg_register_server(group, me));
		serve(me);
		round = round_now;
		CHECK_CALL(umcg_unregister_task(), 0);
		times_left++;
		while (!over && round_now == round)
			test_nap(MS / 20);
	}
	gone++;
	return NULL;
}

static void nothing(int sig)
{
	(void)sig;
}

/* Wake a task for nothing, or send a signal. */
static void disturb(uint64_t random)
{
	int who = (int)(random % SERVERS);

	if (random & 64) {
		pthread_kill(threads[who], SIGUSR1);
	} else if (!(umcg_get_task_state(servers[who]) & UMCG_UTF_WAKEUP_QUEUED)) {
		if (umcg_wake(servers[who], false))
			CHECK(errno == ESRCH, "umcg_wake");
	}
}

/* The main thread is the server that churns. */
static void churn(uint64_t *seed)
{
	umcg_tid w;

	for (uint64_t n = test_random(seed) % 32; n; n--) {
		w = umcg_get_idle_worker(false);
		if (w)
			put(w);
		if (!(test_random(seed) % 4))
			disturb(test_random(seed));
	}
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = nothing };
	pthread_t thread;
	umcg_tid w;
	uint64_t seed;

	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 2000);
	seed = (uint64_t)test_size("SEED", 2, (long)umcg_get_time_ns()) | 1;
	printf("seed %ld\n", (long)seed);
	sigaction(SIGUSR1, &sa, NULL);
	group = test_group(0);
	test_task(umcg_register_server(group, 0));
	thread = test_spawn(worker, NULL);
	w = umcg_get_idle_worker(true);
	CHECK(umcg_run_worker(w) == w && ran == 1, "the worker did not wait");
	for (intptr_t i = 0; i < SERVERS; i++) {
		threads[i] = test_spawn(server, (void *)i);
		while (!servers[i])
			test_nap(MS / 10);
	}

	for (long round = 1; round <= rounds; round++) {
		churning = true;
		CHECK_CALL(umcg_wake(w, false), 0);
		churn(&seed);
		churning = false;
		while (ran < round + 1)
			test_nap(MS / 20);
		test_state(w, WAITS);
		round_now = round;
	}

	over = true;
	CHECK_CALL(umcg_wake(w, false), 0);
	test_join(thread);
	while (gone < SERVERS) {
		for (int i = 0; i < SERVERS; i++)
			pthread_kill(threads[i], SIGUSR1);
		test_nap(MS);
	}
	for (int i = 0; i < SERVERS; i++)
		test_join(threads[i]);
	printf("%ld rounds, put back %ld times, servers left %ld times\n", rounds,
	       (long)put_back, (long)times_left);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(group), 0);
	return 0;
}
