// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What umcg_get_idle_worker(3) says about a server that was woken for a worker, but
 * whose thread is kept by the system: the worker waits for it, beside another server
 * that sleeps, until a task wakes that one; which then takes the worker.
 */
#include <signal.h>

#include "util.h"

static umcg_t group;
static atomic_intptr_t servers[2], utid;
static pthread_t threads[2];
static atomic_int in_handler, runs[2];
static atomic_bool let_go, over;
static int pipe_ends[2];
static long rounds;

static void stays(int sig)
{
	(void)sig;
	in_handler = 1;
	while (!let_go)
		test_nap(MS / 10);
	in_handler = 0;
}

static void *server(void *arg)
{
	int me = (int)(intptr_t)arg;
	umcg_tid w;

	servers[me] = test_task(umcg_register_server(group, me));
	while (!over) {
		w = umcg_get_idle_worker(true);
		if (!w) {
			CHECK(errno == EINTR, "umcg_get_idle_worker");
			continue;
		}
		runs[me]++;
		umcg_run_worker(w);
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *worker(void *arg)
{
	char byte;

	(void)arg;
	utid = umcg_get_utid();
	test_task(umcg_register_worker(group, 0));
	for (long i = 0; i < rounds; i++)
		CHECK(read(pipe_ends[0], &byte, 1) == 1, "read");
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void add_server(int i)
{
	threads[i] = test_spawn(server, (void *)(intptr_t)i);
	while (!servers[i])
		test_nap(MS / 10);
	test_state(servers[i], UMCG_TASK_IDLE);
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = stays, .sa_flags = SA_RESTART };
	pthread_t thread;
	int before, waited = 0;

	test_begin(argc, argv);
#ifdef __SANITIZE_THREAD__
	printf("ThreadSanitizer: its runtime holds signals back until the thread next calls libc\n");
	return 0;
#endif
	rounds = test_size("ROUNDS", 1, 20);
	sigaction(SIGUSR1, &sa, NULL);
	CHECK(!pipe(pipe_ends), "pipe");
	CHECK(umcg_register_basic_task(0), "register");
	group = umcg_create_group(0);
	thread = test_spawn(worker, NULL);
	while (!utid)
		test_nap(MS / 10);
	add_server(0);
	add_server(1);

	for (long i = 0; i < rounds; i++) {
		test_state(utid, UMCG_TASK_BLOCKED);
		for (int j = 0; j < 2; j++)
			test_state(servers[j], UMCG_TASK_IDLE);
		let_go = false;
		pthread_kill(threads[0], SIGUSR1);
		test_await(&in_handler, 1);
		before = runs[1];
		CHECK(write(pipe_ends[1], "", 1) == 1, "write");
		/* One of the two was woken: the other one, then it is served; or the stopped one. */
		while (umcg_get_task_state(utid) == UMCG_TASK_BLOCKED && runs[1] == before)
			test_nap(MS / 10);
		if (runs[1] == before) {
			waited++;
			CHECK_CALL(umcg_wake(servers[1], false), 0);
			while (runs[1] == before)
				test_nap(MS / 10);
		}
		let_go = true;
		test_await(&in_handler, 0);
	}
	test_join(thread);
	over = true;
	for (int i = 0; i < 2; i++) {
		if (umcg_wake(servers[i], false))
			CHECK(errno == ESRCH, "umcg_wake");
		test_join(threads[i]);
	}
	printf("it waited for the stopped server %d times, and was then run by the other\n", waited);
	CHECK_CALL(umcg_unregister_task(), 0);
	CHECK_CALL(umcg_destroy_group(group), 0);
	return 0;
}
