// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Servers that come and go: at random while there is work, and out of their
 * sleep while others go on sleeping. No task is stranded.
 */
#include <signal.h>

#include "util.h"

#define SERVERS	4

static long rounds;
static umcg_t group;
static atomic_int left;

static void *worker(void *arg)
{
	(void)arg;
	test_task(umcg_register_worker(group, 0));
	for (long i = 0; i < rounds; i++)
		test_nap(MS / 10);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* Serves a few times, leaves, comes back. A sleep is ended by a timer signal. */
static void *visitor(void *arg)
{
	uint64_t seed = (uintptr_t)arg;

	while (left > 0) {
		CHECK(umcg_register_server(group, 0), "register");
		for (uint64_t n = test_random(&seed) % 8; n && left > 0; n--) {
			umcg_tid w = umcg_get_idle_worker(true);

			if (!w) {
				CHECK(errno == EINTR, "umcg_get_idle_worker");
				continue;
			}
			if (!umcg_run_worker(w)) {
				CHECK(errno == 0, "umcg_run_worker");
				left--;
			}
		}
		CHECK_CALL(umcg_unregister_task(), 0);
	}
	return NULL;
}

static void nothing(int sig)
{
	(void)sig;
}

static void come_and_go(int workers)
{
	pthread_t threads[100], servers[SERVERS];
	struct sigaction sa = { .sa_handler = nothing };
	uint64_t seed = 42;

	sigaction(SIGUSR1, &sa, NULL);
	group = test_group(0);
	left = workers;
	for (int i = 0; i < workers; i++)
		threads[i] = test_spawn(worker, NULL);
	for (int i = 0; i < SERVERS; i++)
		servers[i] = test_spawn(visitor, (void *)(uintptr_t)(i + 1));
	while (left > 0) {
		pthread_kill(servers[test_random(&seed) % SERVERS], SIGUSR1);
		test_nap(MS / 2);
	}
	for (int i = 0; i < SERVERS; i++) {
		/* The last ones may have gone to sleep just now. */
		while (pthread_tryjoin_np(servers[i], NULL)) {
			pthread_kill(servers[i], SIGUSR1);
			test_nap(MS);
		}
	}
	for (int i = 0; i < workers; i++)
		test_join(threads[i]);
	CHECK_CALL(umcg_destroy_group(group), 0);
}

static struct place place;
static pthread_t sleeping[SERVERS];

static void *brief(void *arg)
{
	(void)arg;
	test_task(umcg_register_worker(place.group, 0));
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *sleeper(void *arg)
{
	struct place *p = arg;
	int me = p->servers++;
	umcg_tid w;

	sleeping[me] = pthread_self();
	p->server[me] = test_task(umcg_register_server(p->group, 0));
	while ((w = umcg_get_idle_worker(true)))
		if (!umcg_run_worker(w))
			p->alive--;
	CHECK(errno == EINTR, "umcg_get_idle_worker");
	p->server[me] = UMCG_NONE;
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* All sleep; one after the other is sent away; each time work must be done. */
static void out_of_sleep(void)
{
	pthread_t workers[2 * SERVERS];
	int n = 0;

	place_begin(&place, 0, 0);
	CHECK(umcg_register_basic_task(0), "register");
	for (int i = 0; i < SERVERS; i++)
		test_spawn(sleeper, &place);
	test_await(&place.servers, SERVERS);
	for (int i = 0; i < SERVERS; i++) {
		umcg_tid leaving;

		for (int j = 0; j < SERVERS; j++) {
			while (i == 0 && !place.server[j])
				test_nap(MS / 10);
			if (place.server[j])
				test_state(place.server[j], UMCG_TASK_IDLE);
		}
		place.alive = 2;
		workers[n++] = test_spawn(brief, NULL);
		workers[n++] = test_spawn(brief, NULL);
		test_await(&place.alive, 0);
		leaving = place.server[i];
		CHECK_CALL(umcg_wake(leaving, false), 0);
		test_join(sleeping[i]);
		/* Its thread has ended, and so has its name. */
		CHECK_CALL(umcg_wake(leaving, false), ESRCH);
	}
	while (n)
		test_join(workers[--n]);
	CHECK_CALL(umcg_unregister_task(), 0);
	place_end(&place);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 50);
	come_and_go((int)test_size("WORKERS", 2, 20));
	for (int i = 0; i < 10; i++)
		out_of_sleep();
	return 0;
}
