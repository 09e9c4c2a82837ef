// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * How tasks leave: in the last round of destructors, by a bare exit(2) of a server,
 * from a group that is destroyed meanwhile.
 */
#include <limits.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "util.h"

static struct place place;

/* --- the last round of destructors --- */

/* Those in which a worker still is one: see src/thread.c. */
#ifdef __SANITIZE_THREAD__
#define ROUNDS	(PTHREAD_DESTRUCTOR_ITERATIONS - 1)
#else
#define ROUNDS	PTHREAD_DESTRUCTOR_ITERATIONS
#endif

static pthread_key_t early, again;
static atomic_int as_worker;

/* Waits and blocks like the worker that it still is. */
static void is_worker(const char *which)
{
	umcg_tid self = umcg_get_utid();

	CHECK(umcg_get_task_state(self) == UMCG_TASK_RUNNING, "%s: no task any more", which);
	CHECK_CALL(umcg_wait(umcg_get_time_ns() + MS / 10), ETIMEDOUT);
	test_nap(MS / 10);
	CHECK_CALL(umcg_yield(), 0);
	as_worker++;
}

static void destroy_early(void *arg)
{
	(void)arg;
	is_worker("first round");
}

/* Comes again, as destructors do that find something new to do. */
static void destroy_again(void *arg)
{
	intptr_t round = (intptr_t)arg;

	is_worker("a later round");
	if (round < ROUNDS - 1)
		pthread_setspecific(again, (void *)(round + 1));
}

static void *has_destructors(void *arg)
{
	struct place *p = arg;

	CHECK(!pthread_setspecific(early, p) && !pthread_setspecific(again, (void *)1),
	      "pthread_setspecific");
	test_task(umcg_register_worker(p->group, 0));
	return NULL;
}

static void last_round(void)
{
	/* The library's own key comes before the second of these. */
	CHECK(!pthread_key_create(&early, destroy_early), "pthread_key_create");
	CHECK(umcg_get_utid(), "utid");
	CHECK(!pthread_key_create(&again, destroy_again), "pthread_key_create");
	place_begin(&place, 0, 4);
	place_run(&place, 2, 4, has_destructors);
	place_end(&place);
	CHECK(as_worker == 4 * ROUNDS, "%d destructors ran as worker",
	      as_worker);
}

/* --- a bare exit(2) of a server --- */

static atomic_bool registered;

__attribute__((unused))
static void *server_exits(void *arg)
{
	umcg_t group = (umcg_t)arg;

	test_task(umcg_register_server(group, 0));
	CHECK(!umcg_get_idle_worker(false) && !errno, "umcg_get_idle_worker");
	registered = true;
	syscall(SYS_exit, 0);
	return NULL;
}

__attribute__((unused))
static void bare_exit(void)
{
	for (int i = 0; i < 20; i++) {
		umcg_t group = test_group(0);
		umcg_tid self;

		registered = false;
		test_join(test_spawn(server_exits, (void *)group));
		CHECK(registered, "did not register");
		/* A server that is alive still counts. */
		self = umcg_register_server(group, 0);
		CHECK(self, "register");
		CHECK_CALL(umcg_destroy_group(group), EBUSY);
		CHECK_CALL(umcg_unregister_task(), 0);
		CHECK_CALL(umcg_destroy_group(group), 0);
	}
}

/* --- destroyed, and created anew, while a thread is about to register --- */

static atomic_intptr_t group_now;
static atomic_bool over;
static long rounds;

static void *registers(void *arg)
{
	long registered_times = 0;

	(void)arg;
	while (!over) {
		umcg_t group = group_now;

		if (!umcg_register_server(group, 0)) {
			CHECK(errno == EINVAL, "umcg_register_server");
			continue;
		}
		registered_times++;
		/* It is the group that was named, and it cannot go away now. */
		CHECK_CALL(umcg_destroy_group(group), EBUSY);
		CHECK_CALL(umcg_unregister_task(), 0);
	}
	printf("registered %ld times\n", registered_times);
	return NULL;
}

static void renewed(void)
{
	pthread_t threads[2];

	group_now = test_group(0);
	for (int i = 0; i < 2; i++)
		threads[i] = test_spawn(registers, NULL);
	for (long i = 0; i < rounds; i++) {
		while (umcg_destroy_group(group_now))
			CHECK(errno == EBUSY, "umcg_destroy_group");
		group_now = test_group(0);
		CHECK(group_now, "umcg_create_group");
	}
	over = true;
	for (int i = 0; i < 2; i++)
		test_join(threads[i]);
	CHECK_CALL(umcg_destroy_group(group_now), 0);
}

/* --- fork() after, and beside, an experiment --- */

static void *naps(void *arg)
{
	struct place *p = arg;

	test_task(umcg_register_worker(p->group, 0));
	for (int i = 0; i < 5; i++) {
		test_nap(MS / 10);
		CHECK_CALL(umcg_yield(), 0);
		CHECK_CALL(umcg_wait(umcg_get_time_ns() + MS / 10), ETIMEDOUT);
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void experiment(void)
{
	struct place p;

	place_begin(&p, UMCG_GROUP_ENABLE_PREEMPTION, 6);
	CHECK_CALL(umcg_trace_enable(p.group, true), 0);
	place_run(&p, 2, 6, naps);
	place_end(&p);
}

static atomic_intptr_t waiting[3];
static atomic_int entered;

static void *waits(void *arg)
{
	struct place *p = arg;

	waiting[entered++] = test_task(umcg_register_worker(p->group, 0));
	CHECK_CALL(umcg_wait(0), 0);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* Children of a process with tasks in every state, and children of those. */
__attribute__((unused))
static void forks(int generations)
{
	pthread_t workers[3], server;
	umcg_tid idle;
	int status;
	pid_t pid;

	experiment();
	entered = 0;
	for (int i = 0; i < 3; i++)
		waiting[i] = UMCG_NONE;
	place_begin(&place, 0, 3);
	server = place_server(&place);
	for (int i = 0; i < 3; i++)
		workers[i] = test_spawn(waits, &place);
	for (int i = 0; i < 3; i++) {
		while (entered <= i)
			test_nap(MS / 10);
		while (!waiting[i])
			test_nap(MS / 10);
		test_state(waiting[i], WAITS);
	}
	idle = test_task(umcg_register_server(place.group, 0));
	pid = fork();
	CHECK(pid >= 0, "fork");
	if (!pid) {
		CHECK(umcg_get_task_state(idle) == UMCG_TASK_NONE, "registered");
		CHECK_CALL(umcg_destroy_group(place.group), 0);
		experiment();
		if (generations)
			forks(generations - 1);
		experiment();
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status),
	      "the child: status %x", status);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK(umcg_register_basic_task(0), "register");
	for (int i = 0; i < 3; i++)
		CHECK_CALL(umcg_wake(waiting[i], false), 0);
	for (int i = 0; i < 3; i++)
		test_join(workers[i]);
	test_join(server);
	CHECK_CALL(umcg_unregister_task(), 0);
	place_end(&place);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 20000);
	last_round();
	renewed();
	if (TEST_BARE_EXITS)
		bare_exit();
#ifndef __SANITIZE_THREAD__
	/* Its runtime cannot start threads in a child. */
	forks(1);
#endif
	return 0;
}
