// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * beside [POLICY]: short requests beside threads that compute without end, one
 * server. Prints how long a request took from its wake-up to its end: try fifo, rr,
 * las, priority, or a policy of your own, ./mine.so.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <umcg-sched.h>

#define HOGS		3
#define REQUESTS	50

static struct umcg_sched *sched;
static atomic_bool over;
static uint64_t took_ns[REQUESTS];

static void enter(int32_t priority)
{
	struct umcg_sched_attr attr = { .priority = priority };

	if (umcg_sched_enter(sched, &attr, 0)) {
		perror("umcg_sched_enter");
		exit(1);
	}
}

/* Gives way again and again, or under fifo no other thread would ever run. */
static void *hog(void *arg)
{
	uint64_t turns = 0;

	enter(0);
	while (!atomic_load_explicit(&over, memory_order_relaxed))
		if (++turns % 10000000 == 0)
			umcg_sched_yield();
	umcg_sched_leave();
	return arg;
}

static void *requests(void *arg)
{
	struct timespec pause = { .tv_nsec = 5000000 };

	enter(1);
	for (int i = 0; i < REQUESTS; i++) {
		uint64_t due = umcg_get_time_ns() + (uint64_t)pause.tv_nsec;

		nanosleep(&pause, NULL);
		umcg_sched_begin_request();
		for (volatile int n = 0; n < 20000; n++)
			;
		took_ns[i] = umcg_get_time_ns() - due;
	}
	over = true;
	umcg_sched_leave();
	return arg;
}

static int compare(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return (one > other) - (one < other);
}

int main(int argc, char **argv)
{
	struct umcg_sched_config config = {
		.size = sizeof(config), .policy = argc > 1 ? argv[1] : "las",
	};
	struct umcg_sched_stats stats;
	pthread_t thread[HOGS + 1];
	char why[UMCG_SENTENCE];

	sched = umcg_sched_create(&config, why);
	if (!sched) {
		fprintf(stderr, "%s\n", why);
		return 1;
	}
	if (umcg_sched_start(sched)) {
		perror("umcg_sched_start");
		return 1;
	}
	for (int i = 0; i <= HOGS; i++)
		if (pthread_create(&thread[i], NULL, i ? hog : requests, NULL)) {
			perror("pthread_create");
			return 1;
		}
	for (int i = 0; i <= HOGS; i++)
		pthread_join(thread[i], NULL);
	umcg_sched_get_stats(sched, &stats);
	if (umcg_sched_stop(sched) || umcg_sched_destroy(sched)) {
		perror("umcg_sched_stop");
		return 1;
	}
	qsort(took_ns, REQUESTS, sizeof(*took_ns), compare);
	printf("%s: a request took %lu us (median), %lu us at most; %lu turns, %lu preempted, %lu expired\n",
	       config.policy, (unsigned long)took_ns[REQUESTS / 2] / 1000,
	       (unsigned long)took_ns[REQUESTS - 1] / 1000, (unsigned long)stats.turns,
	       (unsigned long)stats.preempted, (unsigned long)stats.expired);
	return 0;
}
