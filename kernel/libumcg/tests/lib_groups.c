// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Two groups in a process, two processes, and fork() of each kind of task. */
#include <sys/wait.h>

#include "util.h"

static long rounds;
static struct place places[2];

static void *worker(void *arg)
{
	struct place *p = arg;

	test_task(umcg_register_worker(p->group, 0));
	for (long i = 0; i < rounds; i++)
		test_nap(MS / 10);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *run_place(void *arg)
{
	place_run(arg, 2, 8, worker);
	return NULL;
}

static void two_groups(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		place_begin(&places[i], 0, 8);
	for (int i = 0; i < 2; i++)
		threads[i] = test_spawn(run_place, &places[i]);
	for (int i = 0; i < 2; i++) {
		test_join(threads[i]);
		place_end(&places[i]);
	}
}

static void reap(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status),
	      "the other process: status %x", status);
}

static void two_processes(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0, "fork");
	two_groups();
	if (!pid)
		_exit(0);
	reap(pid);
}

/* In the child of a task: not registered, the old groups empty, all else works. */
static void in_child(umcg_t group, umcg_tid utid)
{
	CHECK(umcg_get_utid() == utid, "another utid");
	CHECK(umcg_get_task_state(utid) == UMCG_TASK_NONE, "registered");
	CHECK_CALL(umcg_wait(1), EINVAL);
	CHECK_CALL(umcg_destroy_group(group), 0);
	two_groups();
	_exit(0);
}

static atomic_int started;

static void *forking_worker(void *arg)
{
	struct place *p = arg;
	umcg_tid self;
	pid_t pid;

	/* See test_begin(): no thread starts while one forks. */
	started++;
	self = test_task(umcg_register_worker(p->group, 0));
	test_await(&started, 2);
	pid = fork();
	CHECK(pid >= 0, "fork");
	if (!pid)
		in_child(p->group, self);
	reap(pid);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void forks(void)
{
	static struct place place;
	umcg_tid self;
	pid_t pid;

	place_begin(&place, 0, 2);
	place_run(&place, 1, 2, forking_worker);
	place_end(&place);

	place_begin(&place, 0, 0);
	self = test_task(umcg_register_server(place.group, 0));
	pid = fork();
	CHECK(pid >= 0, "fork");
	if (!pid)
		in_child(place.group, self);
	reap(pid);
	CHECK_CALL(umcg_destroy_group(place.group), EBUSY);
	CHECK_CALL(umcg_unregister_task(), 0);
	place_end(&place);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 20);
	two_groups();
#ifdef __SANITIZE_THREAD__
	printf("ThreadSanitizer: its runtime cannot start threads in a child\n");
	return 0;
#endif
	two_processes();
	forks();
	return 0;
}
