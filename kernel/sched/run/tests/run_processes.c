// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Threads and processes: fork, spawn, vfork, exec, daemons, signals, all ways to end. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "same.h"

extern char **environ;

static sem_t sem;
static atomic_int got;

static pthread_t begin(void *(*body)(void *), void *arg)
{
	pthread_t thread;

	MUST(!pthread_create(&thread, NULL, body, arg));
	return thread;
}

static void together(void *(*body)(void *), int n)
{
	pthread_t threads[16];

	for (long i = 0; i < n; i++)
		threads[i] = begin(body, (void *)i);
	for (int i = 0; i < n; i++)
		MUST(!pthread_join(threads[i], NULL));
}

static int end_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		MUST(errno == EINTR);
	return status;
}

static void *add(void *arg)
{
	for (int i = 0; i < 500; i++)
		got++;
	usleep(100);
	return arg;
}

/* The child makes threads of its own, and forks in turn. */
static void *fork_here(void *arg)
{
	pid_t pid = fork(), other;

	MUST(pid >= 0);
	if (!pid) {
		got = 0;
		together(add, 4);
		other = fork();
		if (!other) {
			together(add, 3);
			_exit(got == 3500 ? 4 : 5);
		}
		_exit(end_of(other) == 4 << 8 && got == 2000 ? 6 : 7);
	}
	MUST(end_of(pid) == 6 << 8);
	return arg;
}

static int forks(void)
{
	together(fork_here, 3);
	fork_here(NULL);
	puts("forked");
	return 0;
}

static void *spawn_here(void *arg)
{
	char *argv[] = { "/bin/sh", "-c", "exit 3", NULL };
	pid_t pid;

	MUST(!posix_spawn(&pid, argv[0], NULL, NULL, argv, environ));
	MUST(end_of(pid) == 3 << 8);
	MUST(system("exit 4") == 4 << 8);
	return arg;
}

static void *vfork_here(void *arg)
{
	pid_t pid = vfork();

	if (!pid) {
		execl("/bin/sh", "sh", "-c", "exit 2", NULL);
		_exit(9);
	}
	MUST(end_of(pid) == 2 << 8);
	return arg;
}

static int spawns(void)
{
	together(spawn_here, 3);
	together(vfork_here, 3);
	puts("spawned");
	return 0;
}

static void *exec_here(void *arg)
{
	execle("/bin/sh", "sh", "-c", "echo replaced $X; exit 7", NULL, (char *[]){ "X=1", NULL });
	return arg;
}

static void *forever(void *arg)
{
	for (volatile long i = 0;; i++)
		;
	return arg;
}

static void *nap(void *arg)
{
	for (;;)
		usleep(1000);
	return arg;
}

static void *exit_here(void *arg)
{
	exit(8);
	return arg;
}

static void *exit_at_once(void *arg)
{
	_exit(9);
	return arg;
}

static void *crash_here(void *arg)
{
	*(volatile int *)arg = 1;
	return arg;
}

static void *abort_here(void *arg)
{
	abort();
	return arg;
}

static void *kill_all(void *arg)
{
	kill(getpid(), SIGKILL);
	return arg;
}

/* Each alone, and beside threads that compute and sleep. */
static int ends(void)
{
	void *(*const bodies[])(void *) = {
		exec_here, exit_here, exit_at_once, crash_here, abort_here, kill_all,
	};

	for (int beside = 0; beside <= 3; beside += 3)
		for (int i = 0; i < 6; i++) {
			pid_t pid;
			int status;

			fflush(NULL);
			pid = fork();
			if (!pid) {
				for (int k = 0; k < beside; k++)
					begin(k ? nap : forever, NULL);
				pthread_join(begin(bodies[i], NULL), NULL);
				_exit(0);
			}
			status = end_of(pid);
			printf("%d beside %d: %s %d\n", i, beside, WIFEXITED(status) ? "exit" : "signal",
			       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
		}
	return 11;
}

static void *speak_late(void *arg)
{
	usleep(20000);
	puts("the daemon's thread");
	fflush(stdout);
	_exit(0);
	return arg;
}

static int daemons(void)
{
	together(add, 2);
	fflush(NULL);
	if (!fork()) {
		setsid();
		if (!fork()) {
			begin(speak_late, NULL);
			pause();
		}
		_exit(0);
	}
	return 12;
}

static void count(int sig)
{
	(void)sig;
	got++;
}

static void *pause_here(void *arg)
{
	sem_post(&sem);
	while (got < 1)
		pause();
	return arg;
}

static void *spin_here(void *arg)
{
	sem_post(&sem);
	while (got < 2)
		;
	return arg;
}

static void *wait_here(void *arg)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sem_post(&sem);
	MUST(!sigwait(&set, &sig));
	printf("signal %d\n", sig == SIGUSR2);
	return arg;
}

static void noted(union sigval value)
{
	(void)value;
	sem_post(&sem);
}

static sigjmp_buf back;

static void jump(int sig)
{
	siglongjmp(back, sig);
}

static void *fault_and_jump(void *arg)
{
	for (int i = 0; i < 50; i++)
		if (!sigsetjmp(back, 1))
			*(volatile int *)arg = 1;
	return arg;
}

static int signals(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = noted };
	struct itimerspec soon = { .it_value = { .tv_nsec = 5000000 } };
	struct sigaction action = { .sa_handler = count };
	timer_t timer;
	pthread_t thread;
	sigset_t set;

	sem_init(&sem, 0, 0);
	sigaction(SIGUSR1, &action, NULL);
	thread = begin(pause_here, NULL);
	sem_wait(&sem);
	usleep(20000);
	MUST(!pthread_kill(thread, SIGUSR1));
	MUST(!pthread_join(thread, NULL));
	thread = begin(spin_here, NULL);
	sem_wait(&sem);
	MUST(!pthread_kill(thread, SIGUSR1));
	MUST(!pthread_join(thread, NULL));
	printf("handled %d\n", got);

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	thread = begin(wait_here, NULL);
	sem_wait(&sem);
	kill(getpid(), SIGUSR2);
	MUST(!pthread_join(thread, NULL));

	MUST(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	MUST(!timer_settime(timer, 0, &soon, NULL));
	sem_wait(&sem);
	timer_delete(timer);

	/* Handlers of SIGSEGV are the program's. */
	action.sa_handler = jump;
	sigaction(SIGSEGV, &action, NULL);
	together(fault_and_jump, 1);
	MUST(!sigaction(SIGSEGV, NULL, &action) && action.sa_handler == jump);
	MUST(!sigaction(SIGBUS, NULL, &action) && action.sa_handler == SIG_DFL);
	puts("all signals");
	raise(SIGTERM);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct same_case cases[] = {
		{ "forks", forks }, { "spawns", spawns }, { "ends", ends }, { "daemons", daemons },
		{ "signals", signals }, { NULL, NULL },
	};

	return same_main(argc, argv, cases);
}
