// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The queued wake-up: in every state of the woken task, and on either side of a swap. */
#include "util.h"

#define QUEUED	UMCG_UTF_WAKEUP_QUEUED

static atomic_int step;
static umcg_t group;

static void is_state(umcg_tid utid, uint64_t state)
{
	uint64_t is = umcg_get_task_state(utid);

	CHECK(is == state, "state %lx, wanted %lx", (long)is, (long)state);
}

/* A task that has a wake-up does not sleep, also if its time is up; and has it once. */
static void own(void)
{
	umcg_tid self = test_task(umcg_register_basic_task(0));

	CHECK_CALL(umcg_wake(self, false), 0);
	is_state(self, UMCG_TASK_RUNNING | QUEUED);
	CHECK_CALL(umcg_wake(self, false), EINVAL);
	CHECK_CALL(umcg_wait(0), 0);
	is_state(self, UMCG_TASK_RUNNING);

	CHECK_CALL(umcg_wake(self, false), 0);
	CHECK_CALL(umcg_wait(1), 0);
	CHECK_CALL(umcg_wait(1), ETIMEDOUT);
	CHECK_CALL(umcg_unregister_task(), 0);
}

static atomic_intptr_t spinner;

static void *spin_then_wait(void *arg)
{
	(void)arg;
	spinner = test_task(umcg_register_basic_task(0));
	test_await(&step, 1);
	CHECK_CALL(umcg_wait(0), 0);
	test_await(&step, 2);
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_wait(umcg_get_time_ns() + MS), ETIMEDOUT);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *second_wake(void *arg)
{
	(void)arg;
	CHECK(umcg_register_basic_task(0), "register");
	/* One is queued: this one has to wait until that is consumed. */
	CHECK_CALL(umcg_wake(spinner, false), 0);
	CHECK(step == 1, "the second wake-up did not wait");
	step = 2;
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void two_wakes(void)
{
	pthread_t a = test_spawn(spin_then_wait, NULL), b;

	CHECK(umcg_register_basic_task(0), "register");
	while (!spinner)
		test_nap(MS);
	CHECK_CALL(umcg_wake(spinner, false), 0);
	is_state(spinner, UMCG_TASK_RUNNING | QUEUED);
	b = test_spawn(second_wake, NULL);
	test_nap(20 * MS);
	CHECK(step == 0, "step %d", step);
	step = 1;
	test_join(b);
	test_join(a);
	CHECK_CALL(umcg_unregister_task(), 0);
}

static atomic_intptr_t partner;
static umcg_tid chief;

static void *swap_partner(void *arg)
{
	(void)arg;
	partner = test_task(umcg_register_basic_task(0));
	/* 1: we wait, the other has a wake-up queued and swaps to us. */
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_wake(chief, false), 0);
	/* 2: we run, the other swaps: the wake-up is queued for us. */
	test_state(chief, UMCG_TASK_IDLE);
	is_state(partner, UMCG_TASK_RUNNING | QUEUED);
	/* 3: we have one queued and swap to the other, which waits: no sleep. */
	CHECK_CALL(umcg_swap(chief, 0), 0);
	is_state(partner, UMCG_TASK_RUNNING);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void swaps(void)
{
	pthread_t thread;

	chief = test_task(umcg_register_basic_task(0));
	thread = test_spawn(swap_partner, NULL);
	while (!partner)
		test_nap(MS);
	test_state(partner, UMCG_TASK_IDLE);
	CHECK_CALL(umcg_wake(chief, false), 0);
	CHECK_CALL(umcg_swap(partner, 0), 0);
	/* Answered, perhaps before we look. */
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_swap(partner, 0), 0);
	test_join(thread);
	CHECK_CALL(umcg_unregister_task(), 0);
}

static atomic_intptr_t worker_utid;

static void *worker(void *arg)
{
	(void)arg;
	/* Registered before, so that the main thread knows the name already. */
	worker_utid = umcg_get_utid();
	test_task(umcg_register_worker(group, 0));
	CHECK_CALL(umcg_wait(0), 0);	/* was queued on the idle list */
	step = 1;
	while (step == 1)		/* is queued while RUNNING */
		;
	CHECK_CALL(umcg_wait(0), 0);
	step = 3;
	while (step == 3)
		test_nap(MS);		/* is queued while BLOCKED */
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_wait(umcg_get_time_ns() + MS), ETIMEDOUT);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void workers(void)
{
	pthread_t thread, server;
	struct place p;

	step = 0;
	place_begin(&p, 0, 1);
	group = p.group;
	CHECK(umcg_register_basic_task(0), "register");
	thread = test_spawn(worker, NULL);
	while (!worker_utid)
		test_nap(MS);
	test_state(worker_utid, UMCG_TASK_IDLE);
	CHECK_CALL(umcg_wake(worker_utid, false), 0);
	is_state(worker_utid, UMCG_TASK_IDLE | QUEUED);
	server = place_server(&p);
	test_await(&step, 1);
	is_state(worker_utid, UMCG_TASK_RUNNING);
	CHECK_CALL(umcg_wake(worker_utid, false), 0);
	is_state(worker_utid, UMCG_TASK_RUNNING | QUEUED);

	/* Its server is IDLE, but runs it: its wake-up is queued, too. */
	CHECK_CALL(umcg_wake(p.server[0], false), 0);
	is_state(p.server[0], UMCG_TASK_IDLE | QUEUED);
	step = 2;
	test_await(&step, 3);
	/* It is consumed when the server next sleeps for work, as the worker naps. */
	test_await(&p.interrupted, 1);
	CHECK_CALL(umcg_wake(worker_utid, false), 0);
	step = 4;
	test_join(thread);
	test_join(server);
	CHECK(p.interrupted == 1, "the server was woken %d times", p.interrupted);
	place_end(&p);
	CHECK_CALL(umcg_unregister_task(), 0);
}

static void *napper(void *arg)
{
	struct place *p = arg;
	uint64_t seed = (uint64_t)umcg_get_utid();

	test_task(umcg_register_worker(p->group, 0));
	while (step != 5)
		test_nap(test_random(&seed) % (MS / 10));
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* Every wake-up of a server ends one search for work, however many workers come and go. */
static void searches(int wakes)
{
	pthread_t threads[3], server;
	struct place p;

	step = 0;
	place_begin(&p, 0, 3);
	CHECK(umcg_register_basic_task(0), "register");
	for (int i = 0; i < 3; i++)
		threads[i] = test_spawn(napper, &p);
	server = place_server(&p);
	while (!p.server[0])
		test_nap(MS);
	for (int i = 0; i < wakes; i++)
		CHECK_CALL(umcg_wake(p.server[0], false), 0);
	test_await(&p.interrupted, wakes);
	step = 5;
	for (int i = 0; i < 3; i++)
		test_join(threads[i]);
	test_join(server);
	CHECK(p.interrupted == wakes, "%d searches ended", p.interrupted);
	place_end(&p);
	CHECK_CALL(umcg_unregister_task(), 0);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	own();
	two_wakes();
	swaps();
	workers();
	searches((int)test_size("WAKES", 1, 5000));
	return 0;
}
