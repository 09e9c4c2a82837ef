// SPDX-License-Identifier: MIT
/*
 * RINGS rings of THREADS threads each hand a byte round over pipes, beside COMPUTING threads
 * that never block, for SECONDS: pingpong COMPUTING SECONDS [RINGS THREADS]. Without RINGS
 * two threads hand it to and fro. Prints how often it came round. Knows nothing of UMCG.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MOST	64	/* rings, threads of each, threads that compute */

static struct place {
	int from, to;	/* this thread's ends */
	long trips;
} places[MOST][MOST];

static atomic_bool over;

static void *compute(void *arg)
{
	while (!over)
		for (volatile int i = 0; i < 1000; i++)
			;
	return arg;
}

/* The first of a ring sends the byte, and ends it: each closes what it writes to. */
static void *first(void *arg)
{
	struct place *mine = arg;
	char c = 1;

	while (!over && write(mine->to, &c, 1) == 1 && read(mine->from, &c, 1) == 1)
		mine->trips++;
	close(mine->to);
	return arg;
}

static void *other(void *arg)
{
	struct place *mine = arg;
	char c;

	while (read(mine->from, &c, 1) == 1 && write(mine->to, &c, 1) == 1)
		;
	close(mine->to);
	return arg;
}

int main(int argc, char **argv)
{
	int computing = argc > 1 ? atoi(argv[1]) : 0;
	double seconds = argc > 2 ? atof(argv[2]) : 1;
	int count = argc > 3 ? atoi(argv[3]) : 1, each = argc > 4 ? atoi(argv[4]) : 2, made = 0;
	struct timespec nap = { .tv_sec = (time_t)seconds };
	static pthread_t threads[MOST * MOST + MOST];
	long trips = 0;

	nap.tv_nsec = (long)((seconds - (double)nap.tv_sec) * 1e9);
	if (computing < 0 || computing > MOST || count < 1 || count > MOST || each < 2 || each > MOST)
		return 1;
	for (int i = 0; i < count; i++)
		for (int k = 0; k < each; k++) {
			int ends[2];

			if (pipe(ends))
				return 1;
			places[i][k].from = ends[0];
			places[i][(k + each - 1) % each].to = ends[1];
		}
	for (int i = 0; i < count; i++)
		for (int k = 0; k < each; k++)
			if (pthread_create(&threads[made++], NULL, k ? other : first, &places[i][k]))
				return 1;
	for (int i = 0; i < computing; i++)
		if (pthread_create(&threads[made++], NULL, compute, NULL))
			return 1;
	nanosleep(&nap, NULL);
	over = 1;
	for (int i = 0; i < made; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < count; i++)
		trips += places[i][0].trips;
	printf("%ld round trips\n", trips);
	return 0;
}
