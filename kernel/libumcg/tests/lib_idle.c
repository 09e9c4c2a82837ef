// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The idle list and the servers that sleep for it: the order of service, and how
 * many servers a piece of work wakes.
 */
#include <sys/resource.h>
#include <sys/syscall.h>

#include "util.h"

#define WORKERS	20
#define SERVERS	4

static umcg_t group;
static atomic_intptr_t utids[WORKERS];
static atomic_int tids[WORKERS];

static void *orderly(void *arg)
{
	int me = (int)(intptr_t)arg;

	tids[me] = (int)syscall(SYS_gettid);
	utids[me] = umcg_get_utid();
	test_task(umcg_register_worker(group, me));
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* The next idle worker must be number @want; it waits, or ends, when it is run. */
static void serve(int want)
{
	umcg_tid w = umcg_get_idle_worker(false);

	CHECK(w, "no task is idle, wanted %d", want);
	CHECK(w == utids[want], "got number %d, wanted %d", (int)umcg_get_task_tag(w), want);
	if (umcg_run_worker(w))
		CHECK(umcg_get_task_state(w) == WAITS, "state %lx",
		      (long)umcg_get_task_state(w));
	else
		CHECK(errno == 0, "umcg_run_worker");
}

static void order(bool newest_first)
{
	pthread_t threads[WORKERS];

	group = umcg_create_group(newest_first ? UMCG_GROUP_NEWEST_FIRST : 0);
	CHECK(umcg_register_server(group, 0), "register");
	CHECK(!umcg_get_idle_worker(false) && !errno, "a task is idle");
	for (intptr_t i = 0; i < WORKERS; i++) {
		utids[i] = UMCG_NONE;
		threads[i] = test_spawn(orderly, (void *)i);
		while (!utids[i])
			test_nap(MS / 10);
		test_asleep(utids[i], tids[i]);
	}
	/* The kernel has put them there; now half, and again, by umcg_wake(). */
	for (int i = 0; i < WORKERS; i++)
		serve(newest_first ? WORKERS - 1 - i : i);
	CHECK(!umcg_get_idle_worker(false) && !errno, "a task is idle");
	for (int i = 0; i < WORKERS / 2; i++)
		CHECK_CALL(umcg_wake(utids[i], false), 0);
	if (newest_first) {
		serve(WORKERS / 2 - 1);
		CHECK_CALL(umcg_wake(utids[WORKERS - 1], false), 0);
		serve(WORKERS - 1);
		for (int i = WORKERS / 2 - 2; i >= 0; i--)
			serve(i);
		for (int i = WORKERS / 2; i < WORKERS - 1; i++) {
			CHECK_CALL(umcg_wake(utids[i], false), 0);
			serve(i);
		}
	} else {
		serve(0);
		for (int i = WORKERS / 2; i < WORKERS; i++)
			CHECK_CALL(umcg_wake(utids[i], false), 0);
		for (int i = 1; i < WORKERS; i++)
			serve(i);
	}
	CHECK(!umcg_get_idle_worker(false) && !errno, "a task is idle");
	CHECK_CALL(umcg_unregister_task(), 0);
	for (int i = 0; i < WORKERS; i++)
		test_join(threads[i]);
	CHECK_CALL(umcg_destroy_group(group), 0);
}

static atomic_long sleeps;
static struct place place;
static long rounds;

static void *counted_server(void *arg)
{
	struct rusage usage;

	place_serve(arg);
	CHECK(!getrusage(RUSAGE_THREAD, &usage), "getrusage");
	sleeps += usage.ru_nvcsw;
	return NULL;
}

static void *one_by_one(void *arg)
{
	(void)arg;
	test_task(umcg_register_worker(place.group, 0));
	for (long i = 0; i < rounds; i++)
		test_nap(MS);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/*
 * One worker, many servers. A server that is woken sleeps twice: while it runs
 * the worker, and until there is work again. A herd would be SERVERS times that.
 */
static void no_herd(void)
{
	pthread_t servers[SERVERS], worker;

	place_begin(&place, 0, 1);
	for (int i = 0; i < SERVERS; i++)
		servers[i] = test_spawn(counted_server, &place);
	test_await(&place.servers, SERVERS);
	test_nap(10 * MS);
	worker = test_spawn(one_by_one, NULL);
	test_join(worker);
	for (int i = 0; i < SERVERS; i++)
		test_join(servers[i]);
	place_end(&place);
	printf("%ld pieces of work, %ld sleeps of %d servers\n", rounds, (long)sleeps, SERVERS);
	CHECK(sleeps <= 3 * rounds + 10 * SERVERS, "a herd: %ld sleeps", (long)sleeps);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 300);
	order(false);
	order(true);
	no_herd();
	return 0;
}
