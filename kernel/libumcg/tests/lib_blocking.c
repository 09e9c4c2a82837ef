// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Workers that sleep, read pipes, wait for mutexes and fault, under one, two and four servers. */
#include <sys/mman.h>

#include "util.h"

#define WORKERS	8

static long rounds;
static struct place place;
static atomic_int started;
static int pipes[WORKERS][2];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn = PTHREAD_COND_INITIALIZER;
static long count;		/* under mutex */

static int enter(struct place *p)
{
	test_task(umcg_register_worker(p->group, 0));
	return atomic_fetch_add(&started, 1);
}

static void *sleeper(void *arg)
{
	enter(arg);
	for (long i = 0; i < rounds; i++)
		test_nap(MS / 10);
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* A token goes round a ring of pipes. */
static void *reader(void *arg)
{
	int me = enter(arg);
	char token = 0;

	for (long i = 0; i < rounds; i++) {
		CHECK(read(pipes[me][0], &token, 1) == 1, "read");
		token++;
		CHECK(write(pipes[(me + 1) % WORKERS][1], &token, 1) == 1, "write");
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void *locker(void *arg)
{
	int me = enter(arg);

	for (long i = 0; i < rounds; i++) {
		pthread_mutex_lock(&mutex);
		while (count % WORKERS != me)
			pthread_cond_wait(&turn, &mutex);
		count++;
		pthread_cond_broadcast(&turn);
		pthread_mutex_unlock(&mutex);
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

/* Faults wait for the address space's lock, which every mmap() takes. */
static void *faulter(void *arg)
{
	enter(arg);
	for (long i = 0; i < rounds; i++) {
		size_t size = 16 * 4096;
		char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK(mem != MAP_FAILED, "mmap");
		for (size_t at = 0; at < size; at += 4096)
			mem[at] = 1;
		CHECK(!munmap(mem, size), "munmap");
	}
	CHECK_CALL(umcg_unregister_task(), 0);
	return NULL;
}

static void run(const char *name, int servers, void *(*worker)(void *arg))
{
	char token = 0;

	started = 0;
	count = 0;
	for (int i = 0; i < WORKERS; i++)
		CHECK(!pipe(pipes[i]), "pipe");
	CHECK(write(pipes[0][1], &token, 1) == 1, "write");

	place_begin(&place, 0, WORKERS);
	place_run(&place, servers, WORKERS, worker);
	place_end(&place);

	for (int i = 0; i < WORKERS; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	printf("%s, %d servers: %d blocks\n", name, servers, place.blocked);
	/* Not each one: a time may be up before the worker gets to sleep. */
	if (worker == sleeper)
		CHECK(place.blocked > 0, "sleeps that no task noticed");
}

int main(int argc, char **argv)
{
	test_begin(argc, argv);
	rounds = test_size("ROUNDS", 1, 60);
	for (int servers = 1; servers <= 4; servers *= 2) {
		run("sleepers", servers, sleeper);
		run("pipe readers", servers, reader);
		run("futex waiters", servers, locker);
		run("page-faulters", servers, faulter);
	}
	return 0;
}
