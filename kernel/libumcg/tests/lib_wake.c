// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * umcg_try_wake() never waits; and tasks that wake each other, and each have a
 * wake-up queued already, never stand still.
 */
#include "util.h"

#define PLAYERS	5

static struct place place;
static atomic_intptr_t players[PLAYERS];
static atomic_int here, refused, gone;
static atomic_bool over;
static int size;
static long rounds;

/* --- umcg_try_wake() --- */

static atomic_intptr_t sleeper;

static void *sleeps(void *arg)
{
	(void)arg;
	sleeper = test_task(umcg_register_basic_task(0));
	CHECK_CALL(umcg_wait(0), 0);
	while (!over)
		test_nap(MS / 10);
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_wait(1), ETIMEDOUT);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void tries(void)
{
	umcg_tid self = test_task(umcg_register_basic_task(0));
	pthread_t thread;

	CHECK_CALL(umcg_try_wake(UMCG_NONE, false), ESRCH);
	CHECK_CALL(umcg_try_wake(self, false), 0);
	CHECK_CALL(umcg_try_wake(self, false), EAGAIN);
	CHECK_CALL(umcg_wait(0), 0);

	thread = test_spawn(sleeps, NULL);
	while (!sleeper)
		test_nap(MS / 10);
	test_state(sleeper, UMCG_TASK_IDLE);
	CHECK_CALL(umcg_try_wake(sleeper, false), 0);
	test_state(sleeper, UMCG_TASK_RUNNING);
	CHECK_CALL(umcg_try_wake(sleeper, true), 0);
	for (int i = 0; i < 10; i++)
		CHECK_CALL(umcg_try_wake(sleeper, false), EAGAIN);
	over = true;
	test_join(thread);
	CHECK_CALL(umcg_try_wake(sleeper, false), ESRCH);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_try_wake(self, false), EINVAL);
}

/* --- a ring --- */

/* Each wakes the next one twice before it waits: without a way out, for ever. */
static void play(int me)
{
	players[me] = umcg_get_utid();
	here++;
	while (here < size)
		test_nap(MS / 10);
	for (long i = 0; i < rounds; i++) {
		for (int j = 0; j < 2; j++) {
			if (umcg_wake(players[(me + 1) % size], false)) {
				CHECK(errno == EAGAIN || errno == ESRCH, "umcg_wake");
				refused += errno == EAGAIN;
			}
		}
		if (umcg_wait(umcg_get_time_ns() + MS))
			CHECK(errno == ETIMEDOUT, "umcg_wait");
	}
	gone++;
	/* All of them: a handle that is woken exists. */
	while (gone < size)
		if (umcg_wait(umcg_get_time_ns() + MS))
			CHECK(errno == ETIMEDOUT, "umcg_wait");
	CHECK_CALL(umcg_unregister_task(), 0);
}

static void *worker(void *arg)
{
	test_task(umcg_register_worker(place.group, 0));
	play((int)(intptr_t)arg);
	return NULL;
}

static void *basic(void *arg)
{
	test_task(umcg_register_basic_task(0));
	play((int)(intptr_t)arg);
	return NULL;
}

static void ring(const char *name, int players_here, int servers)
{
	pthread_t threads[PLAYERS], serving[2];

	size = players_here;
	here = refused = gone = 0;
	place_begin(&place, 0, servers ? size : 0);
	for (intptr_t i = 0; i < size; i++)
		threads[i] = test_spawn(servers ? worker : basic, (void *)i);
	for (int i = 0; i < servers; i++)
		serving[i] = place_server(&place);
	for (int i = 0; i < size; i++)
		test_join(threads[i]);
	for (int i = 0; i < servers; i++)
		test_join(serving[i]);
	printf("%s, %d in the ring, %d servers: refused %d times\n", name, size, servers,
	       (int)refused);
	place_end(&place);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 50);
	tries();
	for (int n = 2; n <= PLAYERS; n += 3) {
		ring("basic tasks", n, 0);
		ring("workers", n, 1);
		ring("workers", n, 2);
	}
	return 0;
}
