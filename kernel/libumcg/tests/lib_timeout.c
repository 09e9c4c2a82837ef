// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Timeouts of basic tasks and workers, and the race between a timeout and a
 * wake-up: every wake-up ends exactly one wait.
 */
#include "util.h"

#define WORKERS	4

static struct place place;
static long rounds;
static atomic_int entered, waits_left;

/* A wait that no task ends takes until its time. */
static void is_late(int (*wait)(uint64_t abs_timeout))
{
	uint64_t until = umcg_get_time_ns() + 5 * MS;

	CHECK_CALL(wait(until), ETIMEDOUT);
	CHECK(umcg_get_time_ns() >= until, "too early");
	CHECK_CALL(wait(1), ETIMEDOUT);
}

static atomic_intptr_t partner;

static int swap(uint64_t abs_timeout)
{
	return umcg_swap(partner, abs_timeout);
}

static void *partner_task(void *arg)
{
	(void)arg;
	partner = test_task(umcg_register_basic_task(0));
	for (int i = 0; i < 2; i++)
		CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void basic_tasks(void)
{
	pthread_t thread = test_spawn(partner_task, NULL);

	while (!partner)
		test_nap(MS);
	is_late(umcg_wait);
	is_late(swap);
	test_join(thread);
}

static void *late_worker(void *arg)
{
	(void)arg;
	test_task(umcg_register_worker(place.group, 0));
	is_late(umcg_wait);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static atomic_intptr_t utids[WORKERS];
static atomic_int woken[WORKERS], ended[WORKERS];

/* Waits with timeouts around the time between two wake-ups. */
static void *racer(void *arg)
{
	int me = entered++;
	uint64_t seed = (uint64_t)me + 1;

	(void)arg;
	utids[me] = test_task(umcg_register_worker(place.group, 0));
	for (long i = 0; i < rounds; ) {
		uint64_t ns = test_random(&seed) % MS;

		if (!umcg_wait(umcg_get_time_ns() + ns)) {
			i++;
			ended[me]++;
			CHECK(ended[me] <= woken[me], "a wait ended by itself");
		} else {
			CHECK(errno == ETIMEDOUT, "umcg_wait");
		}
	}
	waits_left--;
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *waker(void *arg)
{
	int me = (int)(intptr_t)arg;

	CHECK(umcg_register_basic_task(0), "register");
	while (!utids[me])
		test_nap(MS);
	for (long i = 0; i < rounds; i++) {
		/* One at a time: a second would only wait here for the first. */
		while (ended[me] < woken[me])
			test_nap(MS / 20);
		woken[me]++;
		CHECK_CALL(umcg_wake(utids[me], false), 0);
		test_nap(MS / 3);
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void race(int servers)
{
	pthread_t wakers[WORKERS];

	entered = 0;
	waits_left = WORKERS;
	for (intptr_t i = 0; i < WORKERS; i++) {
		utids[i] = UMCG_NONE;
		woken[i] = ended[i] = 0;
		wakers[i] = test_spawn(waker, (void *)i);
	}
	place_begin(&place, 0, WORKERS);
	place_run(&place, servers, WORKERS, racer);
	place_end(&place);
	for (int i = 0; i < WORKERS; i++)
		test_join(wakers[i]);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 300);
	CHECK(umcg_register_basic_task(0), "register");
	basic_tasks();
	CHECK_CALL(umcg_unregister_task(), 0);
	place_begin(&place, 0, 3);
	place_run(&place, 1, 3, late_worker);
	place_end(&place);
	race(1);
	race(2);
	return 0;
}
