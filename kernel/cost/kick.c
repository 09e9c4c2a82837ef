// SPDX-License-Identifier: MIT
/*
 * Prints "kick MEDIAN P99 MAX", nanoseconds from marking a worker that spins
 * alone on its CPU until its server is back in user mode, over 1000 kicks, and
 * "signal MEDIAN P99 MAX", from sending a signal to a thread that spins there
 * until its handler runs. The server's place is the worker's CPU; the thread
 * that kicks and sends is on the other one.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cost.h"
#include "task.h"

#define TIMES	1000

static struct task server, worker;
static _Atomic uint64_t spins, arrived_at;
static pthread_t plain;
static atomic_bool over;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void *spin(void *arg)
{
	(void)arg;
	be_worker(&worker);
	for (;;)
		atomic_fetch_add(&spins, 1);
	return NULL;
}

static void *serve(void *arg)
{
	struct task *w;

	(void)arg;
	be_server(&server);
	w = next_worker(&server);
	for (;;) {
		run_worker(&server, w);
		atomic_store(&arrived_at, now());
		while (atomic_load(&arrived_at))
			sched_yield();
	}
	return NULL;
}

static void kick(void)
{
	set_state(&worker, UMCG_TASK_RUNNING, UMCG_TASK_RUNNING | UMCG_TF_PREEMPTED);
	/* The timer may have been faster: then there is no task to kick. */
	umcg_kick(0, worker.tid);
}

static void *spin_plain(void *arg)
{
	(void)arg;
	plain = pthread_self();
	while (!atomic_load(&over))
		atomic_fetch_add(&spins, 1);
	return NULL;
}

static void on_signal(int number)
{
	(void)number;
	atomic_store(&arrived_at, now());
}

static void send(void)
{
	pthread_kill(plain, SIGUSR1);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* How long "way" takes to arrive at the thread that spins on the other CPU. */
static void latency(const char *name, void (*way)(void))
{
	static uint64_t ns[TIMES];

	for (int i = 0; i < TIMES; i++) {
		uint64_t seen = atomic_load(&spins), start;

		while (atomic_load(&spins) < seen + 1000)
			sched_yield();
		start = now();
		way();
		while (!atomic_load(&arrived_at))
			sched_yield();
		ns[i] = atomic_load(&arrived_at) - start;
		atomic_store(&arrived_at, 0);
	}
	qsort(ns, TIMES, sizeof(ns[0]), by_value);
	printf("%s %llu %llu %llu\n", name, (unsigned long long)ns[TIMES / 2],
	       (unsigned long long)ns[TIMES * 99 / 100], (unsigned long long)ns[TIMES - 1]);
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	pin(0);
	if (sigaction(SIGUSR1, &action, NULL))
		die("sigaction");
	spawn(spin_plain, NULL, 1);
	latency("signal", send);
	/* The worker has the CPU for itself. */
	atomic_store(&over, true);
	spawn(serve, NULL, 1);
	spawn(spin, NULL, 1);
	latency("kick", kick);
	exit(0);
}
