// SPDX-License-Identifier: MIT
/*
 * Two threads hand a byte back and forth over pipes, beside COMPUTING threads that never
 * block, for SECONDS: pingpong COMPUTING SECONDS. Prints the round trips. Knows
 * nothing of UMCG.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int there[2], back[2];
static atomic_bool over;
static long trips;

static void *compute(void *arg)
{
	while (!over)
		for (volatile int i = 0; i < 1000; i++)
			;
	return arg;
}

static void *ping(void *arg)
{
	char c = 1;

	while (!over && write(there[1], &c, 1) == 1 && read(back[0], &c, 1) == 1)
		trips++;
	close(there[1]);
	return arg;
}

static void *pong(void *arg)
{
	char c;

	while (read(there[0], &c, 1) == 1 && write(back[1], &c, 1) == 1)
		;
	return arg;
}

int main(int argc, char **argv)
{
	int computing = argc > 1 ? atoi(argv[1]) : 0;
	double seconds = argc > 2 ? atof(argv[2]) : 1;
	struct timespec nap = { .tv_sec = (time_t)seconds };
	pthread_t threads[66];

	nap.tv_nsec = (long)((seconds - (double)nap.tv_sec) * 1e9);
	if (computing < 0 || computing > 64 || pipe(there) || pipe(back))
		return 1;
	pthread_create(&threads[computing], NULL, ping, NULL);
	pthread_create(&threads[computing + 1], NULL, pong, NULL);
	for (int i = 0; i < computing; i++)
		pthread_create(&threads[i], NULL, compute, NULL);
	nanosleep(&nap, NULL);
	over = 1;
	for (int i = 0; i < computing + 2; i++)
		pthread_join(threads[i], NULL);
	printf("%ld round trips\n", trips);
	return 0;
}
