// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Workers that end without a word: by return, exit, cancellation, a bare exit(2), SIGKILL. */
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "util.h"

static struct place place;
static atomic_int entered;

static void enter(void)
{
	test_task(umcg_register_worker(place.group, 0));
	entered++;
}

static void *returns(void *arg)
{
	(void)arg;
	enter();
	return NULL;
}

static void *exits(void *arg)
{
	(void)arg;
	enter();
	test_nap(MS / 10);
	pthread_exit(NULL);
}

__attribute__((unused))
static void *bare_exit(void *arg)
{
	(void)arg;
	enter();
	syscall(SYS_exit, 0);
	return NULL;
}

static void *is_cancelled(void *arg)
{
	(void)arg;
	enter();
	for (;;)
		pause();
	return NULL;
}

static void run(const char *name, int servers, void *(*worker)(void *arg), bool cancel)
{
	enum { WORKERS = 10 };
	pthread_t threads[WORKERS], serving[2];

	entered = 0;
	place_begin(&place, 0, WORKERS);
	for (int i = 0; i < WORKERS; i++)
		threads[i] = test_spawn(worker, NULL);
	for (int i = 0; i < servers; i++)
		serving[i] = place_server(&place);
	test_await(&entered, WORKERS);
	for (int i = 0; cancel && i < WORKERS; i++)
		CHECK(!pthread_cancel(threads[i]), "pthread_cancel");
	for (int i = 0; i < WORKERS; i++)
		test_join(threads[i]);
	for (int i = 0; i < servers; i++)
		test_join(serving[i]);
	place_end(&place);
	printf("%s, %d servers: ok\n", name, servers);
}

static void *waits(void *arg)
{
	(void)arg;
	enter();
	umcg_wait(0);
	return NULL;
}

static void *spins(void *arg)
{
	(void)arg;
	enter();
	for (;;)
		;
	return NULL;
}

/* A process with workers in every state is killed; nothing of it stays. */
static void killed(void)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0, "fork");
	if (!pid) {
		umcg_tid idle;

		place_begin(&place, 0, 10);
		test_spawn(is_cancelled, NULL);
		test_spawn(waits, NULL);
		place_server(&place);
		test_await(&entered, 2);
		test_spawn(spins, NULL);
		test_await(&entered, 3);
		test_spawn(returns, NULL);
		CHECK(umcg_register_server(place.group, 0), "register");
		idle = umcg_get_idle_worker(true);
		CHECK(idle, "umcg_get_idle_worker");
		kill(getpid(), SIGKILL);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	      WTERMSIG(status) == SIGKILL, "status %x", status);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	entered = 0;
	killed();
	for (int servers = 1; servers <= 2; servers++) {
		run("return", servers, returns, false);
		run("pthread_exit", servers, exits, false);
		if (TEST_BARE_EXITS)
			run("exit(2)", servers, bare_exit, false);
#ifndef __SANITIZE_THREAD__
		/* Its runtime ignores a thread that is cancelled in a system call. */
		run("pthread_cancel", servers, is_cancelled, true);
#endif
	}
	return 0;
}
