// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What reaches every thread and waits for it, beside threads that the scheduler does not
 * run just then: setuid(), cancellation, a collector that stops the world.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "same.h"

#define KINDS	4
#define N	(3 * KINDS)	/* more than there are servers */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_t threads[N];
static atomic_int here, cleaned, stopped, resumed;
static atomic_bool stop;
static sem_t sem;

static void clean(void *locked)
{
	if (locked)
		pthread_mutex_unlock(locked);
	cleaned++;
}

static void *sleeps(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	here++;
	while (!stop)
		usleep(1000);
	pthread_cleanup_pop(0);
	return arg;
}

static void *waits(void *arg)
{
	pthread_mutex_lock(&mutex);
	pthread_cleanup_push(clean, &mutex);
	here++;
	while (!stop)
		pthread_cond_wait(&cond, &mutex);
	pthread_cleanup_pop(0);
	pthread_mutex_unlock(&mutex);
	return arg;
}

static void *blocks(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	here++;
	while (sem_wait(&sem))
		MUST(errno == EINTR);
	pthread_cleanup_pop(0);
	return arg;
}

static void *computes(void *arg)
{
	pthread_cleanup_push(clean, NULL);
	here++;
	while (!stop)
		pthread_testcancel();
	pthread_cleanup_pop(0);
	return arg;
}

static void begin(void)
{
	void *(*const kinds[KINDS])(void *) = { sleeps, waits, blocks, computes };

	sem_init(&sem, 0, 0);
	for (int i = 0; i < N; i++)
		MUST(!pthread_create(&threads[i], NULL, kinds[i % KINDS], NULL));
	while (here < N)
		usleep(1000);
}

static void end(void)
{
	pthread_mutex_lock(&mutex);
	stop = true;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&mutex);
	for (int i = 0; i < N; i++)
		sem_post(&sem);
	for (int i = 0; i < N; i++)
		MUST(!pthread_join(threads[i], NULL));
}

static void *set_ids_here(void *arg)
{
	for (int i = 0; i < 5; i++)
		MUST(!setgid(getgid()) && !setuid(getuid()));
	return arg;
}

/* By the main thread, and by one that is scheduled itself. */
static int set_ids(void)
{
	pthread_t thread;

	begin();
	set_ids_here(NULL);
	MUST(!pthread_create(&thread, NULL, set_ids_here, NULL));
	MUST(!pthread_join(thread, NULL));
	end();
	printf("set, cleaned %d\n", cleaned);
	return 0;
}

static int cancellation(void)
{
	int cancelled = 0;
	void *ret;

	begin();
	for (int i = 0; i < N; i++)
		MUST(!pthread_cancel(threads[i]));
	for (int i = 0; i < N; i++) {
		MUST(!pthread_join(threads[i], &ret));
		cancelled += ret == PTHREAD_CANCELED;
	}
	printf("cancelled %d, cleaned %d\n", cancelled, cleaned);
	return 0;
}

/* One at a time: it does not get the rest into trouble. */
static int cancelled_one_by_one(void)
{
	void *ret;

	begin();
	for (int i = 0; i < N; i++) {
		MUST(!pthread_cancel(threads[i]));
		MUST(!pthread_join(threads[i], &ret) && ret == PTHREAD_CANCELED);
		printf("cleaned %d\n", cleaned);
	}
	return 0;
}

static void stops_here(int sig)
{
	int error = errno;
	sigset_t all;

	(void)sig;
	sigfillset(&all);
	sigdelset(&all, SIGUSR2);
	stopped++;
	sigsuspend(&all);
	resumed++;
	errno = error;
}

static void goes_on(int sig)
{
	(void)sig;
}

/* As collectors do it: a signal to each thread, and a wait until each has stopped. */
static int stop_the_world(void)
{
	struct sigaction action = { .sa_handler = stops_here, .sa_flags = SA_RESTART };

	sigaddset(&action.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &action, NULL);
	action.sa_handler = goes_on;
	sigaction(SIGUSR2, &action, NULL);
	begin();
	for (int i = 1; i <= 5; i++) {
		stopped = resumed = 0;
		for (int k = 0; k < N; k++)
			MUST(!pthread_kill(threads[k], SIGUSR1));
		while (stopped < N)
			usleep(1000);
		for (int k = 0; k < N; k++)
			MUST(!pthread_kill(threads[k], SIGUSR2));
		while (resumed < N)
			usleep(1000);
	}
	end();
	puts("stopped and resumed");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct same_case cases[] = {
		{ "set_ids", set_ids }, { "cancellation", cancellation },
		{ "cancelled_one_by_one", cancelled_one_by_one },
		{ "stop_the_world", stop_the_world }, { NULL, NULL },
	};

	return same_main(argc, argv, cases);
}
