// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Workers that have no server are threads like others to all else: signal
 * handlers run, setgid() and pthread_cancel() do not wait for them, the process
 * stops and goes on, a debugger attaches. Workers parked in every way; afterwards
 * each is where it was, and goes on when it is run.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "always.h"
#include "parked.h"

static atomic_int handled[PARKED];

/* What a handler may call that has found its worker without a server. */
static void on_signal(int sig)
{
	int error = errno;

	(void)sig;
	always_callable(parked_utid[PREEMPTED], UMCG_NONE);
	CHECK_CALL(umcg_wait(1), EAGAIN);
	CHECK_CALL(umcg_yield(), EAGAIN);
	CHECK_CALL(umcg_swap(parked_utid[WAITING], 1), EAGAIN);
	CHECK_CALL(umcg_unregister_task(), EAGAIN);
	if (umcg_wake(parked_server, false))
		CHECK(errno == EAGAIN, "umcg_wake");
	if (umcg_try_wake(parked_server, false))
		CHECK(errno == EAGAIN, "umcg_try_wake");
	handled[parked_me()]++;
	errno = error;
}

static void signals(uint32_t group_flags, int sig, int flags)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = flags | SA_RESTART };

	CHECK(!sigaction(sig, &sa, NULL), "sigaction");
	for (int i = 0; i < PARKED; i++)
		handled[i] = 0;
	parked_begin(group_flags, test_spawn, parked_worker);
	for (int n = 1; n <= 3; n++) {
		for (int i = 0; i < PARKED; i++)
			CHECK(!pthread_kill(parked_thread[i], sig), "pthread_kill");
		for (int i = 0; i < PARKED; i++)
			test_await(&handled[i], n);
	}
	parked_end(false, test_join);
}

static void count_only(int sig)
{
	(void)sig;
	handled[parked_me()]++;
}

/* Held, as the group asks for, until the worker is run; but glibc's own are not. */
static void held(uint32_t flags)
{
	struct sigaction sa = { .sa_handler = count_only, .sa_flags = SA_RESTART };

	CHECK(!sigaction(SIGUSR1, &sa, NULL), "sigaction");
	for (int i = 0; i < PARKED; i++)
		handled[i] = 0;
	parked_begin(UMCG_GROUP_HOLD_SIGNALS | flags, test_spawn, parked_worker);
	for (int i = 0; i < PARKED; i++)
		CHECK(!pthread_kill(parked_thread[i], SIGUSR1), "pthread_kill");
	CHECK(!setgid(getgid()), "setgid");
	test_nap(5 * MS);
	for (int i = 0; i < PARKED; i++)
		CHECK(!handled[i], "%s: handled without a server", parked_names[i]);
	parked_end(false, test_join);
	for (int i = 0; i < PARKED; i++)
		CHECK(handled[i] == 1, "%s: handled %d times", parked_names[i], handled[i]);
}

static void set_ids(uint32_t flags)
{
	parked_begin(flags, test_spawn, parked_worker);
	CHECK(!setgid(getgid()) && !setuid(getuid()), "setgid, setuid");
	parked_end(false, test_join);
}

static void cancels(uint32_t flags)
{
	parked_begin(flags, test_spawn, parked_worker);
	for (int i = 0; i < PARKED; i++)
		CHECK(!pthread_cancel(parked_thread[i]), "pthread_cancel");
	parked_end(true, test_join);
}

static void reap(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && !WEXITSTATUS(status),
	      "the other process: status %x", status);
}

static void stops(uint32_t flags)
{
	pid_t parent = getpid(), pid;

	parked_begin(flags, test_spawn, parked_worker);
	pid = fork();
	CHECK(pid >= 0, "fork");
	if (!pid) {
		for (int i = 0; i < 3; i++) {
			kill(parent, SIGSTOP);
			while (test_proc_state(parent) != 'T')
				test_nap(MS / 10);
			for (int j = 0; j < PARKED; j++)
				while (test_proc_state(parked_tid[j]) != 'T')
					test_nap(MS / 10);
			kill(parent, SIGCONT);
			while (test_proc_state(parent) == 'T')
				test_nap(MS / 10);
		}
		_exit(0);
	}
	reap(pid);
	parked_end(false, test_join);
}

/* As a debugger attaches: each thread stops, is looked at, goes on. */
static void debugger(uint32_t flags)
{
	uint64_t mask;
	int status;
	pid_t pid;

	parked_begin(flags, test_spawn, parked_worker);
	pid = fork();
	CHECK(pid >= 0, "fork");
	if (!pid) {
		for (int i = 0; i < PARKED; i++) {
			if (ptrace(PTRACE_SEIZE, parked_tid[i], 0, 0) ||
			    ptrace(PTRACE_INTERRUPT, parked_tid[i], 0, 0) ||
			    waitpid(parked_tid[i], &status, __WALL) != parked_tid[i] ||
			    !WIFSTOPPED(status) ||
			    ptrace(PTRACE_GETSIGMASK, parked_tid[i], sizeof(mask), &mask) ||
			    mask) {
				perror("ptrace");
				_exit(1);
			}
		}
		for (int i = 0; i < PARKED; i++)
			if (ptrace(PTRACE_DETACH, parked_tid[i], 0, 0))
				_exit(1);
		_exit(0);
	}
	reap(pid);
	parked_end(false, test_join);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
#ifdef __SANITIZE_THREAD__
	printf("ThreadSanitizer: its runtime holds signals back until the thread next calls libc\n");
	return 0;
#endif
	for (long n = test_size("ROUNDS", 1, 4); n; n--) {
		uint32_t flags = n % 2 ? UMCG_GROUP_KEEP_PREEMPTED : 0;

		printf("signals\n");
		signals(flags, SIGUSR1, 0);
		signals(flags, SIGPROF, SA_NODEFER);
		printf("held signals\n");
		held(flags);
		printf("setgid, setuid\n");
		set_ids(flags);
		printf("pthread_cancel\n");
		cancels(flags);
		cancels(flags | UMCG_GROUP_HOLD_SIGNALS);
		printf("SIGSTOP\n");
		stops(flags);
		printf("a debugger\n");
		debugger(flags);
	}
	return 0;
}
